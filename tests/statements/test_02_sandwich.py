"""Statement 2: G <= OPT <= U < G + v_c, so the prefix lacks at most (b - W) e_c, for surprisal less than 1/e nats."""

import math
from fractions import Fraction

from hypothesis import given
from strategies import law_problems, problems, value

from proxyalign.knapsack import brute_force, exact, lp_bound, primal

ROUNDING = 1 + 1e-12  # densities are compared as float64 numbers


@given(problem=problems())
def test_the_optimum_lies_between_the_prefix_and_the_bound(problem):
    """Fails when the prefix takes an item too many (G > OPT) or the bound forgets the critical item (U < OPT)."""
    optimum = brute_force(problem).value
    assert primal(problem).value <= optimum <= lp_bound(problem).value * ROUNDING
    assert primal(problem).value <= exact(problem).value <= lp_bound(problem).value * ROUNDING


@given(problem=problems())
def test_the_bound_exceeds_the_prefix_by_less_than_the_critical_value(problem):
    """Fails when the item called critical would still have fit."""
    bound = lp_bound(problem)
    if bound.critical is None:
        assert bound.gap == 0.0
        return
    room = Fraction(problem.budget) - Fraction(float(primal(problem).mass))
    worth = Fraction(problem.values[bound.critical])
    assert bound.gap <= float(worth)
    assert worth == 0 or room * worth < worth * Fraction(problem.weights[bound.critical]) * Fraction(ROUNDING)


@given(problem=law_problems())
def test_with_surprisal_values_the_prefix_lacks_less_than_one_over_e(problem):
    """Fails for a prefix that stops early on a law with one large token."""
    gap = value(problem, brute_force(problem).deferred) - value(problem, primal(problem).deferred)
    assert 0 <= gap < Fraction(1 / math.e)


def test_the_gap_comes_near_one_over_e_in_the_limit():
    """Shows that 1/e cannot be lowered: a critical token of probability 1/e next to an almost empty prefix."""
    import numpy as np

    from proxyalign.knapsack import DeferralProblem

    critical = 1 / math.e
    law = np.array([1e-6, critical, 1 - critical - 1e-6])
    problem = DeferralProblem.from_probs(law, budget=critical)
    gap = exact(problem).value - primal(problem).value
    assert 0.999 / math.e < gap < 1 / math.e
