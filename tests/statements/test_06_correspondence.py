"""Statement 6: without ties primal(b) is dual(p_c); dual(alpha) is primal at its own mass; ties differ in one class."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import dual_set_problem, law_problems, mass

from proxyalign.knapsack import DeferralProblem, dual, primal


@given(problem=law_problems())
def test_primal_is_the_dual_at_the_critical_probability(problem):
    """Fails for `<=` in the dual, or a prefix off by one: outside the critical class both sets are the same."""
    by_budget = primal(problem).deferred
    if by_budget.all():
        assert mass(problem, by_budget) <= problem.budget
        return
    critical = problem.weights[~by_budget].min()
    by_threshold = dual(problem, alpha=min(1.0, critical)).deferred
    other_classes = problem.weights != critical
    assert np.array_equal(by_budget[other_classes], by_threshold[other_classes])
    assert not by_threshold[~other_classes].any()
    if (~other_classes).sum() == 1:
        assert np.array_equal(by_budget, by_threshold)


@given(problem=law_problems(), alpha=st.floats(1e-300, 1.0))
def test_the_dual_is_the_primal_at_the_mass_that_it_spends(problem, alpha):
    """Fails when a budget exactly on a prefix is taken for too small, or when the prefix takes one item more."""
    narrowed, deferred = dual_set_problem(problem, alpha=alpha)
    again = primal(DeferralProblem.from_probs(problem.weights, budget=min(1.0, narrowed.budget))).deferred
    extra = again & ~deferred
    # The budget is the mass rounded up to float64, which can leave room for a token lighter than the rounding.
    assert not (deferred & ~again).any()
    assert math.fsum(problem.weights[extra]) <= 2.0**-52 or narrowed.budget >= 1.0


@given(problem=law_problems())
def test_ties_are_deferred_from_the_lowest_index(problem):
    """Fails for an unstable sort."""
    deferred = primal(problem).deferred
    for probability in np.unique(problem.weights):
        chosen = deferred[problem.weights == probability]
        assert np.array_equal(chosen, np.sort(chosen)[::-1])
