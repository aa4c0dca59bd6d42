"""The real pair's benchmarks are reported by what their runs say of themselves, whatever their grids are called."""

import json
from pathlib import Path

import pytest

from analysis.experiments.real_benchmarks import benchmark_numbers, benchmarks_table, guessing, reported, shown
from analysis.figures import RECORDED, real_benchmarks
from analysis.figures.saving import chosen

ROOT = Path(__file__).parent.parent.parent
RUNS, CHANCES = (json.loads((ROOT / source).read_text()) for source in RECORDED["real_benchmarks"])


def _run(rule, parameter=None, accuracy=0.5, **other):
    """A run of 40 questions; its interval reaches 5 percent to either side."""
    ends = {"accuracy": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05}
    run = {"task": "svamp", "split": "held-out", "kind": "reply", "mode": "autoregressive", "temperature": 1, "n": 40}
    return {**run, "window": 1, "rule": rule, "variant": "", "parameter": parameter, "chosen": False, **ends, **other}


def _recording():
    """Parents, a rule with a parameter that was chosen, one without, a control; speculative and greedy runs of some."""
    parents = [_run("never", accuracy=0.3), _run("always", accuracy=0.4)]
    dual = [_run("dual", 0.05, 0.9), _run("dual", 0.15, 0.2, chosen=True)]
    rest = [_run("primal", 0.2, 0.1), _run("primal", 0.5, 0.35), _run("truncated-dual", 0.15, 0.95)]
    dev = [_run("dual", 0.15, 0.99, split="dev"), _run("dual", 0.05, 0.01, split="dev")]
    other = [_run("dual", 0.15, 0.6, mode="speculative", n=20), _run("never", accuracy=0.7, temperature=0)]
    choice = {"task": "arc-challenge", "kind": "choice", "mode": None, "window": None, "temperature": None}
    read = [_run("never", accuracy=0.25, **choice), _run("always", accuracy=0.45, **choice)]
    return [*dev, *parents, *dual, *rest, *other, *read]


CHANCE = [{"task": "arc-challenge", "split": "held-out", "n": 40, "chance": 0.25}]


pytestmark = pytest.mark.usefixtures("without_a_screen")


def test_a_rule_is_shown_where_it_was_chosen_and_everywhere_if_nowhere():
    """Fails where a development run is shown, a greedy one among sampled ones, or a setting that was not chosen."""
    seen = [(run["rule"], run["parameter"]) for run in shown(_recording()) if run["task"] == "svamp"]
    rest = [("primal", 0.2), ("primal", 0.5), ("truncated-dual", 0.15)]
    assert seen == [("never", None), ("always", None), ("dual", 0.15), *rest]
    assert {run["task"] for run in shown(_recording())} == {"svamp", "arc-challenge"}


def test_the_text_counts_intervals_beside_those_of_both_parents():
    """Fails where a control counts as a cascade, an overlap as a difference, or only one parent is looked at."""
    numbers = benchmark_numbers(_recording(), CHANCE)
    wanted = {"Tasks": 2, "Cascades": 4, "Above": 1, "Below": 1, "Guessable": 2, "AtChance": 1}
    assert numbers == {f"Benchmark{name}": str(count) for name, count in wanted.items()}


def test_the_table_has_a_part_for_each_way_to_decode():
    """Fails where speculative and greedy runs are mixed with the others, or a chosen parameter lacks its star."""
    table = benchmarks_table(_recording(), CHANCE)
    parts = table.split("\\emph{")[1:]
    assert [part.partition("}")[0] for part in parts] == [
        "sampled, one by one", "sampled, speculative, window 1", "greedy, one by one"
    ]  # fmt: skip
    assert "questions &  & 40 & 40 \\\\" in parts[0]
    assert "guessing &  & -- & 25.0 \\\\" in parts[0]
    assert "dual ($\\alpha$) & 0.15 & 20.0$^\\star$ [15, 25] & -- \\\\" in parts[0]
    assert "questions &  & 20 & -- \\\\" in parts[1]
    assert "base alone &  & 70.0 [65, 75] & -- \\\\" in parts[2]
    assert "99" not in table


def test_two_runs_of_one_setting_and_task_are_refused():
    """Fails where one of two splits would be printed and the other dropped."""
    with pytest.raises(LookupError, match="once a task, got 2"):
        benchmarks_table([_run("dual", 0.1), _run("dual", 0.1, split="test")], [])


def test_each_run_is_drawn_on_its_line_with_its_interval_and_the_base_behind_it():
    """Fails where lines and names are out of step, or guessing is drawn where its worth is not known."""
    figure = real_benchmarks.draw(chosen(shown(_recording()), real_benchmarks.COLUMNS), CHANCE)
    svamp, arc = (axis for axis in figure.axes if axis.get_title("left"))
    names = [tick.get_text() for tick in svamp.get_yticklabels()]
    assert names == [
        "base alone", "proxy alone",
        "dual, α = 0.15 ★", "dual, α = 0.15, no proxy", "primal, b = 0.2", "primal, b = 0.5"
    ]  # fmt: skip
    points = [bars[0].get_xydata().tolist()[0] for bars in svamp.containers]
    assert points == [[pytest.approx(100 * share), row] for row, share in enumerate((0.3, 0.4, 0.2, 0.95, 0.1, 0.35))]
    dotted = [line.get_xdata()[0] for axis in (svamp, arc) for line in axis.lines if line.get_label() == "guessing"]
    assert dotted == [25]
    assert "nothing follows" in figure.get_supxlabel().replace("\n", " ")


def test_guessing_is_known_for_the_questions_of_every_choice_that_was_recorded():
    """Fails where the runs were recorded anew and what guessing is worth was not."""
    choices = [run for run in reported(RUNS["runs"]) if run["kind"] == "choice"]
    assert choices
    unknown = {(run["task"], run["split"], run["n"]) for run in choices if guessing(run, CHANCES["chances"]) is None}
    assert not unknown, "run python -m analysis.figures.record_chance"
