"""Statement 5 (stmt:everett in paper/theory.tex): the dual is optimal at its own mass; so is {p < t} with any ties."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import check, knapsacks, mass, problems

from proxyalign.knapsack import DeferralProblem, dual
from proxyalign.verify.reference.integer_knapsack import IntegerKnapsack
from proxyalign.verify.statements.one_step import sets_between


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
    best = IntegerKnapsack(problem.values, problem.weights, problem.budget).best(mass(problem, solution.deferred))
    assert Fraction(solution.upper_bound) >= best


def test_the_dual_proves_its_optimum_where_quotients_overflow():
    """Fails when the price that proves it is the first infinite quotient instead of the least of them."""
    problem = DeferralProblem(values=[0.3, 0.2, 0.2], weights=[5e-324, 5e-324, 5e-324], budget=1.0)
    solution = dual(problem, multiplier=1.0)
    assert solution.deferred.all()
    assert solution.is_optimal


def test_the_sets_between_are_all_of_them_or_the_ends_and_some():
    """Fails when only prefixes of the ties are tried: any choice among tokens of one probability is an optimum."""
    p = np.array([0.2, 0.1, 0.2, 0.3, 0.2])
    sets = {tuple(deferred.tolist()) for deferred in sets_between(p, 0.2, 8)}
    assert len(sets) == 8
    assert all(deferred[1] and not deferred[3] for deferred in sets)
    some = [deferred.sum() for deferred in sets_between(np.full(20, 0.05), 0.05, 8)]
    assert len(some) == 10
    assert (min(some), max(some)) == (0, 20)
