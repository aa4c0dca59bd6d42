"""The figure of the contest: it draws every answer for what it is worth, and the kept one is of the kept records."""

import json
from pathlib import Path

import pytest

from analysis.figures.solver_times import draw
from proxyalign.files import sha256

ROOT = Path(__file__).parent.parent.parent


def answer(seconds, judgement):
    return {"seconds": seconds, "judgement": judgement}


def contest(source, n_instances):
    answers = {"exact": answer(0.01, "certified"), "HiGHS": answer(60.0, "unfinished"), "SCIP": answer(3.0, "wrong")}
    instances = [
        {"name": f"{source} {i}", "source": source, "n_items": 49152, "budget": 0.1, "answers": answers}
        for i in range(n_instances)
    ]
    return {"limit_seconds": 60.0, "instances": instances}


def test_every_answer_is_drawn_and_says_what_it_is_worth():
    """Fails where a wrong answer looks like an optimum, or a panel has lost an instance."""
    figure = draw([contest("rows", 3), contest("classes", 2)])
    assert [axis.get_title("left").split("\n")[0] for axis in figure.axes] == ["next-token laws", "Pisinger's classes"]
    for axis, count in zip(figure.axes, (3, 2), strict=True):
        points = [line for line in axis.lines if len(line.get_xdata()) == 1]
        assert len(points) == 3 * count
        assert sum(line.get_marker() == "x" for line in points) == count
        assert sum(line.get_markerfacecolor() == "none" for line in points) == count
        assert axis.get_yscale() == "log"


def test_a_contest_without_classes_has_one_panel():
    """Fails where an empty panel is drawn."""
    assert len(draw([contest("rows", 1)]).axes) == 1


@pytest.mark.parametrize("name", ["rows", "classes"])
def test_the_kept_contest_names_limit_machine_versions_and_every_rival(name):
    """Fails where a record is kept of which nobody can say how it came about."""
    record = json.loads((ROOT / "analysis" / "recorded" / "solver_times" / f"{name}.json").read_text())
    assert record["limit_seconds"] == 60.0
    assert len(record["instances"]) == record["summary"][0]["n"]
    assert {"exact", "OR-tools"} <= {line["solver"] for line in record["summary"]}
    assert {"cvxpy", "highspy", "pyscipopt", "ortools", "numba"} <= record["versions"].keys()
    assert record["commit"]


def test_the_kept_figure_is_of_the_kept_contests():
    """Fails where the figure was drawn from other records than those that are kept."""
    record = json.loads((ROOT / "figures" / "solver_times.json").read_text())
    for entry in record["figure"]:
        assert sha256(ROOT / "figures" / entry["file"]) == entry["sha256"]
    for entry in record["sources"]:
        assert sha256(ROOT / entry["file"]) == entry["sha256"]
    assert record["script"] == "analysis/figures/solver_times.py"
