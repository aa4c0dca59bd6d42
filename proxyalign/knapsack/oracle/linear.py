"""The linear relaxation as a general solver sees it: a second route to Dantzig's bound and to lambda* (statement 4)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.bounds import dual_function
from proxyalign.knapsack.oracle.milp import OPTIONS, modelling
from proxyalign.knapsack.problem import DeferralProblem

SCALE = 2.0**10  # of the largest share and the largest value, so that HiGHS's absolute tolerances are small beside them


@dataclass(frozen=True, eq=False)
class LPOptimum:
    """The solver's two answers to the linear relaxation, equal by strong duality up to its tolerances.

    value: the primal's, values @ fractions; fractions: (n,) float64 in [0, 1], how much of each item is deferred;
    multiplier: the dual variable lambda of the budget, in value per weight; dual_value: L(lambda) at it, added up in
    rationals and rounded up, so that it bounds the integer optimum whatever the solver did.
    """

    value: float
    fractions: NDArray[np.float64]
    multiplier: float
    dual_value: float


def lp_relaxation(problem: DeferralProblem) -> LPOptimum:
    """Maximise values @ d subject to weights @ d <= budget and 0 <= d <= 1, with cvxpy and HiGHS (statements 1 and 4).

    `value` and `dual_value` equal `lp_bound(problem).value`; where the budget ends inside the critical item, lambda is
    determined and equals `lp_bound(problem).multiplier`. Raises InputError where cvxpy or HiGHS is missing.
    """
    cvxpy = modelling("lp_relaxation", "HIGHS")
    unit = max(problem.budget, float(problem.weights.max())) or 1.0
    worth = float(problem.values.max()) or 1.0
    fraction = cvxpy.Variable(len(problem), bounds=[0, 1])
    spending = problem.weights / unit * SCALE @ fraction <= problem.budget / unit * SCALE
    programme = cvxpy.Problem(cvxpy.Maximize(problem.values / worth * SCALE @ fraction), [spending])
    solve_linear("lp_relaxation", programme)
    fractions = np.clip(fraction.value, 0.0, 1.0)
    multiplier = max(0.0, float(np.ravel(spending.dual_value)[0]) * worth / unit)
    return LPOptimum(float(problem.values @ fractions), fractions, multiplier, dual_function(problem, multiplier))


def solve_linear(owner: str, programme: Any) -> None:
    """Solve a cvxpy problem without integers by HiGHS, as exactly as it can; InputError where that has no answer."""
    options = {name: value for name, value in OPTIONS["HIGHS"].items() if not name.startswith("mip_")}
    programme.solve(solver="HIGHS", **options)
    if programme.status not in ("optimal", "optimal_inaccurate"):
        raise InputError(f"{owner}: HiGHS must solve the relaxation, got {programme.status!r}; scale the numbers")
