"""Statement 5 (Everett): the dual's set is an exact optimum for the budget that it spends; so is every {p < t}."""

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import general_problems, in_exact_order, law_problems, mass, problems, value

from proxyalign.knapsack import dual, primal


def best_value(problem, spent):
    """The value of the best set whose mass is at most `spent`, a rational that need not be a float64."""
    sets = [(Fraction(0), Fraction(0))]
    for worth, weight in zip(problem.values.tolist(), problem.weights.tolist(), strict=True):
        sets += [(total + Fraction(worth), load + Fraction(weight)) for total, load in sets]
    return max(total for total, load in sets if load <= spent)


@given(problem=law_problems(), alpha=st.floats(0.0, 1.0))
def test_the_dual_is_optimal_for_the_mass_it_spends(problem, alpha):
    """Fails when the comparison in `dual` is turned round, or when it cannot prove what it has."""
    assume(in_exact_order(problem))
    solution = dual(problem, alpha=alpha)
    assert value(problem, solution.deferred) == best_value(problem, mass(problem, solution.deferred))
    assert solution.is_optimal


@given(problem=general_problems(), multiplier=st.floats(0.0, 20.0))
def test_it_holds_for_any_values_and_weights(problem, multiplier):
    """Fails when zero weights are kept although they cost nothing."""
    solution = dual(problem, multiplier=multiplier)
    assert value(problem, solution.deferred) == best_value(problem, mass(problem, solution.deferred))
    assert solution.is_optimal


@given(problem=law_problems())
def test_every_prefix_is_optimal_for_its_own_mass(problem):
    """Fails when the primal's set skips a lighter token for a heavier one."""
    assume(in_exact_order(problem))
    deferred = primal(problem).deferred
    assert value(problem, deferred) == best_value(problem, mass(problem, deferred))


@given(problem=problems(), multiplier=st.floats(0.0, 20.0))
def test_the_bound_that_the_dual_reports_is_for_its_own_mass(problem, multiplier):
    """Fails when the bound is that of the problem's budget, which the dual does not read."""
    solution = dual(problem, multiplier=multiplier)
    assert Fraction(solution.upper_bound) >= best_value(problem, mass(problem, solution.deferred))
