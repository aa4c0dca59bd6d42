"""Statement 3: the better of the prefix and the critical item is worth at least half the optimum."""

from fractions import Fraction

from hypothesis import assume, given
from strategies import in_exact_order, mass, problems, value

from proxyalign.knapsack import DeferralProblem, brute_force, exact, half, lp_bound, primal


@given(problem=problems())
def test_the_better_of_prefix_and_critical_item_is_worth_half_the_optimum(problem):
    """Fails when only the prefix is looked at, or when a critical item heavier than the budget counts."""
    found = half(problem)
    assert mass(problem, found.deferred) <= Fraction(problem.budget)
    assert 2 * value(problem, found.deferred) >= value(problem, brute_force(problem).deferred)
    assert 2 * value(problem, found.deferred) >= value(problem, exact(problem).deferred)


@given(problem=problems())
def test_the_inequality_holds_as_stated_where_the_critical_item_fits_alone(problem):
    """Fails when the critical item is another than the first that does not fit."""
    critical = lp_bound(problem).critical
    assume(in_exact_order(problem))
    if critical is not None and problem.weights[critical] <= problem.budget:
        best = max(value(problem, primal(problem).deferred), Fraction(problem.values[critical]))
        assert 2 * best >= value(problem, brute_force(problem).deferred)


def test_half_is_attained_in_the_limit():
    """Shows that one half cannot be raised: a light dense item keeps out two heavy ones that would fill the budget."""
    problem = DeferralProblem(values=[0.011, 1.0, 1.0], weights=[0.01, 1.0, 1.0], budget=2.0)
    assert half(problem).value < 0.51 * exact(problem).value
