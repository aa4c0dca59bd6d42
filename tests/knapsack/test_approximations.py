"""The two approximations at their edges: exact budgets, ties, free tokens, thresholds met exactly, and `half`."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import laws, problems

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, dual, half, primal


def tokens(solution):
    return np.flatnonzero(solution.deferred).tolist()


@given(problem=problems())
def test_the_primal_is_the_longest_prefix_that_fits_in_rationals(problem):
    """Fails when float sums decide at the boundary, or when an item after the critical one is taken."""
    left, expected = Fraction(problem.budget), []
    for item in problem.order.tolist():
        left -= Fraction(float(problem.weights[item]))
        if left < 0:
            break
        expected.append(item)
    assert tokens(primal(problem)) == sorted(expected)


def test_a_prefix_exactly_on_the_budget_fits_and_one_rounding_less_does_not():
    """Fails when the comparison is strict, or when a tolerance lets an overspending prefix through."""
    law = np.array([0.125, 0.25, 0.625])
    assert tokens(primal(DeferralProblem.from_probs(law, 0.375))) == [0, 1]
    assert tokens(primal(DeferralProblem.from_probs(law, math.nextafter(0.375, 0)))) == [0]


def test_the_exact_sum_decides_and_not_its_float():
    """Fails for a float cumulative sum: ten times the float 0.1 is above 1, though the running sum is below it."""
    weights = np.full(10, 0.1)
    assert np.cumsum(weights)[-1] < 1 < sum(map(Fraction, weights.tolist()))
    assert primal(DeferralProblem(np.ones(10), weights, 1.0)).n_deferred == 9


def test_ties_go_to_the_lowest_index():
    """Fails when the sort is not stable."""
    assert tokens(primal(DeferralProblem.from_probs(np.full(64, 1 / 64), 3 / 64))) == [0, 1, 2]
    assert tokens(primal(DeferralProblem([2.0, 1.0, 2.0, 1.0], [2.0, 1.0, 2.0, 1.0], 3.0))) == [0, 1]


@pytest.mark.parametrize("as_values", [False, True], ids=["surprisal", "values"])
def test_ties_go_to_the_lowest_index_among_a_thousand_too(as_values):
    """Fails for an unstable sort that is stable on short rows, as NumPy's default is."""
    counts = np.random.default_rng(0).permutation(np.repeat([1.0, 2.0, 3.0, 8.0], 250))
    law = counts / counts.sum()
    cut = law[counts <= 2.0].sum() + 100.5 * law[counts == 3.0][0]
    problem = DeferralProblem.from_probs(law, cut)
    if as_values:
        problem = DeferralProblem(problem.values, problem.weights, problem.budget)
    expected = [*np.flatnonzero(counts <= 2.0), *np.flatnonzero(counts == 3.0)[:100]]
    assert tokens(primal(problem)) == sorted(expected)


@given(law=laws())
def test_free_tokens_are_deferred_at_a_budget_of_nothing(law):
    """Fails when a token of probability 0 counts as the worst instead of the cheapest."""
    assert np.array_equal(primal(DeferralProblem.from_probs(law, 0.0)).deferred, law == 0)
    assert np.array_equal(dual(DeferralProblem.from_probs(law, 0.0), multiplier=1e6).deferred, law == 0)


@given(law=laws(), data=st.data())
def test_a_token_exactly_at_the_threshold_is_kept(law, data):
    """Fails when the comparison is not strict, or when it goes through a rounded logarithm."""
    alpha = min(1.0, float(data.draw(st.sampled_from(law.tolist()))))
    deferred = dual(DeferralProblem.from_probs(law, 0.0), alpha).deferred
    assert np.array_equal(deferred, law < alpha)


def test_neighbouring_floats_fall_on_either_side_of_the_threshold():
    """Fails when -log p is compared: the logarithm makes ties of neighbours."""
    law = np.array([math.nextafter(0.3, 0), 0.3, 0.4])
    assert tokens(dual(DeferralProblem.from_probs(law, 0.0), 0.3)) == [0]


def test_for_other_values_the_threshold_is_on_the_density():
    """Fails when alpha is compared with the weights although the values are not surprisals."""
    problem = DeferralProblem([1.0, 5.0, 2.0], [1.0, 2.0, 1.0], 0.0)
    assert tokens(dual(problem, multiplier=2.0)) == [1]
    assert tokens(dual(problem, alpha=math.exp(-1.5))) == [1, 2]


def test_the_dual_ignores_the_budget_and_says_what_it_spent():
    """Fails when the budget cuts the set, or when the bound is that of the problem's own budget."""
    solution = dual(DeferralProblem.from_probs([0.25, 0.25, 0.5], 0.0), 0.4)
    assert tokens(solution) == [0, 1]
    assert solution.mass == 0.5
    assert solution.is_optimal
    assert solution.upper_bound >= solution.value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one"),
        ({"alpha": 0.5, "multiplier": 1.0}, "exactly one"),
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\]"),
        ({"alpha": math.nan}, r"alpha must be in \[0, 1\]"),
        ({"multiplier": -1.0}, "multiplier must be finite"),
        ({"multiplier": math.nan}, "multiplier must be finite"),
        ({"multiplier": math.inf}, "multiplier must be finite"),
    ],
)
def test_a_threshold_that_is_none_is_refused(arguments, message):
    """Fails when NaN passes a range check, or when one of two thresholds wins silently."""
    with pytest.raises(InputError, match=message):
        dual(DeferralProblem.from_probs([0.5, 0.5], 0.0), **arguments)


def test_the_dual_that_defers_nothing_of_weight_is_proved_optimal():
    """Fails when the price that proves it is a float64, and so below the density of a tiny weight."""
    solution = dual(DeferralProblem([1.0, 1.0], [5e-324, 0.0], 1.0), multiplier=np.finfo(np.float64).max)
    assert tokens(solution) == [1]
    assert (solution.value, solution.upper_bound, solution.is_optimal) == (1.0, 1.0, True)


def test_weightless_items_are_deferred_at_every_price_and_at_no_alpha_of_zero():
    """Fails when an alpha of 0, which stands for an infinite price, means one thing for surprisal and another else."""
    p, q = [0.0, 0.25, 0.75], [0.5, 0.25, 0.25]
    problems = [
        DeferralProblem.from_probs(p, 0.5),
        DeferralProblem.from_probs(p, 0.5, "advantage", q=q),
        DeferralProblem.from_probs(p, 0.5, "probability-gap", q=q),
        DeferralProblem([1.0, 1.0, 1.0], p, 0.5),
        DeferralProblem([0.0, 1.0, 1.0], p, 0.5),
    ]
    for problem in problems:
        assert tokens(dual(problem, alpha=0.0)) == tokens(dual(problem, alpha=0)) == []
        assert tokens(dual(problem, alpha=5e-324)) == [0]
        assert 0 in tokens(dual(problem, alpha=0.5))
        assert 0 in tokens(dual(problem, multiplier=0.0))
        assert tokens(dual(problem, multiplier=np.finfo(np.float64).max)) == [0]
    worth = dual(problems[3], alpha=0.0)
    assert (worth.value, worth.upper_bound, worth.is_optimal) == (0.0, 1.0, False)


def test_half_leaves_out_what_never_fits_and_swaps_a_poor_prefix_for_the_critical_item():
    """Fails when the first critical item, heavier than the budget, hides a good one behind it."""
    problem = DeferralProblem([100.0, 0.002, 1.0], [50.0, 0.001, 1.0], 1.0)
    assert tokens(half(problem)) == [2]
    assert tokens(half(DeferralProblem([1.0], [2.0], 1.0))) == []
