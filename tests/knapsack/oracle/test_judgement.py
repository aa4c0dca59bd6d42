"""The verdict on a solver's answer: exact sums, proved bounds and known values, whatever the solver says."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, brute_force, exact
from proxyalign.knapsack.oracle.judgement import TOLERANCE, oracle_verdict
from proxyalign.knapsack.oracle.milp import Answer
from tests.strategies import problems

pytest.importorskip("cvxpy")
module = importlib.import_module("proxyalign.knapsack.oracle.judgement")
SMALL = DeferralProblem.from_probs([0.3, 0.25, 0.2, 0.15, 0.1], budget=0.56)
SOLVERS = ("HIGHS", "SCIP")


def answering(monkeypatch, chosen, claim="optimal", is_claimed=True):
    answer = Answer(np.array(chosen, dtype=np.intp), claim, is_claimed)
    monkeypatch.setattr(module, "ask", lambda *arguments, **options: answer)


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_optimum_is_certified_by_the_bound_of_exact_and_by_no_word_of_the_solver(solver):
    """Fails when the solver's claim certifies, or a proved bound that the value meets does not."""
    verdict = oracle_verdict(SMALL, solver, exact(SMALL))
    assert (verdict.judgement, verdict.over_budget, verdict.shortfall) == ("certified", 0.0, 0.0)
    assert verdict.value == brute_force(SMALL).value
    unproved = oracle_verdict(SMALL, solver)
    assert unproved.claim == "optimal"
    assert unproved.judgement == "within tolerance"
    assert unproved.gap > 0.01


def test_a_set_over_the_budget_is_wrong_and_says_by_how_much(monkeypatch):
    """Fails when an infeasible set passes because it is worth more than any that fits."""
    answering(monkeypatch, [0, 1, 2])
    verdict = oracle_verdict(SMALL, known=exact(SMALL))
    assert verdict.judgement == "wrong"
    assert verdict.over_budget == pytest.approx(0.75 / 0.56 - 1)
    assert verdict.shortfall == 0.0


def test_a_set_below_a_known_value_is_wrong_only_where_it_is_called_optimal(monkeypatch):
    """Fails when a solver that stopped early is blamed for what it did not claim, or a false claim is let through."""
    answering(monkeypatch, [2, 3, 4])
    best = brute_force(SMALL).value
    verdict = oracle_verdict(SMALL, known=best)
    assert verdict.judgement == "wrong"
    assert verdict.shortfall == pytest.approx(1 - verdict.value / best)
    answering(monkeypatch, [2, 3, 4], "user_limit", False)
    assert oracle_verdict(SMALL, known=best).judgement == "unfinished"
    answering(monkeypatch, [], "failed", False)
    assert oracle_verdict(SMALL).judgement == "unfinished"


def test_the_greedy_value_is_known_without_being_told(monkeypatch):
    """Fails when an answer below what anyone can find passes: HiGHS's default gap of 1e-4 once gave one."""
    answering(monkeypatch, [4])
    assert oracle_verdict(SMALL).judgement == "wrong"


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_budget_missed_by_a_rounding_is_within_tolerance_and_not_certified(solver):
    """Fails when 0.1 + 0.2 counts as at most 0.3, or a last bit counts as much as a wrong answer."""
    problem = DeferralProblem(values=[1.0, 2.0], weights=[0.1, 0.2], budget=0.3)
    verdict = oracle_verdict(problem, solver, exact(problem))
    assert verdict.judgement == "within tolerance"
    assert 0.0 < verdict.over_budget < 1e-15
    assert verdict.value == 3.0


@settings(max_examples=30)
@given(problem=problems())
def test_certified_means_optimal(problem):
    """Fails when a certified set is over the budget or worth less than some set within it."""
    truth = brute_force(problem)
    verdict = oracle_verdict(problem, known=truth)
    assert verdict.judgement in ("certified", "within tolerance")
    if verdict.judgement == "certified":
        assert verdict.over_budget == 0.0
        assert verdict.value >= truth.value * (1 - 1e-12)
    assert verdict.over_budget <= TOLERANCE
    assert verdict.shortfall <= TOLERANCE


def test_the_plain_model_is_asked_with_nobodys_options(monkeypatch):
    """Fails when the comparison with the solvers' own defaults is made with ours."""
    import cvxpy

    asked = []
    solve = cvxpy.Problem.solve
    monkeypatch.setattr(cvxpy.Problem, "solve", lambda self, **options: asked.append(options) or solve(self, **options))
    verdict = oracle_verdict(SMALL, known=exact(SMALL), as_it_comes=True)
    assert asked == [{"solver": "HIGHS"}]
    assert verdict.solver == "HIGHS, as it comes"
    assert verdict.judgement == "certified"


def test_mistakes_are_told_in_one_sentence():
    """Fails when a value that no set can have, or a solution of another problem, is taken for known."""
    for known in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"known must be finite and at least 0, got {known}"):
            oracle_verdict(SMALL, known=known)
    other = brute_force(DeferralProblem.from_probs([0.5, 0.5], 0.5))
    with pytest.raises(InputError, match="known must be of the same 5 items, got a solution of 2"):
        oracle_verdict(SMALL, known=other)
    with pytest.raises(InputError, match="solver must be an installed one of HIGHS, SCIP, got 'GUESS'"):
        oracle_verdict(SMALL, "GUESS")
    with pytest.raises(InputError, match="time_limit must be above 0 seconds, got nan"):
        oracle_verdict(SMALL, time_limit=float("nan"))
