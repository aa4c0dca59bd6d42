"""Problems: what is refused and in which words, the values made from laws, and what a solution says of itself."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from strategies import laws, problems, value

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, brute_force, dual, exact, primal, surprisal

HALVES = np.array([0.5, 0.5])


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([[0.5, 0.5]], "one non-empty row"),
        ([], "one non-empty row"),
        ([0.5, math.nan], "finite and at least 0, got nan at index 1"),
        ([math.inf, 0.5], "finite and at least 0, got inf at index 0"),
        ([1.5, -0.5], "finite and at least 0, got -0.5 at index 1"),
        ([0.5, 0.498], "sum to 1 within 0.001"),
        ([0.5, 0.502], "sum to 1 within 0.001"),
        ([0.5 + 0j, 0.5], "real numbers"),
        ([True, False], "real numbers"),
        (["a", "b"], "real numbers"),
    ],
)
def test_what_is_no_law_is_refused_by_the_name_of_its_fault(p, message):
    """Fails when a check is dropped, or when NaN passes a comparison."""
    with pytest.raises(InputError, match=message):
        DeferralProblem.from_probs(p, budget=0.1)


@pytest.mark.parametrize("budget", [-1e-9, 1.0000001, math.nan, math.inf])
def test_a_budget_outside_the_unit_interval_is_refused(budget):
    """Fails when NaN passes the range check, or when an end of the interval is forgotten."""
    with pytest.raises(InputError, match=r"budget must be in \[0, 1\]"):
        DeferralProblem.from_probs(HALVES, budget)


@pytest.mark.parametrize("budget", [True, "0.1", None])
def test_a_budget_that_is_no_number_is_refused(budget):
    """Fails when a bool counts as 1 or a string reaches the arithmetic."""
    with pytest.raises(InputError, match="budget must be a number"):
        DeferralProblem.from_probs(HALVES, budget)


@pytest.mark.parametrize("budget", [-1.0, math.nan, math.inf])
def test_a_general_budget_may_be_any_finite_mass(budget):
    """Fails when the general constructor asks for a probability, or takes what is no mass."""
    assert DeferralProblem([1.0], [3.0], 17.0).budget == 17.0
    with pytest.raises(InputError, match="budget must be finite and at least 0"):
        DeferralProblem([1.0], [3.0], budget)


def test_values_and_weights_of_different_shapes_are_refused():
    """Fails when broadcasting hides the mistake."""
    with pytest.raises(InputError, match="one shape"):
        DeferralProblem([1.0], [1.0, 2.0], 1.0)


def test_sums_that_overflow_are_refused():
    """Fails when an infinite total reaches the solvers."""
    with pytest.raises(InputError, match="finite sum"):
        DeferralProblem([1e308, 1e308], [1.0, 1.0], 1.0)


def test_the_advantage_needs_a_proxy_over_the_same_vocabulary():
    """Fails when q is ignored, or when its shape is not compared."""
    with pytest.raises(InputError, match="pass q"):
        DeferralProblem.from_probs(HALVES, 0.1, "advantage")
    with pytest.raises(InputError, match="one shape"):
        DeferralProblem.from_probs(HALVES, 0.1, "advantage", q=[1.0])
    with pytest.raises(InputError, match="value_model must be one of surprisal, advantage"):
        DeferralProblem.from_probs(HALVES, 0.1, "regret")


@given(law=laws())
def test_surprisal_values_are_minus_p_log_p_and_nothing_at_zero(law):
    """Fails when 0 log 0 is NaN, or when the logarithm has another base."""
    problem = DeferralProblem.from_probs(law, 0.5)
    expected = [-p * math.log(p) if 0 < p < 1 else 0.0 for p in law.tolist()]
    np.testing.assert_allclose(problem.values, expected, rtol=1e-14, atol=0)
    assert np.array_equal(problem.weights, law)
    assert np.all(problem.densities[law == 0] == np.inf)


def test_surprisal_takes_arrays_of_any_shape_and_is_never_negative():
    """Fails when 0 log 0 is NaN, when a float32 law that exceeds 1 by a rounding costs nats, or for -0.0."""
    given_law = np.array([[0.0, 0.5], [1.0, 1.0000001]])
    assert surprisal(given_law).tolist() == [[0.0, 0.5 * math.log(2)], [0.0, 0.0]]
    assert not np.signbit(surprisal(given_law)).any()


def test_the_probability_gap_is_what_the_base_lacks():
    """Fails when the gap is taken the wrong way round, or a token that the base never draws is forgotten."""
    problem = DeferralProblem.from_probs([0.5, 0.25, 0.25, 0.0], 0.5, "probability-gap", q=[0.25, 0.5, 0.0, 0.25])
    assert problem.values.tolist() == [0.0, 0.25, 0.0, 0.25]


def test_single_precision_laws_are_taken_as_they_are():
    """Fails when float32 input is renormalised or rounded again, so that another optimum than that of p comes out."""
    p = np.array([0.7, 0.2, 0.1], dtype=np.float32)
    problem = DeferralProblem.from_probs(p, 0.3)
    assert problem.weights.tolist() == [float(x) for x in p]


def test_advantage_values_reward_what_the_proxy_likes_better():
    """Fails when a token that the proxy likes less gets a negative value, or when a zero of either law gives NaN."""
    problem = DeferralProblem.from_probs([0.5, 0.25, 0.25, 0.0], 0.5, "advantage", q=[0.25, 0.5, 0.0, 0.25])
    np.testing.assert_allclose(problem.values, [0.0, 0.25 * math.log(2), 0.0, 0.0], rtol=1e-15)


def test_a_budget_of_one_buys_all_where_rounding_makes_the_sum_exceed_one():
    """Fails when a law that sums to 1 + 1e-7 leaves its likeliest token out at a budget of 1."""
    law = np.full(1000, np.float32(0.001) * np.float32(1.0000001)).astype(np.float64)
    assert sum(map(Fraction, law.tolist())) > 1
    assert primal(DeferralProblem.from_probs(law, 1.0)).deferred.all()


def test_the_problem_keeps_a_read_only_copy():
    """Fails when a later change of the caller's array changes the problem."""
    law = HALVES.copy()
    problem = DeferralProblem.from_probs(law, 0.5)
    law[:] = 0.0
    assert np.array_equal(problem.weights, HALVES)
    with pytest.raises(ValueError, match="read-only"):
        problem.weights[0] = 1.0


