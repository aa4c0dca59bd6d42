"""A profile is checked before any work: the shipped ones pass, nonsense is refused in a sentence that names it."""

import copy
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.exceptions import WorkflowError

from analysis.profile import called, check, expand, max_new_tokens, n_questions
from proxyalign import tasks
from proxyalign.deferral.rules import REGISTRY, make

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "analysis" / "config"
PROFILES = ("quick", "smoke", "paper", "replicate", "real")


def _profile(name):
    return yaml.safe_load((CONFIG / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", PROFILES)
def test_a_shipped_profile_is_valid_and_writes_under_its_own_name(name):
    """Fails for a profile that the schema refuses, or two that would mix their results."""
    profile = _profile(name)
    check(profile)
    assert profile["name"] == name


def test_only_the_quick_profile_touches_the_kept_figures_and_the_paper():
    """Fails where the smoke run of CI would overwrite what the repository keeps."""
    keepers = [name for name in PROFILES if _profile(name).get("figures") == "figures"]
    writers = [name for name in PROFILES if _profile(name).get("paper") == "paper/generated"]
    assert keepers == writers == ["quick"]


def test_the_replicate_measures_the_same_accuracy_grid():
    """Fails where the second seed's table would have holes, or other parameters."""
    quick, replicate = _profile("quick"), _profile("replicate")
    assert quick["n_questions"] == replicate["n_questions"]
    for name, grid in replicate["grids"].items():
        assert grid["rules"] == quick["grids"][name]["rules"]
        assert grid["split"] == quick["grids"][name]["split"]


NONSENSE = {
    "alpha of 7": (("grids", "cascades", "rules", "dual"), [7], "7 is greater than the maximum of 1"),
    "unknown rule": (("grids", "cascades", "rules", "magic"), [0.1], "'magic' was unexpected"),
    "unknown task": (("tasks",), ["lab-poems"], "'lab-poems' is not one of"),
    "numbers of an unknown task": (("of_task",), {"lab-poems": {"n_questions": 3}}, "'lab-poems' is not one of"),
    "a task's reply of no tokens": (("of_task",), {"lab-math": {"max_new_tokens": 0}}, "0 is less than the minimum"),
    "a task's seed": (("of_task",), {"lab-math": {"seed": 3}}, "'seed' was unexpected"),
    "no questions": (("n_questions", "test"), 0, "0 is less than the minimum of 1"),
    "parameter for never": (("grids", "cascades", "rules", "never"), [0.5], "[0.5] is expected to be empty"),
    "half a token": (("grids", "cascades", "rules", "top-k"), [1.5], "1.5 is not of type 'integer'"),
    "no budget": (("grids", "cascades", "rules", "hybrid"), [{"step": 0.1}], "'budget' is a required property"),
    "other parameter": (("grids", "cascades", "rules", "dual"), [{"alpha": 0.1, "k": 3}], "'k' was unexpected"),
    "no value": (("grids", "cascades", "rules", "dual"), [], "[] should be non-empty"),
    "misspelt entry": (("bach_size",), 4, "'bach_size' was unexpected"),
    "text for a seed": (("seed",), "one", "'one' is not of type 'integer'"),
}


@pytest.mark.parametrize(("path", "value", "sentence"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused_by_name(path, value, sentence):
    """Fails where a wrong profile would be found out only after minutes of decoding."""
    profile = copy.deepcopy(_profile("quick"))
    place = profile
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(WorkflowError) as refusal:
        check(profile)
    assert sentence in str(refusal.value)


def test_a_task_has_its_own_numbers_before_those_of_its_split_and_a_grid_s_before_both():
    """Fails where the slow rule's grid asks all questions, or a reply is cut at another task's length."""
    profile = _profile("smoke") | {"of_task": {"lab-math": {"n_questions": 5, "max_new_tokens": 20}}}
    profile["grids"]["greedy"]["n_questions"] = 3
    check(profile)
    asked = [
        n_questions(profile, *cell)
        for cell in (("cascades", "lab-facts"), ("cascades", "lab-math"), ("greedy", "lab-math"))
    ]
    assert asked == [12, 5, 3]
    assert [max_new_tokens(profile, task) for task in ("lab-math", "lab-facts")] == [
        20,
        tasks.get("lab-facts").max_new_tokens,
    ]


@pytest.mark.parametrize(
    ("task", "changes", "sentence"),
    [
        ("svamp", {}, "tasks must be among the profile's, got svamp"),
        ("lab-math", {"split": "plain"}, "split must be one of dev, test for lab-math, got plain"),
        ("arc-challenge", {"split": "held-out"}, "n_questions must say how many of split held-out"),
        ("arc-challenge", {"temperature": 0}, "temperature must be 1 for arc-challenge"),
        ("arc-challenge", {"n_rows": 5}, "n_rows must be 0 for arc-challenge"),
        ("arc-challenge", {"mode": "speculative"}, "mode must be autoregressive for arc-challenge"),
    ],
)  # fmt: skip
def test_a_grid_that_cannot_ask_its_task_is_refused_before_any_work(task, changes, sentence):
    """Fails where a job would find it out in its turn, perhaps hours later."""
    profile = _profile("smoke")
    profile["tasks"] += ["arc-challenge"]
    grids = profile["grids"]
    for grid in grids.values():
        grid["tasks"] = ["lab-facts"]
    grids["greedy"] |= {"temperature": 1, "tasks": [task]} | changes
    with pytest.raises(WorkflowError) as refusal:
        check(profile)
    assert sentence in str(refusal.value)


def test_a_split_without_a_number_is_asked_of_tasks_that_have_one():
    """Fails where a task's own number does not count, and the profile must give one for all tasks of the split."""
    profile = _profile("smoke")
    profile["tasks"] += ["arc-challenge"]
    profile["of_task"] = {"arc-challenge": {"n_questions": 7}}
    for grid in profile["grids"].values():
        grid["tasks"] = ["lab-facts"]
    profile["grids"]["greedy"] |= {"temperature": 1, "tasks": ["arc-challenge"], "split": "held-out"}
    check(profile)
    assert n_questions(profile, "greedy", "arc-challenge") == 7


def test_every_rule_of_the_registry_may_stand_in_a_profile_and_is_called_by_its_name():
    """Fails where a new rule has to be typed into a list first, or a table mixes two of its settings."""
    values = {name: [1] if inspect.signature(build).parameters else [] for name, build in REGISTRY.items()}
    profile = _profile("smoke")
    profile["grids"]["cascades"]["rules"] = copy.deepcopy(values)
    check(profile)
    rules = list(expand(values))
    assert [called(rule)["rule"] for rule in rules] == [rule.name for rule in rules] == list(REGISTRY)
    assert [called(rule)["parameter"] for rule in rules] == [next(iter(one), None) for one in values.values()]
    assert all(make(rule.name, **rule.parameters()) == rule for rule in rules)


def test_a_grid_expands_to_each_value_of_each_rule():
    """Fails where a rule without a parameter is lost, a budget is passed as alpha, or as the eps beside it."""
    listed = {"never": [], "dual": [0.2, 0.4], "truncated-primal": [0.9], "near-optimal": [0.5],
              "hybrid": [0.3, {"budget": 0.3, "step": 0.1}], "top-k": [50]}  # fmt: skip
    expected = [
        make("never"),
        make("dual", alpha=0.2),
        make("dual", alpha=0.4),
        make("truncated-primal", budget=0.9),
        make("near-optimal", budget=0.5),
        make("hybrid", budget=0.3),
        make("hybrid", budget=0.3, step=0.1),
        make("top-k", k=50),
    ]
    assert list(expand(listed)) == expected
    assert [called(rule)["variant"] for rule in expected] == ["", "", "", "", "", "", "step=0.1", ""]


def _snakemake(*arguments):
    command = [sys.executable, "-m", "snakemake", "-s", "analysis/Snakefile", "--cores", "1", "--dry-run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_snakemake_stops_before_any_work_on_a_wrong_profile(tmp_path):
    """Fails where the Snakefile forgets to validate."""
    wrong = _profile("smoke") | {"seed": -1}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    done = _snakemake("--configfile", tmp_path / "wrong.yaml")
    assert done.returncode != 0
    assert "-1 is less than the minimum of 0" in done.stderr + done.stdout


def test_a_fresh_profile_plans_every_step_down_to_the_paper(tmp_path):
    """Fails where a figure, the paper's numbers or the speed measurement is left out of the plan."""
    fresh = _profile("smoke") | {"name": "never_run_before"}
    (tmp_path / "fresh.yaml").write_text(yaml.safe_dump(fresh))
    done = _snakemake("--configfile", tmp_path / "fresh.yaml")
    assert done.returncode == 0, done.stderr
    for rule in ("decode", "solve_visited_rows", "measure_speed", "tabulate"):
        assert rule in done.stdout + done.stderr
