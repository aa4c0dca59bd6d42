"""The contest of solvers: who is judged by what, and that `exact` can lose it."""

import dataclasses
import importlib

import numpy as np
import pytest

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, brute_force, exact
from proxyalign.knapsack.oracle import other_solvers
from proxyalign.knapsack.oracle.comparison import SOLVERS, contest, summary
from proxyalign.knapsack.oracle.instances import pisinger
from proxyalign.knapsack.oracle.judgement import Reply
from proxyalign.knapsack.oracle.other_solvers import Apart, Case, answer_of

pytest.importorskip("cvxpy")
pytest.importorskip("ortools")
module = importlib.import_module("proxyalign.knapsack.oracle.comparison")


def law_case(size, seed=0, budget=0.3):
    law = np.random.default_rng(seed).dirichlet(np.ones(size))
    return Case(f"law {size}", "laws", DeferralProblem.from_probs(law, budget))


def test_every_solver_is_certified_on_easy_cases_or_says_what_it_lacks():
    """Fails when an answer is judged on another problem than it was asked, OR-tools' integers above all."""
    instance = pisinger("uncorrelated", 40, 0)
    cases = [law_case(12), law_case(60), Case("class", "classes", instance.problem, instance)]
    records = contest(cases, limit=30)
    assert [record["name"] for record in records] == ["law 12", "law 60", "class"]
    for record in records:
        assert tuple(record["answers"]) == SOLVERS
        for solver in ("exact", "HiGHS zero-gap", "SCIP zero-gap", "OR-tools"):
            assert record["answers"][solver]["judgement"] in ("certified", "within tolerance"), (record["name"], solver)
        assert record["answers"]["exact"]["judgement"] == "certified"
    lines = {line["solver"]: line for line in summary(records)}
    assert (lines["exact"]["n"], lines["exact"]["certified"], lines["exact"]["slower"]) == (3, 3, 1.0)
    assert lines["OR-tools"]["wrong"] == lines["exact"]["wrong"] == 0


def test_exact_is_wrong_where_a_rival_finds_more(monkeypatch):
    """Fails when the value to reach is that of `exact` itself, so that it could not lose."""
    case = law_case(10)

    def poor(problem, time_limit):
        return dataclasses.replace(exact(problem), deferred=np.zeros(len(problem), dtype=bool))

    monkeypatch.setattr(module, "exact", poor)
    (record,) = contest([case], limit=30, rivals=["OR-tools"])
    assert record["answers"]["exact"]["judgement"] == "wrong"
    assert record["answers"]["OR-tools"]["value"] == pytest.approx(brute_force(case.problem).value)


def test_a_set_over_the_budget_sets_no_mark_for_others(monkeypatch):
    """Fails when the worth of an infeasible answer makes a right one look short."""

    def everything(self, rival, case, limit):
        return Reply(np.ones(len(case.problem), dtype=bool), "optimal", True, 0.0)

    monkeypatch.setattr(other_solvers.Apart, "ask", everything)
    (record,) = contest([law_case(10)], limit=30, rivals=["HiGHS"])
    assert record["answers"]["HiGHS"]["judgement"] == "wrong"
    assert record["answers"]["HiGHS"]["over_budget"] > 1.0
    assert record["answers"]["exact"]["judgement"] == "certified"
    assert summary([record])[1]["over_budget"] == 1


def test_a_solver_that_does_not_keep_its_limit_is_stopped_and_the_next_one_is_asked_all_the_same(monkeypatch):
    """Fails when one solver that goes on for ever holds up the contest: HiGHS went on for 6 minutes over one."""
    slow, quick = law_case(20_000, budget=0.05), law_case(12)
    monkeypatch.setattr(other_solvers, "GRACE", -0.999)
    with Apart() as apart:
        stopped = apart.ask("HiGHS", slow, 1.0)
        assert (stopped.claim, stopped.is_claimed) == ("did not keep the limit and was stopped", False)
        assert not stopped.deferred.any()
        monkeypatch.setattr(other_solvers, "GRACE", 60.0)
        answer = apart.ask("HiGHS", quick, 10.0)
    assert answer.deferred.tolist() == answer_of("HiGHS", quick, 10.0).deferred.tolist()


def test_mistakes_are_told_before_anything_is_solved(monkeypatch):
    """Fails when an unknown rival, a limit of nothing or no instance is found out after an hour."""
    with pytest.raises(InputError, match=r"rivals must be among .*OR-tools, got 'Gurobi'"):
        contest([law_case(5)], limit=1, rivals=["Gurobi"])
    with pytest.raises(InputError, match="limit must be a positive number of seconds, got nan"):
        contest([law_case(5)], limit=float("nan"))
    with pytest.raises(InputError, match="there must be an instance to solve, got none"):
        contest([], limit=1)
    monkeypatch.setitem(importlib.sys.modules, "ortools.algorithms.python.knapsack_solver", None)
    with pytest.raises(InputError, match=r"pip install 'proxyalign\[oracle,bench\]'"):
        contest([law_case(5)], limit=1, rivals=["OR-tools"])