@given(problem=problems())
def test_an_upper_bound_is_above_the_exact_value_and_its_rounding(problem):
    """Fails when the bound of an optimum is its value rounded to nearest, which half of the time is rounded down."""
    for solution in (primal(problem), dual(problem, alpha=0.3), brute_force(problem), exact(problem, gap=0.0)):
        assert Fraction(solution.upper_bound) >= value(problem, solution.deferred)
        assert solution.upper_bound >= solution.value


def test_the_bound_of_an_optimum_is_rounded_up():
    """Fails when 0.1 + 0.7, of which the nearest float64 is below the sum, is its own upper bound."""
    solution = brute_force(DeferralProblem([0.1, 0.7], [1.0, 1.0], 2.0))
    assert Fraction(solution.value) < Fraction(0.1) + Fraction(0.7) <= Fraction(solution.upper_bound)
    assert solution.is_optimal


def test_a_solution_counts_its_tokens_and_cannot_be_changed():
    """Fails when n_deferred counts kept tokens, or when the set can be written to."""
    solution = primal(DeferralProblem.from_probs([0.7, 0.1, 0.2], 0.15))
    assert solution.n_deferred == 1
    assert (solution.mass, solution.method) == (0.1, "primal")
    with pytest.raises(ValueError, match="read-only"):
        solution.deferred[0] = True


def test_a_claim_that_its_own_set_refutes_is_no_solution():
    """Fails when a solver's set above the budget, or above its bound by less than any float tells, gets through."""
    problem = DeferralProblem([1.0, 0.1], [1.0, 0.1], 1.0)
    both, one = np.array([True, True]), np.array([True, False])
    with pytest.raises(RuntimeError, match=r"^mine: its set weighs 1.1, more than the budget of 1.0; please report"):
        problem.solution(both, Fraction(2), 0.0, "mine")
    assert problem.solution(both, Fraction(2), 0.0, "mine", within=False).mass == 1.1
    with pytest.raises(
        RuntimeError, match=r"^mine: its set is worth 1.0, more than its upper bound of 1.0; please report"
    ):
        problem.solution(one, 1 - Fraction(1, 2**2000), 0.0, "mine")
    assert problem.solution(one, Fraction(1), 0.0, "mine").is_optimal
    tight = problem.at_budget(0.1)
    assert tight.solution(~one, Fraction(1), 0.0, "mine").mass == 0.1


def test_every_sum_of_an_admitted_problem_is_a_float():
    """Fails when the value of all items overflows on its way into a solution."""
    largest = float(np.finfo(np.float64).max)
    problem = DeferralProblem([largest / 2, largest / 2], [largest / 2, largest / 2], largest)
    assert primal(problem).value == primal(problem).mass == exact(problem).value == largest
