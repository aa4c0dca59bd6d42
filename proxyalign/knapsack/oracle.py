"""Two solvers that share nothing with `exact`: a general integer programme through cvxpy, and every subset."""

import math
import os
import time
import warnings
from fractions import Fraction
from functools import lru_cache
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.approximations import GAP
from proxyalign.knapsack.bounds import lp_bound
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rational import exact_sum

MOST_ITEMS = 20  # 2^20 subsets take about two seconds

# What each solver needs. Zero gaps, since the default relative one of 1e-4 stops below the primal's own value; no
# presolve, since that of HiGHS 1.14 and 1.15 lost optima (ERGO-Code/HiGHS #3073, #3094, #3271); the tightest
# tolerances that HiGHS accepts, and its least threshold below which it takes a weight for zero.
OPTIONS: dict[str, dict[str, Any]] = {
    "HIGHS": {
        "presolve": "off",
        "output_flag": False,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": 0.0,
        "mip_feasibility_tolerance": 1e-10,
        "primal_feasibility_tolerance": 1e-10,
        "dual_feasibility_tolerance": 1e-10,
        "small_matrix_value": 1e-12,
    }
}

# HiGHS's tolerances are absolute: large numbers make them small beside the budget and the values. At 1 and 1,
# answers of 500 and 1,000 items were now and then over the budget by 1e-10, or short of the optimum by 1e-10.
BUDGET_SCALE = 2.0**20
VALUE_SCALE = 2.0**10
MOST_CUTS = 20  # far more than rounding has been seen to need

_GREETING = Lock()  # two threads that redirect stdout at once could put each other's redirection back


def oracle(problem: DeferralProblem, solver: str = "HIGHS", *, time_limit: float | None = None) -> Solution:
    """The set that a general integer programming solver finds, judged by our own arithmetic.

    The programme: maximise values @ d subject to weights @ d <= budget, d boolean, with the budget scaled to 2^20, the
    largest value to 2^10, and a zero gap. Items heavier than the budget are left out; weightless ones are deferred.

    The solver's word "optimal" is quoted in `method` and believed nowhere. Its answer is rounded to a set that is added
    up exactly; where the set is over the budget, as can happen within a feasibility tolerance, an inequality rules it
    out and the solver is asked again. If that does not end, the least dense items are dropped until the set fits, and
    `method` says "repaired". `upper_bound` is L(lambda*) of statement 4 over the items that fit, in exact rationals,
    and `is_optimal` means that the value meets it within 1e-12: seldom, since the integer optimum is mostly below the
    relaxation's. Compare the value with that of `exact` for more.

    solver: "HIGHS"; time_limit: seconds, None for no limit. Where the solver stops without an answer, the set is that
    of the weightless items. Raises InputError for a solver that is unknown or not installed, a limit that is not
    positive, and where cvxpy is missing.
    """
    if time_limit is not None and not time_limit > 0.0:
        raise InputError(f"oracle: time_limit must be above 0 seconds, got {time_limit}; pass None for no limit")
    cvxpy = _modelling(solver)
    deferred = problem.weights == 0.0
    usable = np.flatnonzero((problem.weights <= problem.budget) & ~deferred)
    claim = "nothing to choose"
    if usable.size:
        chosen, claim = _ask(cvxpy, problem, usable, solver, time_limit)
        fitting = _repaired(problem, chosen)
        claim += "" if fitting.size == chosen.size else ", over the budget, repaired"
        deferred[fitting] = True
    fits = problem.weights <= problem.budget
    bound = Fraction(0)
    if fits.any():
        bound = lp_bound(DeferralProblem(problem.values[fits], problem.weights[fits], problem.budget)).bound
    return problem.solution(deferred, bound, GAP, f"oracle ({solver}: {claim})")


def _modelling(solver: str) -> ModuleType:
    """The cvxpy module, or InputError where it or the solver is missing."""
    try:
        import cvxpy
    except ImportError as missing:
        raise InputError(
            "oracle: cvxpy must be installed, got none; run pip install 'proxyalign[oracle]' or use exact"
        ) from missing
    installed = [name for name in OPTIONS if name in cvxpy.installed_solvers()]
    if solver not in installed:
        raise InputError(
            f"oracle: solver must be an installed one of {', '.join(OPTIONS)}, got {solver!r} and the installed "
            f"{', '.join(installed) or 'none'}; choose one of them, or run pip install 'proxyalign[oracle]'"
        )
    _silence_greeting()
    return cvxpy  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _silence_greeting() -> None:
    """Have HiGHS greet where nobody reads it: 1.16 prints to C's stdout, once, before any option can be set."""
    import highspy

    with _GREETING:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # first, so that descriptor 1 exists even where stdout is closed
        stdout = os.dup(1)
        try:
            os.dup2(nowhere, 1)
            highspy.Highs()  # type: ignore[no-untyped-call]
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
            os.close(nowhere)


def _ask(
    cvxpy: ModuleType, problem: DeferralProblem, usable: NDArray[np.intp], solver: str, time_limit: float | None
) -> tuple[NDArray[np.intp], str]:
    """The indices that the solver chooses among `usable`, and the status that it claims.

    An answer that is over the budget is ruled out by its extended cover inequality, which every set within the budget
    satisfies (Balas 1975), and the solver is asked again, at most `MOST_CUTS` times.
    """
    deadline = math.inf if time_limit is None else time.perf_counter() + time_limit
    choice = cvxpy.Variable(usable.size, boolean=True)
    share = problem.weights[usable] / problem.budget * BUDGET_SCALE
    worth = problem.values[usable]
    if worth.max() > 0.0:
        worth = worth / worth.max() * VALUE_SCALE
    constraints = [share @ choice <= BUDGET_SCALE]
    chosen, claim = usable[:0], "stopped before an answer"
    for _ in range(1 + MOST_CUTS):
        left = deadline - time.perf_counter()
        if left <= 0.0:
            break
        programme = cvxpy.Problem(cvxpy.Maximize(worth @ choice), constraints)
        options = OPTIONS[solver] | ({} if left == math.inf else {"time_limit": left})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the status says that an answer may be inaccurate
                programme.solve(solver=solver, **options)
        except cvxpy.SolverError:
            return chosen, "failed"
        if choice.value is None:
            return chosen, f"{programme.status}, no answer"
        chosen, claim = usable[choice.value > 0.5], str(programme.status)
        cover = _minimal_cover(problem, chosen)
        if cover.size == 0:
            break
        extended = np.isin(usable, cover) | (problem.weights[usable] >= problem.weights[cover].max())
        constraints.append(cvxpy.sum(choice[np.flatnonzero(extended)]) <= cover.size - 1)
    return chosen, claim


def _minimal_cover(problem: DeferralProblem, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """The heaviest of `chosen`, as few as are over the budget together; none where all of them fit."""
    room, cover = Fraction(problem.budget), []
    for item in chosen[np.argsort(-problem.weights[chosen], kind="stable")].tolist():
        room -= Fraction(float(problem.weights[item]))
        cover.append(item)
        if room < 0:
            return np.array(cover, dtype=np.intp)
    return chosen[:0]


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
