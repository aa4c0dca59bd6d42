"""The integer optimum of one step's knapsack, certified: a core algorithm on scaled integers, judged in rationals.

In the manner of Pisinger's MINKNAP (Oper. Res. 1997): start from the greedy prefix, keep a list of undominated states,
offer them the items nearest the critical density first, bound and prune. Three things make full vocabularies easy:

* bounds that see integrality: beside the linear relaxation, a group relaxation (`circle`) that knows that unused room
  has to be filled by items of the weights that exist;
* a target instead of an incumbent: search for a solution within `target` of the proved bound, which prunes nearly all
  states; if there is none the target is a new proved bound, and the search starts again with a wider one;
* items that occur several times, as they do where a model computes in 32 or 16 bits, enter once with a multiplicity.

Weights and values are rounded to integers in the direction that favours deferring, so that the integer problem is a
relaxation; solutions must fit with the sum of all roundings to spare, or are added up exactly before they count.
"""

import math
import time
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.attempt import Attempt, root_bound
from proxyalign.knapsack.core import Relaxation, candidates, integers, rationals
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rational import exact_sum, prefix_that_fits

FIRST_TARGET = 12  # the first target is 2^-12 of the proved loss; most steps end there
WIDER = 8  # by which a target that holds no solution grows


def exact(
    problem: DeferralProblem,
    *,
    gap: float = 1e-12,
    time_limit: float | None = None,
    memory_limit: float = 2.0**29,
) -> Solution:
    """The set of largest value within the budget, with a proved upper bound.

    gap: `is_optimal` is true iff the proved bound exceeds the value by at most `gap` times the value, both compared
    as exact rationals; 0 asks for the last bit and repeats the search with unbounded integers where 64 bits cannot
    tell. time_limit: seconds, None for no limit; memory_limit: bytes for the lists of states. Where a limit ends the
    search, the best set found is returned with the bound proved so far and `is_optimal` false.

    Raises InputError for a gap or a limit outside its range.
    """
    if not 0.0 <= gap < math.inf:
        raise InputError(f"exact: gap must be finite and at least 0, got {gap}; pass 0 for the last bit")
    if time_limit is not None and not time_limit > 0.0:
        raise InputError(f"exact: time_limit must be above 0 seconds, got {time_limit}; pass None for no limit")
    if not memory_limit > 0.0:
        raise InputError(f"exact: memory_limit must be above 0 bytes, got {memory_limit}; leave it out for 512 MiB")
    deadline = math.inf if time_limit is None else time.perf_counter() + time_limit
    free = problem.weights == 0.0
    # An item heavier than the budget is in no solution, and a worthless one in no need of being.
    usable = problem.order[((problem.weights <= problem.budget) & ~free & (problem.values > 0.0))[problem.order]]
    n_prefix = prefix_that_fits(problem.weights[usable], problem.budget)
    search = _Search(problem, usable[:n_prefix], gap, deadline, memory_limit)
    if n_prefix < usable.size:
        near = candidates(problem, usable, n_prefix)
        search.upper += near.room * Fraction(near.price) + Fraction(near.allowance)
        if not search.is_closed():
            search.deepen(integers(problem, near))
        if not search.is_closed() and not search.is_stopped:
            search.deepen(rationals(problem, near))
    chosen = free.copy()
    chosen[usable[:n_prefix]] = True
    chosen[search.removed] = False
    chosen[search.added] = True
    return problem.solution(chosen, exact_sum(problem.values[free]) + search.upper, gap, "exact")


class _Search:
    """The best set and the best bound so far, and the searches that bring them together."""

    def __init__(
        self, problem: DeferralProblem, prefix: NDArray[np.intp], gap: float, deadline: float, memory_limit: float
    ) -> None:
        self.problem = problem
        self.gap = Fraction(gap)
        self.deadline = deadline
        self.memory_limit = memory_limit
        self.is_stopped = False  # by a limit
        self.removed, self.added = prefix[:0], prefix[:0]  # the best set is the prefix without and with these
        self.prefix_value = self.value = exact_sum(problem.values[prefix])
        self.room = Fraction(problem.budget) - exact_sum(problem.weights[prefix])
        self.upper = self.value  # no set is worth more; the caller adds what the relaxation allows

    def is_closed(self) -> bool:
        """Whether the bound is within the gap."""
        return self.upper - self.value <= self.gap * self.value

    def deepen(self, relaxation: Relaxation) -> None:
        """Search for solutions ever further above the proved bound, until one is found or a limit ends it."""
        unit = Fraction(2) ** relaxation.value_bits
        best = math.ceil((self.prefix_value - self.value) * unit)  # costs count from the prefix, best is at most 0
        classes = np.arange(relaxation.counts.size)
        levels = relaxation.levels(classes)
        proved = root_bound(relaxation, levels) - relaxation.offset
        target = max(1, -proved >> FIRST_TARGET, int(self.gap * self.value * unit))
        while True:
            self.upper = min(self.upper, self.prefix_value - min(proved, 0) / unit)
            if proved >= best or self.is_closed() or self.is_stopped:
                return
            # With the best set known to the last bit, unbounded integers have only to prove it.
            limit = best if relaxation.is_exact else min(proved + target, best)
            attempt = Attempt(relaxation, levels, limit, self.memory_limit)
            self.is_stopped = not attempt.run(self.deadline)
            best = min(best, self._adopt(attempt))
            if self.is_stopped:
                return
            if attempt.doubtful_cost < best:
                # Rounding hides whether a set of this cost fits: no wider target can tell, only unbounded integers.
                self.upper = min(self.upper, self.prefix_value - attempt.doubtful_cost / unit)
                return
            proved, target = min(limit, best), WIDER * target

    def _adopt(self, attempt: "Attempt") -> int:
        """Take over an attempt's solutions, each added up exactly; the least cost of those that fit."""
        values, weights = self.problem.values, self.problem.weights
        least = 0
        for cost, removed, added in attempt.solutions():
            if exact_sum(weights[added]) - exact_sum(weights[removed]) > self.room:
                attempt.doubtful_cost = min(attempt.doubtful_cost, cost)
                continue
            least = min(least, cost)
            value = self.prefix_value + exact_sum(values[added]) - exact_sum(values[removed])
            if value > self.value:
                self.removed, self.added, self.value = removed, added, value
        return least
