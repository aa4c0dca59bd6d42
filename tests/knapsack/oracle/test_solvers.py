"""The oracle against every subset and against `exact`, and what it says where the solver's answer cannot be used."""

import importlib
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, brute_force, exact, exact_sum, oracle
from proxyalign.knapsack.oracle.milp import Answer
from tests.strategies import problems

pytest.importorskip("cvxpy")
module = importlib.import_module("proxyalign.knapsack.oracle.solvers")
SOLVERS = ("HIGHS", "SCIP")
BUDGETS = [0.0, 0.05, 0.1, 0.3, 0.5, 0.9, 1.0]
SMALL = DeferralProblem.from_probs([0.3, 0.25, 0.2, 0.15, 0.1], budget=0.56)  # the last three fit, 0.25 beats 0.15


def law(generator, size):
    """A flat to peaked law, every fourth one with ties."""
    p = generator.dirichlet(np.full(size, generator.choice([0.05, 0.3, 1.0, 5.0])))
    tied = np.round(p * 8) + 1.0
    return p if generator.integers(4) else tied / tied.sum()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", range(8))
def test_oracle_brute_force_and_exact_agree_on_small_problems(seed, solver):
    """Fails when presolve, a default gap or a tolerance costs the solver the optimum, or either of ours misses it."""
    generator = np.random.default_rng(seed)
    for _ in range(20):
        problem = DeferralProblem.from_probs(law(generator, generator.integers(1, 12)), generator.choice(BUDGETS))
        truth = brute_force(problem)
        assert exact(problem, gap=0.0).value == truth.value
        answer = oracle(problem, solver)
        assert answer.value == pytest.approx(truth.value, rel=1e-12, abs=0.0)
        assert "repaired" not in answer.method


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("size", "budget"), [(200, 0.3), (500, 0.1), (1000, 0.7)])
def test_oracle_and_exact_agree_on_large_problems(size, budget, solver):
    """Fails when the solver's tolerances show beside the weights of hundreds of tokens."""
    problem = DeferralProblem.from_probs(np.random.default_rng(size).dirichlet(np.full(size, 0.3)), budget)
    answer, truth = oracle(problem, solver), exact(problem)
    assert truth.is_optimal
    assert answer.value == pytest.approx(truth.value, rel=1e-9)
    assert answer.value <= truth.upper_bound


@pytest.mark.parametrize("solver", SOLVERS)
@settings(max_examples=30)
@given(problem=problems())
def test_what_the_oracle_returns_fits_and_its_bound_holds(solver, problem):
    """Fails when a set is over the budget by any amount, or the bound is below what some subset is worth."""
    answer, truth = oracle(problem, solver), brute_force(problem)
    assert exact_sum(problem.weights[answer.deferred]) <= Fraction(problem.budget)
    assert answer.value <= truth.value <= answer.upper_bound
    assert not answer.is_optimal or answer.value >= truth.value * (1 - 1e-12)


def test_an_answer_over_the_budget_is_repaired_and_says_so(monkeypatch):
    """Fails when a solver's tolerance reaches the caller as a solution, or a repaired set calls itself optimal."""
    monkeypatch.setattr(module, "ask", lambda problem, steps, *rest, **options: Answer(steps[0], "optimal", True))
    answer = oracle(SMALL)
    assert answer.deferred.tolist() == [False, False, True, True, True]
    assert answer.method == "oracle (HIGHS: optimal, over the budget, repaired)"
    assert not answer.is_optimal


@pytest.mark.parametrize("solver", SOLVERS)
def test_sums_that_only_rounding_makes_fit_are_ruled_out_one_by_one(solver):
    """Fails when 0.1 + 0.2 is taken for 0.3, as every solver's tolerance has it, or costs more than it has to."""
    weights = [0.1, 0.2, 0.1, 0.2, 0.05]
    problem = DeferralProblem(values=[1.0, 2.0, 1.0, 2.0, 0.25], weights=weights, budget=0.3)
    answer = oracle(problem, solver)
    assert answer.value == brute_force(problem).value == 2.25
    assert "repaired" not in answer.method


@pytest.mark.parametrize("solver", SOLVERS)
def test_tied_tokens_that_miss_the_budget_by_a_rounding_cost_no_more_than_they_have_to(solver):
    """Fails when hundreds of sets that are one rounding over the budget end in a set that drops a token too many."""
    counts = [2, 1, 1, 2, 1, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1]
    law = np.array(counts) / sum(counts)
    problem = DeferralProblem.from_probs(law, budget=math.nextafter(0.5, 0.0))
    answer, truth = oracle(problem, solver), exact(problem)
    assert truth.is_optimal
    assert answer.value == pytest.approx(truth.value, rel=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_without_an_answer_only_free_tokens_are_deferred(solver):
    """Fails when a solver that stopped or failed raises, or its silence passes for an optimum."""
    flat = np.random.default_rng(1).dirichlet(np.full(2000, 5.0))
    problem = DeferralProblem.from_probs([0.0, *flat], budget=0.05)
    answer = oracle(problem, solver, time_limit=1e-9)
    assert answer.deferred[0]
    assert answer.mass <= 0.05
    assert not answer.is_optimal
    assert answer.value < answer.upper_bound


def test_the_claim_of_the_solver_is_not_passed_on():
    """Fails when `is_optimal` repeats the solver's word: it is true only where our own bound meets the value."""
    answer = oracle(SMALL)
    assert answer.method == "oracle (HIGHS: optimal)"
    assert answer.value == brute_force(SMALL).value < answer.upper_bound
    assert not answer.is_optimal
    assert oracle(DeferralProblem.from_probs([0.4, 0.35, 0.25], budget=1.0)).is_optimal


def test_a_library_caller_finds_nothing_of_the_solver_on_stdout():
    """Fails when HiGHS greets: compiled code writes to the descriptor, which Python's own redirection does not see."""
    code = """
import os
from proxyalign.knapsack import DeferralProblem, oracle
print("before", flush=True)
print(oracle(DeferralProblem.from_probs([0.3, 0.25, 0.2, 0.15, 0.1], budget=0.56)).n_deferred, flush=True)
os.write(1, b"after")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("before\n3\nafter", "")


def test_mistakes_name_what_is_installed(monkeypatch):
    """Fails when an unknown solver, a bad limit or a missing package ends in a traceback of another library."""
    with pytest.raises(InputError, match=r"solver must be .* HIGHS, SCIP, got 'GUESS'.*proxyalign\[oracle\]"):
        oracle(SMALL, solver="GUESS")
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match=f"time_limit must be above 0 seconds, got {limit}"):
            oracle(SMALL, time_limit=limit)
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(InputError, match=r"pip install 'proxyalign\[oracle\]'"):
        oracle(SMALL)


def test_brute_force_refuses_what_would_not_end_and_prefers_low_indices():
    """Fails when 21 items are tried, or a tie goes to a later subset."""
    with pytest.raises(InputError, match="at most 20 items, got 21; use exact"):
        brute_force(DeferralProblem.from_probs(np.full(21, 1 / 21), budget=0.5))
    tied = brute_force(DeferralProblem.from_probs(np.full(4, 0.25), budget=0.5))
    assert tied.deferred.tolist() == [True, True, False, False]
    assert (tied.value, tied.mass, tied.is_optimal) == (tied.upper_bound, 0.5, True)
