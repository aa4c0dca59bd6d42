"""The integer optimum of one step's knapsack, certified: a core algorithm on scaled integers, judged in rationals.

In the manner of Pisinger's MINKNAP (Oper. Res. 1997): start from the greedy prefix, keep a list of undominated states,
offer them the items nearest the critical density first, bound and prune. Five things make full vocabularies easy:

* bounds that see integrality: beside the linear relaxation, a `group_relaxation` that knows that unused room
  has to be filled by items of the weights that exist;
* a width instead of an incumbent: search for a solution within `width` of the proved bound, which prunes nearly all
  states; if there is none, the bound is that much better, and the search starts again, wider where that was easy;
* dust: tokens that together are worth less than the gap, and would blur the bounds, are left alone;
* help that is called where a search tires: exchanges to a good set, and a `cardinality_bound`;
* items that occur several times, as they do where a model computes in 32 or 16 bits, enter once with a multiplicity.

Weights and values are rounded to integers in the direction that favours deferring, so that the integer problem is a
relaxation; solutions must fit with the sum of all roundings to spare, or are added up exactly before they count.
"""

import math
import time
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack import arguments
from proxyalign.knapsack.exact.cardinality_bound import least_cost, with_most_items
from proxyalign.knapsack.exact.core import Relaxation, candidates, integers, rationals
from proxyalign.knapsack.exact.heuristics import shifted, swapped
from proxyalign.knapsack.exact.search import BoundedSearch, root_bound
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rationals import exact_sum, prefix_that_fits

IGNORED = 2.0**-42  # share of the value, a quarter of the default gap, that 64 bits need not tell apart
FIRST_WIDTH = 15  # the first search looks for solutions within 2^-15 of the proved loss
NEARLY_ALL = 5  # where at most 2^-5 of the loss can be saved, it looks for all of them, mostly in vain
WIDER = 4  # by which the width grows where that was easy, and shrinks where it was too much
FIRST_EFFORT = 2**19  # states after which a width is too much at first
EASY = 2**14  # states that cost less than setting up a search
IDLE = 2**10  # states that say that a search was far from any solution
COUNT_AT = 2  # searches that were too much, after which the number of items is bounded
HALVINGS = 6  # searches that are too much before the effort grows
MOST_FULL = 4  # searches that may fill the memory before it counts as the limit


def exact(
    problem: DeferralProblem,
    *,
    gap: float = 1e-12,
    time_limit: float | None = None,
    memory_limit: float = 2.0**29,
    start: ArrayLike | None = None,
) -> Solution:
    """The set of largest value within the budget, with a proved upper bound.

    gap: `is_optimal` is true iff the proved bound exceeds the value by at most `gap` times the value, both compared
    as exact rationals; 0 asks for the last bit and repeats the search with unbounded integers where 64 bits cannot
    tell. time_limit: seconds, None for no limit; memory_limit: bytes for the lists of states. Where a limit ends the
    search, the best set found is returned with the bound proved so far and `is_optimal` false. start: (n,) bool, a set
    that fits, as the optimum at a smaller budget does: the answer is worth no less.

    Raises InputError for a gap or a limit outside its range, and for a start of another shape or above the budget.
    """
    gap, time_limit = arguments.gap("exact", gap), arguments.time_limit("exact", time_limit)
    memory_limit = arguments.real("exact", "memory_limit", memory_limit, "pass bytes")
    if not memory_limit > 0.0:
        raise InputError(f"exact: memory_limit must be above 0 bytes, got {memory_limit}; leave it out for 512 MiB")
    deadline = math.inf if time_limit is None else time.perf_counter() + time_limit
    free = problem.weights == 0.0
    # An item heavier than the budget is in no solution, and a worthless one in no need of being.
    usable = problem.order[((problem.weights <= problem.budget) & ~free & (problem.values > 0.0))[problem.order]]
    n_prefix = prefix_that_fits(problem.weights[usable], problem.budget)
    search = _Search(problem, usable, n_prefix, gap, deadline, memory_limit)
    if start is not None:
        search.adopt_set(_start(problem, start)[usable])
    if n_prefix < usable.size:
        near = candidates(problem, usable, n_prefix, search.room, float(search.value * Fraction(IGNORED)))
        search.light = [near.dust, near.spare]
        search.upper += near.room * near.price + near.allowance
        if near.of_one_weight(problem):
            search.upper = search.value
        if not search.is_closed():
            search.deepen(integers(problem, near))
        if not search.is_closed() and not search.is_stopped:
            search.deepen(rationals(problem, candidates(problem, usable, n_prefix, search.room)))
    chosen = free.copy()
    chosen[usable[:n_prefix]] = True
    chosen[search.removed] = False
    chosen[search.added] = True
    return problem.solution(chosen, exact_sum(problem.values[free]) + search.upper, gap, "exact")


