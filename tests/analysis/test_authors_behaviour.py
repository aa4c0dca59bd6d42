"""What the authors' code does differently: the experiment runs, and its record says what the README says."""

import importlib
import json
from pathlib import Path

import pytest

import proxyalign as pa
from proxyalign.deferral import rules

module = importlib.import_module("analysis.experiments.authors_behaviour")
ROOT = Path(__file__).parent.parent.parent
RECORDED = ROOT / "analysis" / "recorded" / "authors_behaviour.json"
FRESH = 3  # questions


@pytest.fixture(scope="module", params=["fresh", "recorded"])
def record(request):
    if request.param == "recorded":
        return json.loads(RECORDED.read_text())
    return {"profile": {"questions": FRESH}, **module.run(pa.load_pair("lab", offline=True), FRESH, 0)}


def test_every_case_is_decoded_on_both_tasks(record):
    """Fails when a case or a task is left out, or a number is out of its range."""
    asked = [(task, case.difference, case.whose) for task in module.TASKS for case in module.CASES]
    assert [(run["task"], run["difference"], run["whose"]) for run in record["runs"]] == asked
    for run in record["runs"]:
        assert run["n"] == record["profile"]["questions"]
        assert run["accuracy"] == run["n_correct"] / run["n"]
        assert 0 <= run["standard_error"] <= 0.5
        assert 0 <= run["deferral_mass"] <= 1
        assert 0 <= run["acceptance_rate"] <= 1


def test_one_budget_a_window_and_greedy_tempering_defer_less(record):
    """Fails when a reproduction does not do what makes it one: spend less of its budget, or defer nothing at all."""
    mass = {(run["task"], run["difference"], run["whose"]): run["deferral_mass"] for run in record["runs"]}
    for task in module.TASKS:
        assert mass[task, "tempering first, greedy", "authors"] == 0 < mass[task, "tempering first, greedy", "ours"]
        if record["profile"]["questions"] > FRESH:  # else the replies, which differ, decide
            assert mass[task, "one budget a window", "authors"] < mass[task, "one budget a window", "ours"]


def test_the_cascade_and_its_mirror_are_two_laws(record):
    """Fails when the two directions are taken for one rule, or a distance is none."""
    assert len(record["directions"]) == len(module.TASKS) * len(module.ALPHAS) * len(rules.CRITERIA)
    for line in record["directions"]:
        assert 0 <= line["total_variation"] < 1
        assert line["n_laws"] >= record["profile"]["questions"]
    for criterion in rules.CRITERIA:
        lines = [line for line in record["directions"] if line["published"].startswith(f"cascade-{criterion}(")]
        assert max(line["total_variation"] for line in lines) > 0


def test_tempering_first_is_another_law(record):
    """Fails when a distance is none, or greedy decoding, where the rule then sees a sure base, is not the farthest."""
    far = {(line["task"], line["difference"]): line["total_variation"] for line in record["tempering"]}
    for task in module.TASKS:
        assert 0 <= far[task, "tempering first, sampled"] < far[task, "tempering first, greedy"] < 1
        if record["profile"]["questions"] > FRESH:
            assert far[task, "tempering first, sampled"] > 0


def test_the_record_says_where_it_comes_from():
    """Fails when the kept record is of changed code, or of too few questions to tell anything."""
    record = json.loads(RECORDED.read_text())
    assert record["script"] == "analysis/experiments/authors_behaviour.py"
    assert record["profile"]["questions"] >= 100
    assert record["changed_since"] is False
    assert record["commit"]


def test_the_readme_tells_the_recorded_accuracies():
    """Fails when the record is made anew and the README's numbers are not."""
    runs = json.loads(RECORDED.read_text())["runs"]
    right = {(run["difference"], run["whose"]): run["accuracy"] for run in runs if run["task"] == "lab-facts"}
    said = " ".join((ROOT / "README.md").read_text().split())
    pooled, stepwise = (right["one budget a window", whose] for whose in ("authors", "ours"))
    assert f"on lab-facts {pooled:.0%} of the answers are right in place of {stepwise:.0%}.".replace("%", " %") in said
    assert right["tempering first, greedy", "authors"] == 0
    assert f"no answer is right, in place of {right['tempering first, greedy', 'ours']:.0%}.".replace("%", " %") in said
