"""`proxyalign bench exact`: one table, one JSON object, rows of any maker, and mistakes in a sentence."""

import json

import numpy as np
import pytest

pytest.importorskip("cvxpy")
pytest.importorskip("ortools")


@pytest.fixture
def rows(tmp_path):
    """Three laws over 40 tokens."""
    path = tmp_path / "rows.npz"
    laws = np.random.default_rng(0).dirichlet(np.ones(40), size=3)
    np.savez(path, p=laws, text=np.arange(3), position=np.array([4, 5, 6]), provenance=np.array('{"model": "tiny"}'))
    return path


def test_recorded_rows_and_classes_are_solved_and_told_as_json(command, rows, tmp_path):
    """Fails when the rows are not those of the file, budgets do not take turns, or --out lacks what is printed."""
    out = tmp_path / "new" / "bench.json"
    options = ["--rows", rows, "--instances", 3, "--classes", "--size", 30, "--rivals", "HiGHS zero-gap,OR-tools"]
    code, answer, err = command("bench", "exact", *options, "--limit", 20, "--out", out, "--json")
    assert code == 0, err
    told = json.loads(answer)
    assert told == json.loads(out.read_text())
    assert told["rows"] == {"file": "rows.npz", "model": "tiny"}
    names = [instance["name"] for instance in told["instances"]]
    assert names[:3] == [f"text {i}, position {i + 4}, budget {b:g}" for i, b in enumerate([0.05, 0.1, 0.3])]
    assert len(names) == 3 + 11
    assert [line["solver"] for line in told["summary"]] == ["exact", "HiGHS zero-gap", "OR-tools"]
    assert told["summary"][0]["certified"] + told["summary"][0]["unfinished"] == 14
    assert told["versions"]["ortools"]


def test_without_rows_the_lab_and_made_up_laws_are_solved(command):
    """Fails when the benchmark needs a file that nobody has."""
    code, answer, err = command("bench", "exact", "--instances", 2, "--limit", 2, "--rivals", "OR-tools")
    assert code == 0, err
    lines = answer.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["solver", "exact", "OR-tools"]
    assert lines[-1].startswith("2 instances, 2 s for each solver on each")


def test_mistakes_end_with_one_sentence(command, tmp_path):
    """Fails when a missing file, a count below 0, an unknown rival or a limit of nothing becomes a traceback."""
    mistakes = [
        (["--rows", tmp_path / "none.npz"], "none.npz"),
        (["--instances", -1], "--instances must be at least 0, got -1"),
        (["--instances", 0], "there must be an instance"),
        (["--instances", 0, "--classes", "--size", 0], "size must be at least 1 item, got 0"),
        (["--instances", 1, "--rivals", "Gurobi"], "'Gurobi'"),
        (["--instances", 1, "--limit", 0], "limit must be a positive number of seconds, got 0.0"),
    ]
    for options, sentence in mistakes:
        code, said, err = command("bench", "exact", *options)
        assert (code, said) == (2, "")
        assert sentence in err
        assert "Traceback" not in err
