"""Statement 3 (stmt:half in paper/theory.tex): the better of prefix and critical item is worth half the optimum."""

from hypothesis import given
from strategies import check, knapsacks, problems, value

from proxyalign.knapsack import DeferralProblem, exact, half


@given(case=knapsacks())
def test_the_better_of_prefix_and_critical_item_is_worth_half_the_optimum(case):
    """Fails when only the prefix is looked at, or when a critical item heavier than the budget counts."""
    check(3, case)


@given(problem=problems())
def test_half_is_worth_half_of_what_exact_finds(problem):
    """Fails when exact finds more than all subsets hold."""
    assert 2 * value(problem, half(problem).deferred) >= value(problem, exact(problem).deferred)


def test_half_is_attained_in_the_limit():
    """Shows that one half cannot be raised: a light dense item keeps out two heavy ones that would fill the budget."""
    problem = DeferralProblem(values=[0.011, 1.0, 1.0], weights=[0.01, 1.0, 1.0], budget=2.0)
    assert half(problem).value < 0.51 * exact(problem).value