def _start(problem: DeferralProblem, start: ArrayLike) -> NDArray[np.bool_]:
    given = np.asarray(start)
    if given.dtype != np.bool_ or given.shape != problem.weights.shape:
        raise InputError(
            f"exact: start must be a boolean array of shape {problem.weights.shape}, got {given.dtype} of shape "
            f"{given.shape}; pass the deferred of a solution"
        )
    mass = exact_sum(problem.weights[given])
    if mass > problem.budget:
        raise InputError(
            f"exact: start must fit the budget {problem.budget}, got a set of mass {float(mass)}; leave start out"
        )
    return given


class _Search:
    """The best set and the best bound so far, and the searches that bring them together."""

    def __init__(
        self,
        problem: DeferralProblem,
        usable: NDArray[np.intp],
        n_prefix: int,
        gap: float,
        deadline: float,
        memory_limit: float,
    ) -> None:
        self.problem = problem
        self.usable, self.n_prefix = usable, n_prefix
        prefix = usable[:n_prefix]
        self.gap = Fraction(gap)
        self.deadline = deadline
        self.memory_limit = memory_limit
        self.is_stopped = False  # by a limit
        self.light = [prefix[:0], prefix[:0]]  # dust, then spare items, removed where a set would not fit otherwise
        self.removed, self.added = prefix[:0], prefix[:0]  # the best set is the prefix without and with these
        self.prefix_value = self.value = exact_sum(problem.values[prefix])
        self.room = Fraction(problem.budget) - exact_sum(problem.weights[prefix])
        self.upper = self.value  # no set is worth more; the caller adds what the relaxation allows

    def is_closed(self) -> bool:
        """Whether the bound is within the gap."""
        return self.upper - self.value <= self.gap * self.value

    def deepen(self, relaxation: Relaxation, effort: int = FIRST_EFFORT) -> None:
        """Search for solutions ever further above the proved bound, until one is found or a limit ends it.

        What is proved, at any time: no set costs less than `proved`, so that none is worth more than the prefix less
        that. It rises only by bounds on all solutions (`root_bound`, `least_cost`), and to the limit of a search that
        ended, or to the least cost of what it found below that. A search that did not end proves nothing.

        effort: states after which a search is given up, at first.
        """
        unit = Fraction(2) ** relaxation.value_bits
        best = math.ceil((self.prefix_value - self.value) * unit)  # costs count from the prefix, best is at most 0
        classes = np.arange(relaxation.counts.size)
        levels = relaxation.levels(classes)
        proved = root_bound(relaxation, levels) - relaxation.offset
        width = max(1, -proved >> FIRST_WIDTH, int(self.gap * self.value * unit))
        if best - proved < relaxation.offset >> NEARLY_ALL:
            width = max(width, best - proved)
        n_full, n_hard, visited = 0, 0, EASY
        ceiling: int | None = None  # the least limit that was too much for this effort
        while True:
            self.upper = min(self.upper, self.prefix_value - min(proved, 0) / unit)
            if proved >= best or self.is_closed() or self.is_stopped:
                return
            # With the best set known to the last bit, unbounded integers have only to prove it.
            limit = best if relaxation.is_exact else min(proved + width, best)
            if ceiling is not None and proved < ceiling <= limit:
                limit = max(proved + 1, (proved + ceiling) // 2)
            attempt = BoundedSearch(relaxation, levels, limit, self.memory_limit)
            ending = attempt.run(self.deadline, math.inf if relaxation.is_exact else effort)
            best = min(best, self._adopt(attempt))
            n_full += ending == "full"
            self.is_stopped = ending == "late" or n_full > MOST_FULL or time.perf_counter() > self.deadline
            if self.is_stopped and ending != "done":
                return
            if ending != "done":
                n_hard += 1
                self._swap(is_first=n_hard == 1)
                best = min(best, math.ceil((self.prefix_value - self.value) * unit))
                # The relaxation does not count dust, whether it is left out or not.
                if n_hard == COUNT_AT and self.light[0].size == 0:
                    relaxation = with_most_items(relaxation)
                    proved = min(best, max(proved, least_cost(relaxation)))
                # What is too much lies between the proved bound and this limit: halve, and now and then try harder.
                width, ceiling = max(1, width // WIDER), limit
                if n_hard % HALVINGS == 0:
                    effort, ceiling = WIDER * effort, None
                continue
            if attempt.doubtful_cost < best:
                # Rounding hides whether a set of this cost fits: no wider search can tell, only unbounded integers.
                self.upper = min(self.upper, self.prefix_value - attempt.doubtful_cost / unit)
                return
            proved = min(limit, best)
            if attempt.visited < WIDER * visited:
                width *= WIDER if attempt.visited > IDLE else WIDER**3
            # A search repeats those before it, so each should be worth several of them.
            visited = max(attempt.visited, EASY)
            if WIDER**2 * attempt.visited > effort:
                effort, ceiling = WIDER**2 * attempt.visited, None

    def _swap(self, is_first: bool) -> None:
        """Take over a better set where exchanges of single items lead to one from the best set so far.

        The first time, from the prefix as it is and shifted too.
        """
        values, weights = self.problem.values[self.usable], self.problem.weights[self.usable]
        prefix = np.arange(self.usable.size) < self.n_prefix
        best = (prefix & ~np.isin(self.usable, self.removed)) | np.isin(self.usable, self.added)
        starts = [best, prefix, shifted(weights, self.problem.budget)] if is_first else [best]
        for start in starts:
            self.adopt_set(swapped(values, weights, self.problem.budget, start))

    def adopt_set(self, chosen: NDArray[np.bool_]) -> None:
        """Take over a set of the usable items (a mask over them) where it fits and is worth more than the best."""
        items = self.usable[chosen]
        value = exact_sum(self.problem.values[items])
        if value > self.value and exact_sum(self.problem.weights[items]) <= self.problem.budget:
            prefix = np.arange(self.usable.size) < self.n_prefix
            self.removed, self.added = self.usable[prefix & ~chosen], self.usable[chosen & ~prefix]
            self.value = value

    def _adopt(self, attempt: BoundedSearch) -> int:
        """Take over an attempt's solutions, each added up exactly; the least cost of those that fit."""
        values, weights = self.problem.values, self.problem.weights
        least = 0
        for cost, removed, added in attempt.solutions():
            excess = exact_sum(weights[added]) - exact_sum(weights[removed]) - self.room
            for light in self.light:
                if excess > 0:
                    fresh = np.setdiff1d(light, removed)
                    removed = np.append(removed, fresh)
                    excess -= exact_sum(weights[fresh])
            if excess > 0:
                attempt.doubtful_cost = min(attempt.doubtful_cost, cost)
                continue
            least = min(least, cost)
            value = self.prefix_value + exact_sum(values[added]) - exact_sum(values[removed])
            if value > self.value:
                self.removed, self.added, self.value = removed, added, value
        return least
