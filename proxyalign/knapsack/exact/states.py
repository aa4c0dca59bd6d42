"""The compiled heart of the exact solver: a list of states to which the items of a core are offered one after another.

It knows integers alone: a state is a set of changes made to the greedy prefix, with the room left, the value paid for
it (`cost`, against the prefix) and the sum of the changes' reduced costs (`loss`). The same source runs compiled on
64-bit integers and, through `interpreted`, on Python's unbounded ones. What the numbers mean is said in `exact`.

Why no solution is lost. A solution is a set C of changes with room + (sum of moves) >= 0; `core` proves that then

    cost(C) + offset >= (sum of the losses of C) + lambda (room left unused),      every loss >= 0,       (1)
    cost(C) + second_offset >= (sum of the seconds of C).                                                  (2)

`advance` looks for a solution that costs less than `limit`. Of the states that have decided the first k changes it
drops three kinds, and none of them can be continued to one, or another state does as well:

* dominated: a state with no less room costs no more. Whatever continues the one continues the other. Both have
  decided the same changes; the kept one was seen when it was made, and is itself dropped for such reasons alone.
* by (1): loss + more >= limit + offset, where `more` is at most what every continuation adds to the right side of (1),
  rounded up to an integer, as the left side is one. A continuation with changes X from k on, removals of weight I and
  additions of weight A, leaves s = room + I - A >= 0 unused. `more` is the larger of two bounds:
  - linear (`linear_bound`), over the budget: I >= -room. Filling that with the removals of the least slopes, the last
    in part, is the least sum of slope times weight (Dantzig), and slope times weight is at most the loss. At least one
    removal is made, which loses no less than the least of them.
  - linear, within the budget: a continuation without an addition costs no less than the state, which
    was seen when it was made. So some addition is made: A >= its least weight, its loss at least their least, and
    I >= A - room. Also A + s >= room, where a unit of A loses at least the additions' least slope, and a unit of s
    loses lambda, which is no less: an addition loses lambda weight - value.
  - the group relaxation (`group_relaxation`), for either.
* by (2): other + (the negative seconds from k on) >= limit + second_offset.

Slopes and shares are integers in units of 2^-50, rounded down. All sums stay within 2^62: see `core`.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from proxyalign.compiled import compiled

SHARE_BITS = 50  # slopes and levels are integers in units of 2^-50
STEEPEST = (1 << SHARE_BITS) - 1
UNSURE = 4.0  # units by which a level between two grid points may be off, with room to spare
NEVER = 1 << 62  # a cost that nothing can pay, on 64 bits
NEVER_UNBOUNDED = 1 << 20000  # and where float64 numbers of any exponent have become integers
DONE, NEEDS_STATES, NEEDS_NODES, PAUSED = range(4)  # how `advance` ends
TINY = 1e-300  # instead of a division by nothing
GREEDY_TRIES = 8  # near misses that the greedy completion looks past


class States(NamedTuple):
    """Columns of a list of states, roomiest first and, with falling room, ever cheaper (no state is dominated)."""

    rooms: NDArray[np.int64]  # budget less weight; negative while over the budget
    costs: NDArray[np.int64]  # value of the prefix less this state's value
    losses: NDArray[np.int64]  # sum of the reduced costs of its changes
    seconds: NDArray[np.int64]  # and by the second prices
    nodes: NDArray[np.int64]  # its last change in the log, -1 for none


class Core(NamedTuple):
    """The items, cheapest per unit of weight first; what is left after the first k of them; those of the prefix."""

    moves: NDArray[np.int64]  # (n,) what the change adds to the room: positive where an item leaves the prefix
    gains: NDArray[np.int64]  # (n,) what it adds to the cost
    losses: NDArray[np.int64]  # (n,) its reduced cost, at least 0
    seconds: NDArray[np.int64]  # (n,) its reduced cost by the second prices, of either sign
    seconds_left: NDArray[np.int64]  # (n + 1,) the least that the changes from k on add to these
    slope_in: NDArray[np.int64]  # (n + 1,) least loss per weight of the removals from k on, in 2^-50
    slope_out: NDArray[np.int64]  # (n + 1,) the same of the additions
    least_in: NDArray[np.int64]  # (n + 1,) least loss of the removals from k on, NEVER where none is left
    least_out: NDArray[np.int64]  # (n + 1,)
    lightest_out: NDArray[np.int64]  # (n + 1,) least weight of the additions from k on
    in_before: NDArray[np.int64]  # (n + 1,) how many removals are among the first k items
    in_items: NDArray[np.int64]  # (m,) where the removals are
    in_weight: NDArray[np.int64]  # (m + 1,) running sums over the removals
    in_cost: NDArray[np.int64]  # (m + 1,)
    in_loss: NDArray[np.int64]  # (m + 1,) of slope times weight, rounded down, for the slopes are what orders them
    by_weight: NDArray[np.int64]  # (m,) the removals, lightest first
    sorted_weight: NDArray[np.int64]  # (m,) their weights


class Log(NamedTuple):
    """A growing forest of changes: following `parents` from a node to -1 tells a state's set."""

    parents: NDArray[np.int64]
    changes: NDArray[np.int64]  # which item
    doubts: NDArray[np.int64]  # nodes that fit, as rounded, but by so little that exact sums must decide


