"""The real pair's points: what is kept is what both records say."""

import json

import pytest

from analysis.experiments.real_points import RUNS, SPEEDS, points
from analysis.product import ROOT


def read(path):
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_the_kept_points_are_those_of_the_kept_records():
    """Fails when a record was made anew and the points were not, or a number was changed by hand."""
    assert points(read(RUNS), read(SPEEDS)) == read("analysis/recorded/real/points.json")["points"]


def test_a_point_joins_one_rule_with_its_own_gap_and_speed():
    """Fails when a gap stands beside another setting's speed, or a speed is not over the base alone."""
    record, timed = read(RUNS), read(SPEEDS)
    found = points(record, timed)
    assert {(one["rule"], one["parameter"]) for one in found} >= {("dual", 0.05), ("primal", 0.8)}
    alone = next(run for run in timed["runs"] if (run["rule"], run["mode"]) == ("never", "autoregressive"))
    for one in found:
        ((own, solved),) = [
            (run, steps)
            for run in timed["runs"]
            for steps in record["knapsack"]
            if (run["rule"], run["mode"], run["boundaries"]) == (one["rule"], "speculative", "any")
            and one["parameter"] in run["parameters"].values()
            and (steps["rule"], steps["parameter"]) == (one["rule"], one["parameter"])
        ]
        assert one["speedup"] == pytest.approx(own["tokens_per_second"] / alone["tokens_per_second"])
        assert one["gap"] == solved["gap.point"]
