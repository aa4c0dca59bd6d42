"""Statement 2: G <= OPT <= U < G + v_c, so the prefix lacks at most (b - W) e_c, for surprisal less than 1/e nats."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import assume, given
from strategies import in_exact_order, law_problems, mass, problems, value

from proxyalign.knapsack import DeferralProblem, brute_force, exact, lp_bound, primal


@given(problem=problems())
def test_the_optimum_lies_between_the_prefix_and_the_bound(problem):
    """Fails when the prefix takes an item too many (G > OPT) or the bound forgets the critical item (U < OPT)."""
    prefix, upper = value(problem, primal(problem).deferred), lp_bound(problem).bound
    assert prefix <= value(problem, brute_force(problem).deferred) <= upper
    assert prefix <= value(problem, exact(problem).deferred) <= upper


@given(problem=problems())
def test_the_bound_exceeds_the_prefix_by_less_than_the_critical_value(problem):
    """Fails when the item called critical would still have fit."""
    assume(in_exact_order(problem))
    bound, deferred = lp_bound(problem), primal(problem).deferred
    prefix = value(problem, deferred)
    if bound.critical is None:
        assert bound.bound == prefix
        return
    worth = Fraction(problem.values[bound.critical])
    assert bound.bound == prefix + (Fraction(problem.budget) - mass(problem, deferred)) * bound.price
    assert bound.bound < prefix + worth or bound.bound - prefix == worth == 0


@given(problem=law_problems())
def test_with_surprisal_values_the_prefix_lacks_less_than_one_over_e(problem):
    """Fails for a prefix that stops early on a law with one large token."""
    gap = value(problem, brute_force(problem).deferred) - value(problem, primal(problem).deferred)
    assert 0 <= gap < Fraction(1 / math.e)


def test_the_gap_comes_near_one_over_e_in_the_limit():
    """Shows that 1/e cannot be lowered: a critical token of probability 1/e next to an almost empty prefix."""
    critical = 1 / math.e
    law = np.array([1e-6, critical, 1 - critical - 1e-6])
    problem = DeferralProblem.from_probs(law, budget=critical)
    gap = exact(problem).value - primal(problem).value
    assert 0.999 / math.e < gap < 1 / math.e