class Progress(NamedTuple):
    """Where a search stands: one-element columns, so that the compiled code can write to them."""

    item: NDArray[np.int64]
    n_states: NDArray[np.int64]
    n_nodes: NDArray[np.int64]
    n_doubts: NDArray[np.int64]
    flipped: NDArray[np.int64]  # 1 where the second list of states is the current one
    limit: NDArray[np.int64]  # only solutions of a lower cost are looked for
    best: NDArray[np.int64]  # (5,) the best one: node, first and last of a run of removals, two more removals
    visited: NDArray[np.int64]  # states looked at, in all


_int = types.int64
_column = types.int64[::1]
_floats = types.float64[::1]
_states = types.NamedUniTuple(_column, 5, States)
_core = types.NamedUniTuple(_column, 17, Core)
_log = types.NamedUniTuple(_column, 3, Log)
_progress = types.NamedUniTuple(_column, 8, Progress)


@compiled(_int(_int, _int), inline="always")
def product(amount: int, share: int) -> int:
    """floor(amount * share / 2^50) for |amount| <= 2^60 and share in [0, 2^51), without overflow."""
    high, low = amount >> 30, amount & 1073741823
    upper, lower = share >> 25, share & 33554431
    return ((high * upper) << 5) + ((((high * lower) << 5) + low * upper + ((low * lower) >> 25)) >> 25)


@compiled(_int(_int, _int), inline="always")
def product_up(amount: int, share: int) -> int:
    """The same rounded up."""
    return -product(-amount, share)


@compiled(_int(_column, _int, _int, _int), inline="always")
def first_at_least(column: NDArray[np.int64], start: int, stop: int, target: int) -> int:
    """The first index in [start, stop) whose entry is at least `target`, or `stop`; the entries rise."""
    while start < stop:
        middle = (start + stop) >> 1
        if column[middle] < target:
            start = middle + 1
        else:
            stop = middle
    return start


@compiled(_int(_int, _int, _int, _floats), inline="always")
def group_bound(room: int, modulus: int, unit: int, levels: NDArray[np.float64]) -> int:
    """Least loss that any changes need to use up `room`, rounded up, by the group relaxation (`group_levels`).

    The place on the grid of n cells is cell + rest / modulus, exactly: the quotient is off by at most 1, and products
    that leave 64 bits wrap around to the right difference. rest / modulus has a relative error below 2^-51, levels are
    below 2^51, so that what lies between two of them is off by less than UNSURE units.
    """
    n = len(levels) - 1
    place = int((-room) % modulus)
    cell = int(place / modulus * n)
    rest = place * n - cell * modulus
    if rest < 0:
        cell, rest = cell - 1, rest + modulus
    elif rest >= modulus:
        cell, rest = cell + 1, rest - modulus
    level = levels[cell] + (levels[cell + 1] - levels[cell]) * (rest / modulus) - UNSURE
    bound: int = product_up(unit, int(max(0.0, level)))
    return bound


@compiled(types.UniTuple(_int, 2)(_int, _int, _core), inline="always")
def linear_bound(room: int, k: int, core: Core) -> tuple[int, int]:
    """Least loss, unused room included, of what the changes from k on make of a state with `room`, by its weight alone.

    NEVER where they make no solution that is worth more than the state. Beside it, over the budget, the number of the
    removal that is taken in part, all those before it being taken whole; else -1.
    """
    if room >= 0:
        more = core.least_out[k]
        if more >= NEVER:
            return NEVER, -1
        if core.lightest_out[k] > room:
            more += product_up(core.lightest_out[k] - room, core.slope_in[k])
        return max(more, product_up(room, core.slope_out[k])), -1
    first, end = core.in_before[k], len(core.in_weight) - 1
    reached = core.in_weight[first] - room
    if core.in_weight[end] < reached:
        return NEVER, -1
    last = first_at_least(core.in_weight, first + 1, end, reached) - 1
    more = core.in_loss[last] - core.in_loss[first]
    more += product_up(reached - core.in_weight[last], core.slope_in[core.in_items[last]])
    return max(more, core.least_in[k]), last


