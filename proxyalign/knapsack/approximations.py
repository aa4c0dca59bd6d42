"""The paper's two approximations: the prefix by density that fits the budget, and the Lagrangian threshold."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.arguments import real, shown
from proxyalign.knapsack.bounds import certificate, lp_bound, quotient
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rationals import by_falling_ratio, exact_sum, prefix_that_fits

GAP = 1e-12  # relative gap below which an approximation is called optimal, as in `exact`
HIGHEST_PRICE = Fraction(2) ** 2098  # no value of float64 is worth it for any weight but 0


def primal(problem: DeferralProblem) -> Solution:
    """Take the longest prefix by falling density that fits the budget (Kad's primal; Dantzig 1957; statements 1 to 3).

    Ties go to the lowest index, zero weights come first, and "fits" means the exact sum of the float64 weights. The
    upper bound is the linear relaxation's, so `is_optimal` says only whether the prefix meets that.
    """
    deferred = np.zeros(len(problem), dtype=np.bool_)
    deferred[problem.order[: prefix_that_fits(problem.weights[problem.order], problem.budget)]] = True
    return problem.solution(deferred, lp_bound(problem).bound, GAP, "primal")


def half(problem: DeferralProblem) -> Solution:
    """The better of the prefix and the critical item alone: at least half the optimum (statement 3).

    An item heavier than the whole budget is in no solution and is left out before the prefix is taken, so that the
    critical item always fits.
    """
    usable = problem.weights <= problem.budget
    inner = DeferralProblem(problem.values[usable], problem.weights[usable], problem.budget) if usable.any() else None
    deferred = np.zeros(len(problem), dtype=np.bool_)
    if inner is None:
        return problem.solution(deferred, Fraction(0), GAP, "half")
    chosen, relaxed = primal(inner).deferred, lp_bound(inner)
    if relaxed.critical is not None and Fraction(inner.values[relaxed.critical]) > exact_sum(inner.values[chosen]):
        chosen = np.arange(len(inner)) == relaxed.critical
    deferred[np.flatnonzero(usable)[chosen]] = True
    return problem.solution(deferred, relaxed.bound, GAP, "half")


def dual(problem: DeferralProblem, alpha: float | None = None, *, multiplier: float | None = None) -> Solution:
    """Defer every item whose density v / w is above the multiplier (Kad's dual; Everett 1963; statements 4 to 7).

    alpha: threshold in [0, 1], exp(-lambda); with surprisal values the set is p < alpha, compared as float64, so that
    a token of probability alpha is kept. multiplier: lambda >= 0 itself, finite; the set is density > lambda, which
    weightless items are in. Pass one of the two. Without surprisal values, alpha stands for lambda = -log(alpha).
    An alpha of 0 stands for lambda = infinity, which no density is above: it defers nothing, whatever the values, and
    no weightless item either, as the rule `Dual(alpha=0)` is the base alone.

    The problem's budget is not read: the set spends the mass that it spends, and `mass` MAY EXCEED the budget. The
    upper bound and `is_optimal` are those of the problem whose budget is that mass (statement 5).
    """
    if (alpha is None) == (multiplier is None):
        raise InputError(
            f"dual: pass alpha or multiplier, got alpha={shown(alpha)} and multiplier={shown(multiplier)}; "
            "give exactly one"
        )
    if alpha is not None:
        # Rounded up, since p < alpha for the float64 p if and only if p is below the next float64.
        alpha = real("dual", "alpha", alpha, "pass exp(-lambda), or multiplier=lambda", up=True)
        if not 0.0 <= alpha <= 1.0:
            raise InputError(f"dual: alpha must be in [0, 1], got {alpha}; pass exp(-lambda), or multiplier=lambda")
    if multiplier is not None:
        multiplier = real("dual", "multiplier", multiplier, "pass lambda = -log(alpha)")
        if not 0.0 <= multiplier < math.inf:
            raise InputError(
                f"dual: multiplier must be finite and at least 0, got {multiplier}; pass lambda = -log(alpha)"
            )
    deferred = _threshold_set(problem, alpha, multiplier)
    spent = exact_sum(problem.weights[deferred])
    # L(lambda) for the budget that the set spends is its value and what the kept items could still add; any lambda
    # proves a bound, and the density of the cheapest deferred item proves the best one.
    paid = np.flatnonzero(deferred & (problem.weights > 0.0))
    price = HIGHEST_PRICE
    if paid.size:
        with np.errstate(over="ignore"):
            quotients = problem.values[paid] / problem.weights[paid]
        # Rounding never turns an order round, but it can make one number, or infinity, of two quotients.
        cheapest = paid[quotients == quotients.min()]
        last = by_falling_ratio(problem.values[cheapest], problem.weights[cheapest])[-1]
        price = quotient(problem, int(cheapest[last]))
    upper = certificate(problem, price).bound + price * (spent - Fraction(problem.budget))
    return problem.solution(deferred, upper, GAP, "dual", within=False)


def _threshold_set(problem: DeferralProblem, alpha: float | None, multiplier: float | None) -> NDArray[np.bool_]:
    """(n,) bool: p < alpha for surprisal values, else density > lambda, which is infinite for an alpha of 0."""
    if problem.value_model == "surprisal" and alpha is not None:
        return problem.weights < alpha
    if multiplier is None:
        multiplier = -math.log(alpha) if alpha else math.inf
    return problem.densities > multiplier
