"""Tables join what belongs together: the parameter chosen on dev, and the points of the key figure."""

import polars as pl

from analysis.experiments.tabulate import choose, points_table, runs_table

RUN = {
    "task": "lab-math", "rule": "dual", "variant": "", "parameter": 0.4, "split": "test", "mode": "autoregressive",
    "temperature": 1.0, "accuracy": 0.9, "deferral_rate": 0.1,
}  # fmt: skip


def test_the_choice_is_made_on_dev_and_reported_on_test():
    """Fails where a parameter is chosen on the questions that it is reported on."""
    dev = [{**RUN, "split": "dev", "parameter": a, "accuracy": acc} for a, acc in ((0.2, 0.5), (0.4, 0.8), (0.7, 0.6))]
    test = [{**RUN, "parameter": a, "accuracy": acc} for a, acc in ((0.2, 0.9), (0.4, 0.7), (0.7, 0.6))]
    assert choose(dev + test) == {("lab-math", "dual", "", 0.4)}
    table = runs_table([{"runs": dev}, {"runs": test}])
    assert table.filter("chosen").select("split", "parameter").rows() == [("test", 0.4)]


def test_of_two_equals_the_one_that_defers_less_is_chosen():
    """Fails where a tie is broken by the order of the runs."""
    dev = [{**RUN, "split": "dev", "parameter": a, "deferral_rate": d} for a, d in ((0.7, 0.3), (0.4, 0.1))]
    assert choose(dev) == choose(dev[::-1]) == {("lab-math", "dual", "", 0.4)}


def test_a_point_needs_all_three_measurements_of_one_rule():
    """Fails where speed or gap of another parameter, mode or temperature would be drawn."""
    ends = {"point": 0.1, "low": 0.0, "high": 0.2}
    solved = {**RUN, "gap": ends, "price": ends, "n_steps": 5, "value": 1.0, "optimum": 1.1, "best_at_same_mass": 1.2}
    speed = {
        **RUN,
        "engine": "proxyalign",
        "mode": "speculative",
        "speedup": 2.0,
        "speedup_low": 1.9,
        "speedup_high": 2.1,
        "window": 5,
    }
    runs = runs_table([{"runs": [RUN, {**RUN, "temperature": 0.0, "accuracy": 0.0}]}]).to_dicts()
    (point,) = points_table(runs, [solved, {**solved, "temperature": 0.0}], [speed]).to_dicts()
    assert (point["accuracy"], point["speedup"], point["gap"], point["price_high"]) == (0.9, 2.0, 0.1, 0.2)
    assert points_table(runs, [solved], [{**speed, "parameter": 0.2}]).is_empty()
    assert points_table(runs, [solved], [{**speed, "mode": "autoregressive"}]).is_empty()
    assert points_table(runs, [solved], [{**speed, "engine": "transformers"}]).is_empty()


def test_runs_of_one_parameter_that_differ_in_another_are_two_points():
    """Fails where the gap of one setting of a rule is drawn at the speed of another."""
    dev = [{**RUN, "split": "dev", "variant": name, "accuracy": share} for name, share in (("", 0.5), ("eps=0.1", 0.8))]
    assert choose(dev) == {("lab-math", "dual", "eps=0.1", 0.4)}
    test = [{**RUN, "variant": name} for name in ("", "eps=0.1")]
    assert runs_table([{"runs": dev}, {"runs": test}]).filter("chosen")["variant"].to_list() == ["eps=0.1"]


def test_choices_stand_in_the_table_and_not_among_the_points(tmp_path):
    """Fails where likelihoods are drawn as if decoded, chosen on dev otherwise, or a file loses their measures."""
    mc2 = {"name": "mc2", "value": 0.46, "standard_error": None, "low": None, "high": None, "n": 1}
    read = {**RUN, "task": "truthfulqa", "mode": None, "temperature": None, "deferral_rate": 0.0, "measures": [mc2]}
    dev = [{**read, "split": "dev", "parameter": a, "accuracy": share} for a, share in ((0.2, 0.3), (0.4, 0.5))]
    table = runs_table([{"runs": [{**RUN, "measures": []}, read]}, {"runs": dev}])
    assert table.filter("chosen").select("task", "mode").rows() == [("truthfulqa", None)]
    table.write_parquet(tmp_path / "runs.parquet")
    kept = pl.read_parquet(tmp_path / "runs.parquet").to_dicts()
    assert [run["measures"] for run in kept] == [[], [mc2], [mc2], [mc2]]
    ends = {"point": 0.1, "low": 0.0, "high": 0.2}
    fast = {**read, "engine": "proxyalign", "mode": "speculative"}
    assert points_table(kept, [{**read, "gap": ends, "price": ends}], [fast]).is_empty()
