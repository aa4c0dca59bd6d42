"""Two solvers that share nothing with `exact`: a general integer programme through cvxpy, and every subset."""

import time
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.approximations import GAP
from proxyalign.knapsack.bounds import lp_bound
from proxyalign.knapsack.oracle.milp import ask, check_limit, modelling, usable_items
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rationals import exact_sum

SPARED = 2.0**-26  # of the budget, more than any tolerance of the solvers
MOST_ITEMS = 20  # 2^20 subsets take about two seconds


def oracle(problem: DeferralProblem, solver: str = "HIGHS", *, time_limit: float | None = None) -> Solution:
    """The set that a general integer programming solver finds, judged by our own arithmetic.

    The programme: maximise values @ d subject to weights @ d <= budget, d boolean, with the budget scaled to 2^20, the
    largest value to 2^10, and a zero gap. Items heavier than the budget are left out; weightless ones are deferred.

    The solver's word "optimal" is quoted in `method` and believed nowhere. Its answer is rounded to a set that is added
    up exactly; where the set is over the budget, as can happen within a feasibility tolerance, an inequality rules it
    out and the solver is asked again. If that does not end, as where thousands of sets of tied tokens are one rounding
    over the budget, it is asked for a set that spares 2^-26 of the budget; what is over the budget then loses its least
    dense items, the better of the two sets counts, and `method` says "repaired".

    `upper_bound` is L(lambda*) of statement 4 over the items that fit, in exact rationals, and `is_optimal` means that
    the value meets it within 1e-12: seldom, since the integer optimum is mostly below the relaxation's. Compare the
    value with that of `exact` for more; `oracle_verdict` judges the solver's first answer.

    solver: "HIGHS" or "SCIP"; time_limit: seconds, None for no limit. Where the solver stops without an answer, the set
    is that of the weightless items. Raises InputError for a solver that is unknown or not installed, a limit that is
    not positive, and where cvxpy is missing.
    """
    check_limit("oracle", time_limit)
    return answered(problem, [usable_items(problem)], solver, time_limit, "oracle")


def answered(
    problem: DeferralProblem,
    steps: list[NDArray[np.intp]],
    solver: str,
    time_limit: float | None,
    name: str,
) -> Solution:
    """The answer of `solver` for the usable items, step by step, as a set that fits, under our own bound."""
    modelling(name, solver)
    deferred = problem.weights == 0.0
    claim = "nothing to choose"
    if any(step.size for step in steps):
        start = time.perf_counter()
        asked = [step for step in steps if step.size]
        answer = ask(problem, asked, solver, time_limit)
        fitting, claim = _repaired(problem, answer.chosen), answer.claim
        if fitting.size < answer.chosen.size:
            claim += ", over the budget, repaired"
            left = None if time_limit is None else max(1e-9, time_limit - (time.perf_counter() - start))
            sparing = _repaired(problem, ask(problem, asked, solver, left, n_cuts=0, spared=SPARED).chosen)
            fitting = max(fitting, sparing, key=lambda chosen: exact_sum(problem.values[chosen]))
        deferred[fitting] = True
    return problem.solution(deferred, bound_of_usable(problem), GAP, f"{name} ({solver}: {claim})")


def bound_of_usable(problem: DeferralProblem) -> Fraction:
    """L(lambda*) of statement 4 over the items that fit the budget alone, in exact rationals."""
    fits = problem.weights <= problem.budget
    if not fits.any():
        return Fraction(0)
    return lp_bound(DeferralProblem(problem.values[fits], problem.weights[fits], problem.budget)).bound


def _repaired(problem: DeferralProblem, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """`chosen` without its least dense items, as many as it takes to fit the budget exactly."""
    budget, weight = Fraction(problem.budget), exact_sum(problem.weights[chosen])
    if weight <= budget:
        return chosen
    kept = chosen[np.argsort(-problem.densities[chosen], kind="stable")].tolist()
    while weight > budget:
        weight -= Fraction(float(problem.weights[kept.pop()]))
    return np.array(kept, dtype=np.intp)


def brute_force(problem: DeferralProblem) -> Solution:
    """The optimum of a problem of at most 20 items, by adding up every subset that fits, in exact integers.

    Of several optima the one that comes first when the subsets are counted in binary, item 0 the lowest bit.
    Raises InputError for more items.
    """
    n = len(problem)
    if n > MOST_ITEMS:
        raise InputError(f"brute_force: problem must have at most {MOST_ITEMS} items, got {n}; use exact")
    numbers = [Fraction(x) for x in [problem.budget, *problem.weights.tolist(), *problem.values.tolist()]]
    scale = max(number.denominator for number in numbers)  # powers of two, so the largest is a common one
    budget, *rest = (int(number * scale) for number in numbers)
    weights, values = rest[:n], rest[n:]
    best, best_members = 0, 0

    def extend(item: int, room: int, value: int, members: int) -> None:
        """Decide items `item`, ..., 0, leaving before taking, so that subsets come in the order of their bits."""
        nonlocal best, best_members
        if item < 0:
            if value > best:
                best, best_members = value, members
            return
        extend(item - 1, room, value, members)
        if weights[item] <= room:
            extend(item - 1, room - weights[item], value + values[item], members | 1 << item)

    extend(n - 1, budget, 0, 0)
    deferred = np.array([bool(best_members >> item & 1) for item in range(n)])
    return problem.solution(deferred, Fraction(best, scale), 0.0, "brute force")
