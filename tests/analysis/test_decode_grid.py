"""A job's runs are those that the profile names, each with its own records, and what is said of their files is true."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis import pairs
from analysis.experiments.decode_grid import decode, records_folder
from analysis.experiments.solve_visited_rows import is_measurable, measure
from analysis.experiments.tabulate import runs_table, samples_table
from analysis.profile import expand
from proxyalign import tasks
from proxyalign.deferral.rules import make
from proxyalign.evaluation import Settings, read_records
from proxyalign.evaluation.answers import answered as really_answered

SHARED = {"pair": "lab", "dtype": "auto", "data": None, "batch_size": 1}
RUN = {
    "grid": "some", "task": "lab-math", "split": "dev", "limit": 3, "seed": 0, "mode": "autoregressive", "window": 5,
    "temperature": 1.0, "rows": 3, "proxy_chat": False, "max_new_tokens": 12,
    "code": "some",
}  # fmt: skip


@pytest.fixture(scope="module")
def lab():
    return pairs.load("lab")


@pytest.fixture(autouse=True)
def once(monkeypatch, lab):
    """Every job here loads the same pair."""
    monkeypatch.setattr(pairs, "load", lambda *named: lab)


def wanted(*rules, **others):
    shared = {name: others.get(name, value) for name, value in SHARED.items()}
    own = {name: others.get(name, value) for name, value in RUN.items()}
    return {**shared, "runs": [{**own, "rule": rule.name, "parameters": rule.parameters()} for rule in rules]}


def test_other_settings_or_other_code_get_another_folder(tmp_path):
    """Fails where records of two different computations would be mixed."""
    one = Settings(pair="lab", task="lab-math", task_version=tasks.get("lab-math").version, rule="never")
    folders = {
        records_folder(tmp_path, "g", settings, {"code": code})
        for settings in (one, replace(one, seed=1), replace(one, rule="always"))
        for code in ("a", "b")
    }
    assert len(folders) == 6


def test_a_run_names_the_rows_that_it_kept_and_no_others(tmp_path):
    """Fails where the proxy alone, for which the base never runs, is said to have kept the base's distributions."""
    always, dual = decode(wanted(make("always"), make("dual", alpha=0.4)), tmp_path)
    assert always["rows"] is None
    assert Path(dual["rows"]).exists()
    assert dual["max_new_tokens"] == 12
    assert max(record["n_tokens"] for record in read_records(dual["records"])) <= 12


def test_a_run_is_not_decoded_again_when_another_of_its_job_changes(tmp_path, monkeypatch):
    """Fails where one edited parameter of a profile costs all runs that share its process."""
    never, dual, other = make("never"), make("dual", alpha=0.4), make("dual", alpha=0.5)
    before = decode(wanted(never, dual), tmp_path)
    asked = []

    def answered(pair, settings, *others, **more):
        asked.append(dict(settings.parameters))
        return really_answered(pair, settings, *others, **more)

    monkeypatch.setattr(sys.modules["proxyalign.evaluation.run"], "answered", answered)
    after = decode(wanted(other, never), tmp_path)
    assert asked == [{"alpha": 0.5}] * 3
    assert after[1] == before[0]


def test_shards_are_merged_to_the_run_that_they_are_parts_of(tmp_path, monkeypatch):
    """Fails where a run cut into shards has other answers than a whole one, or its merging asks for a model."""
    job = wanted(make("dual", alpha=0.4))
    (whole,) = decode(job, tmp_path / "whole")
    parts = [decode(job, tmp_path / "cut", shard=f"{number}/2")[0] for number in (1, 2)]
    monkeypatch.setattr(pairs, "load", None)
    (merged,) = decode(job, tmp_path / "cut", merged=2)
    assert sum(part["n"] for part in parts) == merged["n"] == 3
    clocks = ("seconds", "tokens_per_second", "records", "records_sha256", "rows")
    assert {k: v for k, v in merged.items() if k not in clocks} == {k: v for k, v in whole.items() if k not in clocks}
    assert [one["reply"] for one in read_records(merged["records"])] == [
        one["reply"] for one in read_records(whole["records"])
    ]


def test_choices_have_measures_with_intervals_and_no_way_of_decoding(tmp_path, monkeypatch):
    """Fails where the table loses what a benchmark reports beside accuracy, or gives a likelihood a temperature."""
    (tmp_path / "data" / "arc").mkdir(parents=True)
    choices = [{"text": "one", "label": "A"}, {"text": "two", "label": "B"}]
    rows = [
        {"id": f"q{i}", "question": {"stem": f"Which {i}?", "choices": choices}, "answerKey": "A"} for i in range(3)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "data" / "arc" / "ARC-Challenge-Test.jsonl").write_text(content)
    job = wanted(make("never"), task="arc-challenge", data=str(tmp_path / "data"), split="test", rows=0)
    (run,) = decode(job, tmp_path / "records")
    assert (run["kind"], run["mode"], run["window"], run["temperature"], run["n"]) == ("choice", None, None, None, 3)
    (measure,) = [one for one in run["measures"] if one["name"] == "acc_norm"]
    assert measure["low"] <= measure["value"] <= measure["high"]
    table = runs_table([{"runs": [run]}, {"runs": [{**run, "measures": []}]}])
    assert [len(listed) for listed in table["measures"]] == [len(run["measures"]), 0]
    assert samples_table([run])["reply"].to_list() == [None] * 3


def test_a_grid_takes_rules_of_any_number_of_parameters_to_their_knapsacks(tmp_path):
    """Fails where a rule beyond the usual ones cannot be decoded, two of its settings mix, or its steps not solved."""
    listed = {
        "top-k": [3], "min-p": [0.2], "static-mixture": [0.5], "near-optimal": [{"budget": 0.5, "eps": 0.1}],
        "hybrid": [0.3, {"budget": 0.3, "step": 0.1}], "truncated-dual": [0.2],
    }  # fmt: skip
    job = wanted(*expand(listed), task="lab-facts", limit=2, batch_size=2, rows=9)
    runs = decode(job, tmp_path)
    told = [(run["rule"], run["parameter"], run["variant"]) for run in runs]
    assert told == [
        ("top-k", 3, ""), ("min-p", 0.2, ""), ("static-mixture", 0.5, ""), ("near-optimal", 0.5, "eps=0.1"),
        ("hybrid", 0.3, ""), ("hybrid", 0.3, "step=0.1"), ("truncated-dual", 0.2, ""),
    ]  # fmt: skip
    assert len({run["folder"] for run in runs}) == 7
    steps = io.StringIO()
    for run in runs:
        rule = make(run["rule"], **run["parameters"])
        assert is_measurable(rule) == (run["rule"] not in ("static-mixture", "truncated-dual"))
        if is_measurable(rule):
            measured = measure(run, n_resamples=20, seed=0, steps_file=steps)
            assert measured["n_certified"] == measured["n_steps"] == 9
            assert measured["gap"]["point"] >= -1e-12
            with np.load(run["rows"]) as kept:
                assert measured["mass"] == pytest.approx(kept["mass"].sum(), abs=1e-5)
