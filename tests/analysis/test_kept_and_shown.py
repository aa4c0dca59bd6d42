"""What a reproduction leaves to be kept, sent and read: the record, the runs of the report, and the paper's sources."""

import polars as pl
import pytest

from analysis.experiments.record_runs import COLUMNS, kept
from analysis.experiments.report_runs import shown
from analysis.experiments.typeset import laid_out

RUN = {"task": "lab-math", "split": "test", "mode": "autoregressive", "temperature": 1.0, "n": 9, "chosen": False}


@pytest.fixture
def runs():
    """A table of runs, of which a report of lab-math shows those whose rule is in capitals."""
    rows = [
        {"rule": "never", "folder": "NEVER"},
        {"rule": "always", "folder": "ALWAYS"},
        {"rule": "dual", "folder": "DUAL", "chosen": True},
        {"rule": "dual", "folder": "not chosen"},
        {"rule": "truncated-dual", "folder": "a control", "chosen": True},
        {"rule": "exact", "folder": "fewer questions", "chosen": True, "n": 3},
        {"rule": "dual", "folder": "another split", "chosen": True, "split": "dev"},
        {"rule": "dual", "folder": "speculative", "chosen": True, "mode": "speculative"},
        {"rule": "never", "folder": "greedy", "temperature": 0.0},
        {"rule": "never", "folder": "another task", "task": "lab-facts"},
    ]
    return pl.DataFrame([RUN | row | {"records": f"{row['folder']}/records.jsonl"} for row in rows])


def test_the_report_shows_both_models_and_the_chosen_rules_on_the_same_questions(runs):
    """Fails where it compares replies of two kinds, or is refused, since its runs answer different questions."""
    assert [folder.name for folder in shown(runs, "lab-math")] == ["NEVER", "ALWAYS", "DUAL"]
    assert [folder.name for folder in shown(runs, "lab-facts")] == ["another task"]


def test_a_table_without_a_row_keeps_nothing(tmp_path):
    """Fails where a profile that measures no speed cannot be recorded."""
    pl.DataFrame([]).write_parquet(tmp_path / "none.parquet")
    assert kept(tmp_path / "none.parquet", COLUMNS["speed"]) == []


def test_the_paper_is_laid_out_with_the_results_in_place_of_the_kept_ones(tmp_path):
    """Fails where a PDF of a reproduction shows the recorded numbers, or lacks what was not reproduced."""
    for name in ("numbers", "figures", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "numbers" / "numbers.tex").write_text("mine")
    (tmp_path / "figures" / "window.pdf").write_text("mine")
    paper = laid_out(tmp_path / "out", tmp_path / "numbers", tmp_path / "figures")
    assert (paper / "generated" / "numbers.tex").read_text() == "mine"
    assert (paper / ".." / "figures" / "window.pdf").read_text() == "mine"
    assert (paper / "generated" / "solver_table.tex").read_text().startswith("% Written by")
    assert (paper / "main.tex").exists()
    assert (paper / "references.bib").exists()
