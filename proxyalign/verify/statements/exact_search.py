"""What the search of `exact` builds on, part by part: on small problems no bound that prunes is above what it bounds.

Statement 2 asks for optima; a defect that costs one now and then can hide from that behind the other bounds. So each
part is held against all sets of the problem, or against all ways to go on from all states, in rationals.
"""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack.exact import cardinality_bound, core, search, states
from proxyalign.knapsack.exact.solver import _Search
from proxyalign.knapsack.problem import DeferralProblem
from proxyalign.knapsack.rationals import exact_sum, prefix_that_fits
from proxyalign.verify.statements.claim import Claim

MOST_USABLE = 7  # items: 3^7 pairs of a state and a way to go on
WIDE = 2.0**-6  # share of the value that is taken for dust here, so that small problems have some
LITTLE = 3  # states after which a search is given up


class Parts:
    """A problem's prefix and all its sets, as the search sees them."""

    def __init__(self, problem: DeferralProblem) -> None:
        self.problem = problem
        keep = (problem.weights <= problem.budget) & (problem.weights > 0.0) & (problem.values > 0.0)
        self.usable = problem.order[keep[problem.order]]
        weights = problem.weights[self.usable]
        self.n_prefix = prefix_that_fits(weights, problem.budget)
        self.room = Fraction(problem.budget) - exact_sum(weights[: self.n_prefix])
        self.is_small = self.n_prefix < self.usable.size <= MOST_USABLE

    def sets(self) -> Iterator[tuple[NDArray[np.bool_], Fraction, Fraction]]:
        """(which usable items are changed, what the set is worth beside the prefix, room left >= 0) of all that fit."""
        n = self.usable.size
        columns = self.problem.values[self.usable], self.problem.weights[self.usable]
        values, weights = ([Fraction(x) for x in column.tolist()] for column in columns)
        signs = [-1 if k < self.n_prefix else 1 for k in range(n)]
        for changed in itertools.product((False, True), repeat=n):
            room = self.room - sum((signs[k] * weights[k] for k in range(n) if changed[k]), Fraction(0))
            if room >= 0:
                gain = sum((signs[k] * values[k] for k in range(n) if changed[k]), Fraction(0))
                yield np.array(changed), gain, room


def search_claims(problem: DeferralProblem) -> Iterator[Claim]:
    """The claims for one problem; none where it has too many items, or a prefix without a critical item."""
    parts = Parts(problem)
    if not parts.is_small:
        return
    best = max(gain for _, gain, _ in parts.sets())
    dusty = WIDE * float(exact_sum(problem.values[parts.usable[: parts.n_prefix]]))
    for ignored in (0.0, dusty):
        near = core.candidates(problem, parts.usable, parts.n_prefix, parts.room, ignored)
        relaxations = [core.integers(problem, near)]
        if ignored == 0.0:
            yield from candidate_claims(parts, near, best)
            yield from cardinality_claims(parts, relaxations[0])
            yield from complete_claims(cardinality_bound.with_most_items(relaxations[0]))
            relaxations.append(core.rationals(problem, near))
        for relaxation in relaxations:
            yield from relaxation_claims(parts, relaxation, best)
            yield from bound_claims(relaxation)
            yield from complete_claims(relaxation)
            if ignored == 0.0:
                yield from search_ends(parts, near, relaxation, best)


def candidate_claims(parts: Parts, near: core.Candidates, best: Fraction) -> Iterator[Claim]:
    """What is better than the prefix changes candidates alone, and is worth no more than the root's bound."""
    free = np.isin(parts.usable, near.items)
    others = sum(int((changed & ~free).sum()) for changed, gain, _ in parts.sets() if gain > 0)
    yield Claim("search: a better set changes candidates alone", others, 0, "==")
    yield Claim("search: OPT <= the root's bound", best, near.room * near.price + near.allowance)


def relaxation_claims(parts: Parts, relaxation: core.Relaxation, best: Fraction) -> Iterator[Claim]:
    """Each better set, in integers, fits, costs no more than in truth, and pays for what it loses."""
    classes = np.repeat(np.arange(relaxation.counts.size), relaxation.counts)
    class_of = dict(zip(relaxation.items.tolist(), classes.tolist(), strict=True))
    unit = Fraction(2) ** relaxation.value_bits
    lacking, dear, unpaid = 0, Fraction(-1), Fraction(-1)
    for changed, gain, _ in parts.sets():
        if gain > 0:
            made = [class_of[item] for item in parts.usable[changed].tolist() if item in class_of]
            left, cost, lost, _ = _sums(relaxation, made)
            lacking, dear = max(lacking, -left), max(dear, cost + gain * unit)
            unpaid = max(unpaid, lost + relaxation.price * left - cost - relaxation.offset)
    yield Claim("search: a set that fits does so in integers", lacking, 0)
    yield Claim("search: and costs no more there", dear, 0)
    yield Claim("search: and pays for all that it loses", unpaid, 0)
    levels = relaxation.levels(np.arange(relaxation.counts.size))
    proved = search.root_bound(relaxation, levels) - relaxation.offset
    yield Claim("search: OPT <= the group relaxation's bound", best * unit, max(0, -proved))


def _sums(relaxation: core.Relaxation, classes: list[int]) -> tuple[int, int, int, int]:
    """(room, cost, loss, second) of the prefix with these changes."""
    columns = (relaxation.moves, relaxation.gains, relaxation.losses, relaxation.seconds)
    room, cost, lost, second = (sum(int(column[k]) for k in classes) for column in columns)
    return relaxation.room + room, cost, lost, second


