"""Statement 5 (Everett): the dual's set is an exact optimum for the budget that it spends; so is every {p < t}."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import dual_set_problem, general_problems, law_problems

from proxyalign.knapsack import DeferralProblem, brute_force, dual, exact, primal

ROUNDING = 1 - 1e-12  # values are rounded products, whose densities may change places within rounding


@given(problem=law_problems(), alpha=st.floats(0.0, 1.0))
def test_the_dual_is_optimal_for_the_mass_it_spends(problem, alpha):
    """Fails when the comparison in `dual` is turned round."""
    narrowed, deferred = dual_set_problem(problem, alpha=alpha)
    spent = narrowed.values[deferred].sum()
    assert spent >= brute_force(narrowed).value * ROUNDING
    assert spent >= exact(narrowed).value * ROUNDING
    assert dual(problem, alpha=alpha).is_optimal or spent < 1e-300  # where values round to subnormal numbers


@given(problem=general_problems(), multiplier=st.floats(0.0, 20.0))
def test_it_holds_for_any_values_and_weights(problem, multiplier):
    """Fails when zero weights are kept although they cost nothing."""
    narrowed, deferred = dual_set_problem(problem, multiplier=multiplier)
    assert narrowed.values[deferred].sum() >= brute_force(narrowed).value * ROUNDING


@given(problem=law_problems())
def test_every_prefix_is_optimal_for_its_own_mass(problem):
    """Fails when the primal's set skips a lighter token for a heavier one."""
    deferred = primal(problem).deferred
    if deferred.any():
        threshold = problem.weights[deferred].max()
        below = problem.weights <= threshold  # with the whole class of ties it is a set {p < t}
        mass = min(1.0, float(np.nextafter(problem.weights[below].sum(), 2.0)))
        best = exact(DeferralProblem(problem.values, problem.weights, mass)).value
        assert problem.values[below].sum() >= best * (1 - 1e-9)


@given(problem=law_problems(), alpha=st.floats(0.0, 1.0))
def test_the_bound_that_the_dual_reports_is_for_its_own_mass(problem, alpha):
    """Fails when the bound is that of the problem's budget, which the dual does not read."""
    narrowed, _ = dual_set_problem(problem, alpha=alpha)
    assert dual(problem, alpha=alpha).upper_bound >= brute_force(narrowed).value * ROUNDING
