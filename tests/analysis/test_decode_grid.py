"""A grid's runs are those that the profile names, and what is said of their files is true."""

import io
from pathlib import Path

import numpy as np
import pytest

from analysis.experiments.decode_grid import decode, records_folder
from analysis.experiments.solve_visited_rows import is_measurable, measure
from proxyalign.deferral.rules import make


def test_other_settings_or_other_code_get_another_folder(tmp_path):
    """Fails where records of two different computations would be mixed."""
    folders = {records_folder(tmp_path, "g", "t", settings, code) for settings in ("{}", "[]") for code in ("a", "b")}
    assert len(folders) == 4


def test_a_run_names_the_rows_that_it_kept_and_no_others(tmp_path):
    """Fails where the proxy alone, for which the base never runs, is said to have kept the base's distributions."""
    wanted = {
        "pair": "lab", "data": None, "task": "lab-math", "split": "dev", "limit": 1, "batch_size": 1, "seed": 0,
        "mode": "autoregressive", "window": 5, "temperature": 1.0, "n_rows": 3, "rules": {"always": [], "dual": [0.4]},
    }  # fmt: skip
    always, dual = decode(wanted, tmp_path)
    assert always["rows"] is None
    assert Path(dual["rows"]).exists()


def test_a_grid_takes_rules_of_any_number_of_parameters_to_their_knapsacks(tmp_path):
    """Fails where a rule beyond the usual ones cannot be decoded, two of its settings mix, or its steps not solved."""
    wanted = {
        "pair": "lab", "data": None, "task": "lab-facts", "split": "dev", "limit": 2, "batch_size": 2, "seed": 0,
        "mode": "autoregressive", "window": 5, "temperature": 1.0, "n_rows": 9,
        "rules": {"top-k": [3], "min-p": [0.2], "static-mixture": [0.5], "near-optimal": [{"budget": 0.5, "eps": 0.1}],
                  "hybrid": [0.3, {"budget": 0.3, "step": 0.1}]},
    }  # fmt: skip
    runs = decode(wanted, tmp_path)
    told = [(run["rule"], run["parameter"], run["variant"]) for run in runs]
    assert told == [
        ("top-k", 3, ""), ("min-p", 0.2, ""), ("static-mixture", 0.5, ""), ("near-optimal", 0.5, "eps=0.1"),
        ("hybrid", 0.3, ""), ("hybrid", 0.3, "step=0.1"),
    ]  # fmt: skip
    assert len({run["folder"] for run in runs}) == 6
    steps = io.StringIO()
    for run in runs:
        rule = make(run["rule"], **run["parameters"])
        assert is_measurable(rule) == (run["rule"] != "static-mixture")
        if is_measurable(rule):
            measured = measure({"grid": "some", **run}, n_resamples=20, seed=0, steps_file=steps)
            assert measured["n_certified"] == measured["n_steps"] == 9
            assert measured["gap"]["point"] >= -1e-12
            with np.load(run["rows"]) as kept:
                assert measured["mass"] == pytest.approx(kept["mass"].sum(), abs=1e-5)