def bound_claims(relaxation: core.Relaxation) -> Iterator[Claim]:
    """From every state after every change: no way to go on to a solution loses less than a bound says."""
    classes = np.arange(relaxation.counts.size)
    _, items = core.build_core(relaxation, classes, int(relaxation.losses.sum()) + relaxation.offset + 1)
    moves, losses, n = [int(x) for x in items.moves], [int(x) for x in items.losses], len(items.moves)
    if n > MOST_USABLE:
        return
    of_group: Any
    linear: Any
    levels: Any
    of_group, linear, levels = states.group_bound, states.linear_bound, relaxation.levels(classes)
    if relaxation.is_exact:
        of_group, linear, levels = states.interpreted(of_group), states.interpreted(linear), levels.tolist()
    group_excess, linear_excess = Fraction(-1), Fraction(-1)
    for k in range(n + 1):
        later = [(moved, sum(losses[i] for i in some), adds) for some, moved, adds in _ways(moves, k, n)]
        for _, moved, _ in _ways(moves, 0, k):
            room = relaxation.room + moved
            paid = [(lost + relaxation.price * (room + more), adds) for more, lost, adds in later if room + more >= 0]
            # What is lost is an integer where a bound is, so that a bound may be rounded up.
            least = min((loss for loss, _ in paid), default=None)
            if least is not None:
                bound = int(of_group(room, relaxation.modulus, relaxation.offset, levels))
                group_excess = max(group_excess, bound - 1 - least)
            least = min((loss for loss, adds in paid if adds or room < 0), default=None)
            if least is not None:
                linear_excess = max(linear_excess, int(linear(room, k, items)[0]) - 1 - least)
    yield Claim("search: the group relaxation <= what is lost", group_excess, 0, "<")
    yield Claim("search: the linear relaxation <= what is lost", linear_excess, 0, "<")


def _ways(moves: list[int], first: int, end: int) -> Iterator[tuple[tuple[int, ...], int, bool]]:
    """(changes, what they add to the room, whether one is an addition) of every choice among these changes."""
    for size in range(end - first + 1):
        for some in itertools.combinations(range(first, end), size):
            yield some, sum(moves[i] for i in some), any(moves[i] <= 0 for i in some)


def complete_claims(relaxation: core.Relaxation) -> Iterator[Claim]:
    """A search for what costs one unit more than the cheapest solution in integers finds one that costs no more."""
    classes = np.arange(relaxation.counts.size)
    items = [(int(m), int(g)) for m, g, n in _columns(relaxation) for _ in range(n)]
    least = 0
    for size in range(len(items) + 1):
        for some in itertools.combinations(items, size):
            if relaxation.room + sum(move for move, _ in some) >= 0:
                least = min(least, sum(gain for _, gain in some))
    seek = search.BoundedSearch(relaxation, relaxation.levels(classes), least + 1, 2.0**30)
    seek.run(math.inf)
    found = min((cost for cost, _, _ in seek.solutions()), default=1)
    yield Claim("search: the cheapest solution in integers is found", min(found, 0), least)


def _columns(relaxation: core.Relaxation) -> Iterator[tuple[int, int, int]]:
    return zip(relaxation.moves.tolist(), relaxation.gains.tolist(), relaxation.counts.tolist(), strict=True)


def cardinality_claims(parts: Parts, relaxation: core.Relaxation) -> Iterator[Claim]:
    """By the second prices no set that fits costs less than they say, and what a set changes passes both screens."""
    priced = cardinality_bound.with_most_items(relaxation)
    class_of = dict(
        zip(priced.items.tolist(), np.repeat(np.arange(priced.counts.size), priced.counts).tolist(), strict=True)
    )
    levels = priced.levels(np.arange(priced.counts.size))
    unpaid, screened, least = Fraction(-1), 0, cardinality_bound.least_cost(priced)
    for changed, gain, _ in parts.sets():
        if gain <= 0:
            continue
        made = [class_of[item] for item in parts.usable[changed].tolist()]
        _, cost, _, second = _sums(priced, made)
        unpaid = max(unpaid, Fraction(second - cost - priced.second_offset), Fraction(least - cost))
        kept = search.screened(priced, levels, cardinality_bound.screened(priced, cost + 1), cost + 1)
        screened += len(set(made) - set(kept.tolist()))
    yield Claim("search: the price of an item <= what a set costs", unpaid, 0)
    yield Claim("search: what a set changes passes the screens", screened, 0, "==")


def search_ends(parts: Parts, near: core.Candidates, relaxation: core.Relaxation, best: Fraction) -> Iterator[Claim]:
    """A search that is given up early, again and again, proves no more than is true and finds no more than there is."""
    seek = _Search(parts.problem, parts.usable, parts.n_prefix, 0.0, math.inf, 2.0**29)
    seek.upper += near.room * near.price + near.allowance
    seek.deepen(relaxation, LITTLE)
    prefix = exact_sum(parts.problem.values[parts.usable[: parts.n_prefix]])
    yield Claim("search: OPT <= what a tired search proves", best, seek.upper - prefix)
    yield Claim("search: what it finds <= OPT", seek.value - prefix, best)
    if relaxation.is_exact:
        yield Claim("search: with unbounded integers it ends at OPT", seek.value - prefix, best, "==")
