"""Statement 5 (stmt:everett in paper/theory.tex): the dual's set is an optimum at its own mass; so is every {p < t}."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from strategies import check, knapsacks, mass, problems

from proxyalign.knapsack import DeferralProblem, dual
from proxyalign.verify.whole import Whole


@given(case=knapsacks())
def test_the_dual_and_every_threshold_is_optimal_for_the_mass_it_spends(case):
    """Fails when the comparison is turned round, zero weights are kept, or a set skips a lighter token."""
    check(5, case)


@given(case=knapsacks(only_laws=True))
def test_for_a_law_so_is_every_rule_with_a_threshold(case):
    """Fails when nudging, top-k, top-p, min-p, epsilon, eta or the confidence bet would defer another set."""
    check(5, case)


@given(problem=problems(), multiplier=st.floats(0.0, 20.0))
def test_the_bound_that_the_dual_reports_is_for_its_own_mass(problem, multiplier):
    """Fails when the bound is that of the problem's budget, which the dual does not read."""
    solution = dual(problem, multiplier=multiplier)
    best = Whole(problem.values, problem.weights, problem.budget).best(mass(problem, solution.deferred))
    assert Fraction(solution.upper_bound) >= best


def test_the_dual_proves_its_optimum_where_quotients_overflow():
    """Fails when the price that proves it is the first infinite quotient instead of the least of them."""
    problem = DeferralProblem(values=[0.3, 0.2, 0.2], weights=[5e-324, 5e-324, 5e-324], budget=1.0)
    solution = dual(problem, multiplier=1.0)
    assert solution.deferred.all()
    assert solution.is_optimal
