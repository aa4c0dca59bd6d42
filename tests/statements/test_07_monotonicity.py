"""Statement 7: deferred sets and their mass grow with the budget and with alpha; so does the optimum."""

from hypothesis import given
from hypothesis import strategies as st
from strategies import laws, mass, value

from proxyalign.knapsack import DeferralProblem, dual, exact, lp_bound, primal

UNIT = st.floats(0.0, 1.0)


@given(law=laws(), one=UNIT, two=UNIT)
def test_the_primal_set_grows_with_the_budget(law, one, two):
    """Fails when the prefix depends on anything but the order and the budget."""
    small, large = (DeferralProblem.from_probs(law, budget=budget) for budget in sorted((one, two)))
    fewer, more = primal(small), primal(large)
    assert not (fewer.deferred & ~more.deferred).any()
    assert mass(small, fewer.deferred) <= mass(large, more.deferred)


@given(law=laws(), one=UNIT, two=UNIT)
def test_the_dual_set_grows_with_alpha(law, one, two):
    """Fails when the comparison is turned round."""
    problem = DeferralProblem.from_probs(law, budget=1.0)
    fewer, more = (dual(problem, alpha=alpha) for alpha in sorted((one, two)))
    assert not (fewer.deferred & ~more.deferred).any()
    assert fewer.mass <= more.mass


@given(law=laws(), one=UNIT, two=UNIT)
def test_the_optimum_and_its_bound_grow_with_the_budget(law, one, two):
    """Fails when a solver loses an optimum that it found with less."""
    small, large = (DeferralProblem.from_probs(law, budget=budget) for budget in sorted((one, two)))
    assert value(small, exact(small, gap=0.0).deferred) <= value(large, exact(large, gap=0.0).deferred)
    assert lp_bound(small).bound <= lp_bound(large).bound
