"""Statement 7 (stmt:monotonicity in paper/theory.tex): sets, mass, bound and optimum grow with b and with alpha."""

from hypothesis import given
from strategies import UNIT, check, knapsacks, laws, value

from proxyalign.knapsack import DeferralProblem, exact


@given(case=knapsacks())
def test_sets_mass_bound_and_optimum_grow(case):
    """Fails when the prefix reads more than order and budget, a comparison is turned, or a solver loses an optimum."""
    check(7, case)


@given(law=laws(), one=UNIT, two=UNIT)
def test_the_optimum_grows_without_a_gap(law, one, two):
    """Fails when a solver with a gap of 0 loses an optimum that it found with less."""
    small, large = (DeferralProblem.from_probs(law, budget=budget) for budget in sorted((one, two)))
    assert value(small, exact(small, gap=0.0).deferred) <= value(large, exact(large, gap=0.0).deferred)
