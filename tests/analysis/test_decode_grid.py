"""A grid's runs are those that the profile names, and what is said of their files is true."""

from pathlib import Path

from analysis.experiments.decode_grid import decode, expand, records_folder


def test_a_grid_expands_to_each_value_of_each_rule():
    """Fails where a rule without a parameter is lost, a budget is passed as alpha, or as the eps beside it."""
    rules = {"never": [], "dual": [0.2, 0.4], "truncated-primal": [0.9], "near-optimal": [0.5]}
    expected = [
        ("never", {}),
        ("dual", {"alpha": 0.2}),
        ("dual", {"alpha": 0.4}),
        ("truncated-primal", {"budget": 0.9}),
        ("near-optimal", {"budget": 0.5}),
    ]
    assert list(expand(rules)) == expected


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