@compiled(types.void(_int, _int, _column, _column, _int, _int, _floats, types.boolean[::1]))
def screen(
    limit: int,
    room: int,
    moves: NDArray[np.int64],
    losses: NDArray[np.int64],
    modulus: int,
    unit: int,
    levels: NDArray[np.float64],
    keep: NDArray[np.bool_],
) -> None:
    """keep[k] = whether a solution that makes change k may lose less than `limit`, starting from `room`."""
    for k in range(len(moves)):
        keep[k] = losses[k] + group_bound(room + moves[k], modulus, unit, levels) < limit


@compiled(_int(_int, _int, _int, _int, _int, _int, _int, _core, _column))
def complete(
    item: int,
    room: int,
    cost: int,
    first: int,
    last: int,
    limit: int,
    safe_room: int,
    core: Core,
    best: NDArray[np.int64],
) -> int:
    """Make a state over the budget fit, greedily, by removals after `item`; the cost where it is under `limit`.

    Takes the run of removals first..last-1 whole, then the lightest single one that suffices, or a pair. Writes what
    was taken to best[1:], and returns `limit` where nothing cheaper was found.
    """
    after = item
    if last > first:
        after = core.in_items[last - 1]
    room += core.in_weight[last] - core.in_weight[first]
    cost += core.in_cost[last] - core.in_cost[first]
    size = len(core.by_weight)
    enough = first_at_least(core.sorted_weight, 0, size, -room)
    single = enough
    while single < size and single < enough + GREEDY_TRIES and core.by_weight[single] <= after:
        single += 1
    if single < size and core.by_weight[single] > after:
        change = core.by_weight[single]
        if room + core.moves[change] >= safe_room and cost + core.gains[change] < limit:
            limit = cost + core.gains[change]
            best[1], best[2], best[3], best[4] = first, last, change, -1
    for larger in range(enough - 1, max(-1, enough - 1 - GREEDY_TRIES), -1):
        change = core.by_weight[larger]
        if change > after:
            left = room + core.moves[change]
            smaller = first_at_least(core.sorted_weight, 0, larger, -left)
            while smaller < larger and core.by_weight[smaller] <= after:
                smaller += 1
            if smaller < larger:
                other = core.by_weight[smaller]
                paid = cost + core.gains[change] + core.gains[other]
                if left + core.moves[other] >= safe_room and paid < limit:
                    limit = paid
                    best[1], best[2], best[3], best[4] = first, last, change, other
    return limit


