"""A figure and the paper's numbers say where they come from, and the committed ones belong together."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from analysis.figures import accuracy_vs_parameter, gap_vs_speedup
from analysis.product import describe
from proxyalign.files import sha256

ROOT = Path(__file__).parent.parent.parent
FIGURES = ("accuracy_vs_parameter", "gap_vs_speedup")


def _run(monkeypatch, module, *arguments):
    monkeypatch.setattr("sys.argv", ["figure", *map(str, arguments)])
    module.main()


@pytest.fixture
def runs(tmp_path):
    """A table of four runs on one task."""
    row = {"task": "lab-math", "split": "test", "mode": "autoregressive", "temperature": 1.0, "n": 10}
    rules = [("never", None, 0.2), ("always", None, 0.3), ("dual", 0.4, 0.9), ("truncated-dual", 0.4, 0.1)]
    rows = [
        {**row, "rule": rule, "parameter": parameter, "accuracy": share, "low": share - 0.1, "high": share + 0.1}
        for rule, parameter, share in rules
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "runs.parquet")
    return tmp_path / "runs.parquet"


def test_a_figure_names_its_results_commit_profile_and_versions(tmp_path, runs, monkeypatch):
    """Fails where a figure could not be traced to the bytes that it was drawn from."""
    out = tmp_path / "accuracy_vs_parameter.pdf"
    _run(monkeypatch, accuracy_vs_parameter, "--sources", runs, "--profile", '{"name": "tiny"}', "--out", out)
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["sources"] == [{"file": runs.as_posix(), "sha256": hashlib.sha256(runs.read_bytes()).hexdigest()}]
    assert record["profile"] == {"name": "tiny"}
    assert record["script"] == "analysis/figures/accuracy_vs_parameter.py"
    assert {"commit", "changed_since", "script"} <= record.keys()
    assert {"python", "torch", "matplotlib", "proxyalign"} <= record["versions"].keys()
    drawn = [out, out.with_suffix(".png"), out.with_suffix(".svg")]
    assert [entry["sha256"] for entry in record["figure"]] == [sha256(path) for path in drawn]


def test_a_figures_numbers_lie_beside_it(tmp_path, runs, monkeypatch):
    """Fails where a reader would have to measure a point in the picture."""
    out = tmp_path / "accuracy_vs_parameter.pdf"
    _run(monkeypatch, accuracy_vs_parameter, "--sources", runs, "--profile", "{}", "--out", out)
    data = json.loads(out.with_suffix(".json").read_text())["data"]
    assert data["promises"] == []
    assert [(row["rule"], row["parameter"], row["accuracy"]) for row in data["runs"]] == [
        ("never", None, 0.2), ("always", None, 0.3), ("dual", 0.4, 0.9), ("truncated-dual", 0.4, 0.1)
    ]  # fmt: skip


def test_what_is_recorded_besides_is_drawn_too(tmp_path, runs, monkeypatch):
    """Fails where a promise is left out, or another pair's points are taken for those of the table."""
    promise = {"task": "lab-math", "rule": "dual", "parameter": 0.4, "eps": 0.05, "delta": 0.1, "n": 40}
    beside, out = tmp_path / "beside.json", tmp_path / "figure.pdf"
    beside.write_text(json.dumps({"promises": [promise]}))
    _run(monkeypatch, accuracy_vs_parameter, "--sources", runs, beside, "--profile", "{}", "--out", out)
    assert json.loads(out.with_suffix(".json").read_text())["data"]["promises"] == [promise]
    measures = {f"{name}{end}": 0.5 for name in ("speedup", "gap", "price") for end in ("", "_low", "_high")}
    point = {
        "task": "gsm8k",
        "rule": "dual",
        "variant": "",
        "parameter": 0.4,
        "accuracy": 0.5,
        "n_steps": 9,
        **measures,
    }
    pl.DataFrame([point]).write_parquet(tmp_path / "points.parquet")
    beside.write_text(json.dumps({"profile": {"pair": "gemma-smol"}, "points": [point]}))
    _run(monkeypatch, gap_vs_speedup, "--sources", tmp_path / "points.parquet", beside, "--profile", "{}", "--out", out)
    drawn = json.loads(out.with_suffix(".json").read_text())["data"]
    assert [one["task"] for one in drawn] == ["gsm8k", "gsm8k (gemma-smol)"]


def test_the_same_results_draw_the_same_bytes(tmp_path, runs, monkeypatch):
    """Fails where a date or a random name gets into the file, so that every run would change the repository."""
    hashes = set()
    for name in ("one", "two"):
        out = tmp_path / name / "accuracy_vs_parameter.pdf"
        _run(monkeypatch, accuracy_vs_parameter, "--sources", runs, "--profile", "{}", "--out", out)
        hashes.add(tuple(sha256(out.with_suffix(kind)) for kind in (".pdf", ".png", ".svg")))
    assert len(hashes) == 1


def test_a_missing_source_stops_the_figure(tmp_path, monkeypatch):
    """Fails where a figure would be drawn from nothing."""
    missing, out = tmp_path / "none.parquet", tmp_path / "figure.pdf"
    with pytest.raises(FileNotFoundError):
        _run(monkeypatch, gap_vs_speedup, "--sources", missing, "--profile", "{}", "--out", out)
    assert not out.exists()
    with pytest.raises(FileNotFoundError):
        describe("script", [tmp_path / "none"], {})


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "figures").glob("*.json")))
def test_a_kept_figure_is_the_one_that_its_record_describes(name):
    """Fails where a figure is committed without its record, or either is stale."""
    record = json.loads((ROOT / "figures" / f"{name}.json").read_text())
    for entry in record["figure"]:
        assert sha256(ROOT / "figures" / entry["file"]) == entry["sha256"]


def test_the_kept_paper_numbers_and_figures_come_from_the_same_results():
    """Fails where the paper's text and its figure were made from two different runs."""
    folder = ROOT / "paper" / "generated"
    record = json.loads((folder / "provenance.json").read_text())
    for entry in record["generated"]:
        assert sha256(folder / entry["file"]) == entry["sha256"]
    sources = {entry["file"]: entry["sha256"] for entry in record["sources"]}
    recorded = [file for file in sources if file.startswith("analysis/recorded/")]
    assert recorded
    assert all(sha256(ROOT / file) == sources[file] for file in recorded)
    for name in FIGURES:
        for source in json.loads((ROOT / "figures" / f"{name}.json").read_text())["sources"]:
            if source["file"].startswith("results/"):
                assert sources[source["file"]] == source["sha256"]
            else:  # recorded, and drawn beside
                assert sha256(ROOT / source["file"]) == source["sha256"]
