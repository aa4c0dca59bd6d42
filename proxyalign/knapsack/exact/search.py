"""One search for solutions below a given cost: memory, limits, and the sets that it finds."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack.exact import cardinality_bound, states
from proxyalign.knapsack.exact.core import Relaxation, build_core, changed_items

FIRST_STATES, FIRST_NODES = 1 << 13, 1 << 15
PATIENCE = 500_000  # states between two looks at the clock, about 6 ms of compiled code
PATIENCE_INTERPRETED = 20_000
COLUMN_BYTES = 8
Ending = Literal["done", "late", "full", "tired"]
OBJECT_BYTES = 64  # a pointer and a Python integer of some 200 bits


def root_bound(relaxation: Relaxation, levels: NDArray[np.float64]) -> int:
    """The group relaxation's bound on the loss of every solution."""
    bound = states.interpreted(states.group_bound)
    return int(bound(relaxation.room, relaxation.modulus, relaxation.offset, levels.tolist()))


def screened(
    relaxation: Relaxation, levels: NDArray[np.float64], classes: NDArray[np.intp], limit: int
) -> NDArray[np.intp]:
    """Those of the classes that the group relaxation lets a solution which costs less than `limit` change."""
    keep = np.empty(classes.size, dtype=np.bool_)
    columns: tuple[Any, ...] = (relaxation.moves[classes], relaxation.losses[classes])
    screen: Any = states.screen
    if relaxation.is_exact:
        screen, columns, levels = states.interpreted(screen), tuple(c.tolist() for c in columns), levels.tolist()
    screen(limit + relaxation.offset, relaxation.room, *columns, relaxation.modulus, relaxation.offset, levels, keep)
    return classes[keep]


class BoundedSearch:
    """A search among the solutions of a relaxation that cost less than `limit`.

    levels: the group relaxation of all its classes. After `run` returned True, every such solution has been seen or
    is no better than one of `solutions` or than `doubtful_cost`.
    """

    def __init__(self, relaxation: Relaxation, levels: NDArray[np.float64], limit: int, memory_limit: float) -> None:
        self.relaxation = relaxation
        self.memory_limit = memory_limit
        self.limit = limit
        self.doubtful_cost = states.NEVER_UNBOUNDED  # least cost of a set that fits as rounded but not exactly
        classes = cardinality_bound.screened(relaxation, limit)
        # Without the changes that cannot be made within the limit, the group relaxation forbids more of them.
        for _ in range(2):
            kept = screened(relaxation, levels, classes, limit)
            few_left = 0 < 2 * kept.size < classes.size
            classes = kept
            if not few_left:
                break
            levels = max(levels, relaxation.levels(kept), key=partial(root_bound, relaxation))
        self.levels = levels
        self.chunks, self.core = build_core(relaxation, classes, limit + relaxation.offset)
        start = ([0], [1], [0], [0], [0], [limit], [-1, 0, 0, -1, -1], [0])
        self.progress = states.Progress(*(self._column(numbers) for numbers in start))
        self.states = [self._states(FIRST_STATES), self._states(FIRST_STATES)]
        self.log = states.Log(*(self._blank(FIRST_NODES) for _ in range(3)))
        first = self.states[0]
        first.rooms[0], first.costs[0], first.losses[0], first.seconds[0], first.nodes[0] = relaxation.room, 0, 0, 0, -1

    def run(self, deadline: float, effort: float = math.inf) -> Ending:
        """Search to the end, or to the deadline (of time.perf_counter), the memory limit or `effort` states."""
        exact = self.relaxation.is_exact
        advance: Callable[..., int] = states.interpreted(states.advance) if exact else states.advance
        patience = int(min(PATIENCE_INTERPRETED if exact else PATIENCE, effort))
        levels = self.levels.tolist() if exact else self.levels
        while True:
            ending = advance(
                self.progress,
                *self.states,
                self.log,
                self.core,
                self.relaxation.modulus,
                self.relaxation.offset,
                levels,
                self.relaxation.offset,
                self.relaxation.second_offset,
                self.relaxation.safe_room,
                patience,
            )
            if ending == states.DONE:
                return "done"
            if time.perf_counter() > deadline:
                return "late"
            if ending == states.NEEDS_STATES:
                self.states = [states.States(*(self._doubled(column) for column in one)) for one in self.states]
            elif ending == states.NEEDS_NODES:
                self.log = states.Log(*(self._doubled(column) for column in self.log))
            if self._bytes() > self.memory_limit:
                return "full"
            if self.visited > effort:
                return "tired"

    @property
    def visited(self) -> int:
        """States looked at so far."""
        return int(self.progress.visited[0])

    def solutions(self) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """(cost, items removed, items added) of the best solution and of better ones that fit by a rounding."""
        for node in list(self.log.doubts[: self.progress.n_doubts[0]]):
            changes = self._path(node)
            if self._cost(changes) < self.progress.limit[0]:
                yield self._solution(changes)
        node, first, last, *others = (int(number) for number in self.progress.best)
        if node >= 0:
            run = [int(item) for item in self.core.in_items[first:last]]
            yield self._solution(self._path(node) + run + [other for other in others if other >= 0])

    def _solution(self, changes: list[int]) -> tuple[int, NDArray[np.intp], NDArray[np.intp]]:
        return self._cost(changes), *changed_items(self.relaxation, self.chunks, changes)

    def _cost(self, changes: list[int]) -> int:
        return sum(int(self.core.gains[change]) for change in changes)

    def _path(self, node: int) -> list[int]:
        """The changes that lead to a node of the log."""
        changes = []
        while node >= 0:
            changes.append(int(self.log.changes[node]))
            node = int(self.log.parents[node])
        return changes

    def _column(self, numbers: list[int]) -> Any:
        return numbers if self.relaxation.is_exact else np.array(numbers, dtype=np.int64)

    def _blank(self, size: int) -> Any:
        return [0] * size if self.relaxation.is_exact else np.empty(size, dtype=np.int64)

    def _states(self, size: int) -> states.States:
        return states.States(*(self._blank(size) for _ in range(5)))

    def _doubled(self, column: Any) -> Any:
        return column + [0] * len(column) if isinstance(column, list) else np.append(column, np.empty_like(column))

    def _bytes(self) -> int:
        each = OBJECT_BYTES if self.relaxation.is_exact else COLUMN_BYTES
        return each * (10 * len(self.states[0].rooms) + 3 * len(self.log.parents))