@compiled(_int(_progress, _states, _states, _log, _core, _int, _int, _floats, _int, _int, _int, _int))
def advance(
    progress: Progress,
    list_a: States,
    list_b: States,
    log: Log,
    core: Core,
    modulus: int,
    unit: int,
    levels: NDArray[np.float64],
    offset: int,
    second_offset: int,
    safe_room: int,
    patience: int,
) -> int:
    """Offer the remaining items to the states until all are done, a column is full or `patience` states were seen.

    A state is kept while nothing dominates it (more room for no more cost) and while the least loss of a solution
    that continues it is below limit + offset, and by the second prices below limit + second_offset: the offsets turn
    costs into losses. Solutions with at least `safe_room` left lower the limit; those that fit by less are put down as
    doubts. Returns one of the four endings.
    """
    k, n, n_nodes, limit = progress.item[0], progress.n_states[0], progress.n_nodes[0], progress.limit[0]
    n_doubts, visited = progress.n_doubts[0], progress.visited[0]
    flipped, best = progress.flipped[0], progress.best
    enough = visited + patience
    ending = DONE
    while k < len(core.moves) and n > 0:
        if 2 * n > len(list_a.rooms):
            ending = NEEDS_STATES
            break
        if n_nodes + n > len(log.parents) or n_doubts + n > len(log.doubts):
            ending = NEEDS_NODES
            break
        if visited > enough:
            ending = PAUSED
            break
        old, new = (list_b, list_a) if flipped else (list_a, list_b)
        move, gain, extra, second = core.moves[k], core.gains[k], core.losses[k], core.seconds[k]
        most_second = second_offset - core.seconds_left[k + 1]
        cheapest = NEVER
        i, j, m = 0, 0, 0
        while i < n or j < n:
            # Merge the states as they are with the states changed, roomiest first.
            changed = i == n or (j < n and old.rooms[j] + move > old.rooms[i])
            source = j if changed else i
            room, cost, loss, other = old.rooms[source], old.costs[source], old.losses[source], old.seconds[source]
            if changed:
                room, cost, loss, other = room + move, cost + gain, loss + extra, other + second
                j += 1
            else:
                i += 1
            if cost >= cheapest:
                continue
            logged = False
            more, last = linear_bound(room, k + 1, core)
            if changed and cost < limit:
                if room >= safe_room:
                    limit, logged = cost, True
                    best[0], best[1], best[2], best[3], best[4] = n_nodes, 0, 0, -1, -1
                elif room >= 0:
                    logged = True
                    log.doubts[n_doubts] = n_nodes
                    n_doubts += 1
                elif last >= 0:
                    found = complete(k, room, cost, core.in_before[k + 1], last, limit, safe_room, core, best)
                    if found < limit:
                        limit, logged = found, True
                        best[0] = n_nodes
            keep = loss + more < limit + offset and other < limit + most_second
            keep = keep and loss + group_bound(room, modulus, unit, levels) < limit + offset
            node = old.nodes[source]
            if changed and (keep or logged):
                log.parents[n_nodes] = node
                log.changes[n_nodes] = k
                node = n_nodes
                n_nodes += 1
            if keep:
                cheapest = cost
                new.rooms[m], new.costs[m], new.losses[m], new.seconds[m], new.nodes[m] = room, cost, loss, other, node
                m += 1
        visited += 2 * n
        n = m
        flipped = 1 - flipped
        k += 1
    progress.item[0], progress.n_states[0], progress.n_nodes[0], progress.limit[0] = k, n, n_nodes, limit
    progress.n_doubts[0], progress.visited[0], progress.flipped[0] = n_doubts, visited, flipped
    return ending


@compiled(_floats(_column, _floats, _floats, _floats, _floats))
def least_shares(
    cells: NDArray[np.int64],
    offsets: NDArray[np.float64],
    losses: NDArray[np.float64],
    below: NDArray[np.float64],
    rise: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Per cell of a grid the least (loss - below) / rise among its items, infinite where none is.

    cells, offsets: where an item lies between two grid points; below, rise: at the grid points, linear in between.
    """
    least = np.full(len(rise) - 1, np.inf)
    for k in range(len(cells)):
        cell, share = cells[k], offsets[k]
        height = (1.0 - share) * rise[cell] + share * rise[cell + 1]
        space = losses[k] - ((1.0 - share) * below[cell] + share * below[cell + 1])
        least[cell] = min(least[cell], space / max(height, TINY))
    return least


@compiled(_floats(_floats))
def shortest_sums(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least sum of steps[k_1] + steps[k_2] + ... with k_1 + k_2 + ... = m modulo n, for every m (Dijkstra, dense).

    steps: (n,) integers in [0, 2^52), whose sums of two floats hold exactly. The sum of nothing is 0, for m = 0.
    """
    n = len(steps)
    sums = steps.copy()
    sums[0] = 0.0
    waiting = np.ones(n, dtype=np.bool_)
    waiting[0] = False
    for _ in range(n - 1):
        nearest, least = -1, np.inf
        for m in range(n):
            if waiting[m] and sums[m] < least:
                nearest, least = m, sums[m]
        waiting[nearest] = False
        for k in range(n - nearest):
            sums[nearest + k] = min(sums[nearest + k], least + steps[k])
        for k in range(n - nearest, n):
            sums[nearest + k - n] = min(sums[nearest + k - n], least + steps[k])
    return sums


def interpreted(function: Any) -> Callable[..., Any]:
    """The same source run by Python itself, whose integers never overflow, down to the functions that it calls."""
    source = function.py_func
    names = {name: source.__globals__[name] for name in source.__code__.co_names if name in source.__globals__}
    plain = {name: interpreted(part) if hasattr(part, "py_func") else part for name, part in names.items()}
    return FunctionType(source.__code__, {**source.__globals__, **plain, "NEVER": NEVER_UNBOUNDED}, source.__name__)
