"""Statement 21 (stmt:near-optimal in paper/theory.tex): a set at the prefix's price is worth 1 - eps of the optimum."""

import pytest
from hypothesis import given
from strategies import check, knapsacks, value

from proxyalign.knapsack import DeferralProblem, exact, near_optimal, primal


@given(case=knapsacks())
def test_a_near_optimal_set_is_worth_what_it_is_said_to_be(case):
    """Fails when a set, or the rule's, is worth less than 1 - eps of the optimum, or its bound is below that."""
    check(21, case)


@pytest.mark.parametrize("eps", [0.3, 0.1, 0.01])
def test_it_is_better_than_the_prefix_where_that_is_not_good_enough(eps):
    """Fails when the prefix is returned whatever eps: here it leaves nearly half of the optimum."""
    problem = DeferralProblem(values=[0.011, 1.0, 1.0], weights=[0.01, 1.0, 1.0], budget=2.0)
    assert primal(problem).value < 0.51 * exact(problem).value
    assert value(problem, near_optimal(problem, eps).deferred) >= (1 - eps) * exact(problem).value
