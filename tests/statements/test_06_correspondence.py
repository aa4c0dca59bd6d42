"""Statement 6 (stmt:correspondence in paper/theory.tex): primal(b) is dual(p_c), dual(alpha > 0) primal at its mass."""

import math

from hypothesis import given
from hypothesis import strategies as st
from strategies import check, dual_set_problem, knapsacks, law_problems

from proxyalign.knapsack import DeferralProblem, primal


@given(case=knapsacks(only_laws=True))
def test_primal_and_dual_are_one_but_inside_a_class_of_ties(case):
    """Fails for `<=` in the dual, a prefix off by one, a budget on a prefix that is too small, or an unstable sort."""
    check(6, case)


@given(problem=law_problems(), alpha=st.floats(1e-300, 1.0))
def test_the_dual_is_the_primal_at_the_mass_that_it_spends(problem, alpha):
    """Fails when a budget exactly on a prefix is taken for too small, or when the prefix takes one item more."""
    narrowed, deferred = dual_set_problem(problem, alpha=alpha)
    again = primal(DeferralProblem.from_probs(problem.weights, budget=min(1.0, narrowed.budget))).deferred
    extra = again & ~deferred
    # The budget is the mass rounded up to float64, which can leave room for a token lighter than the rounding.
    assert not (deferred & ~again).any()
    assert math.fsum(problem.weights[extra]) <= 2.0**-52 or narrowed.budget >= 1.0
