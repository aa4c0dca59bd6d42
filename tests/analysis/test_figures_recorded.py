"""Figures of recorded results draw what was recorded, each in its place."""

import json
from pathlib import Path

import pytest
import yaml

from analysis.figures import (
    BESIDE,
    RECORDED,
    gap_by_entropy,
    price_at_equal_mass,
    published_beside_ours,
    real_benchmarks,
    who_writes_what,
    window,
)
from proxyalign.evaluation.tuning.guarantees import binomial_tail

ROOT = Path(__file__).parent.parent.parent


pytestmark = pytest.mark.usefixtures("without_a_screen")


def test_each_recorded_figure_has_its_script_and_its_sources():
    """Fails where the list that the workflow draws by names a script or a record that is not there."""
    for name, sources in RECORDED.items():
        assert (ROOT / "analysis" / "figures" / f"{name}.py").is_file()
        assert all((ROOT / source).is_file() for source in sources)


def test_every_recorded_step_keeps_the_bounds_that_are_drawn():
    """Fails where a record was made of other steps or bounds than its names say (statements 2 and 4)."""
    found = json.loads((ROOT / "analysis/recorded/knapsack_steps.json").read_text())
    assert all(step["is_optimal"] for step in found["steps"])
    for gap, bound in map(gap_by_entropy.shares, found["steps"]):
        assert -1e-12 <= gap <= bound + 1e-12
    for path in found["paths"]:
        for one, best, least in zip(path["primal"], path["exact"], path["lp"], strict=True):
            assert one <= best + 1e-12 <= least + 2e-12
        for line in path["dual"]:
            assert all(value >= least - 1e-9 for value, least in zip(line["values"], path["lp"], strict=True))


def test_a_share_counts_tokens_and_their_mass_over_both_writers():
    """Fails where the proxy's share is of its own tokens, or a position's mass is summed in place of averaged."""
    cells = [
        {"position": 0, "kind": "word", "source": "base", "n": 30, "mass": 6.0},
        {"position": 0, "kind": "word", "source": "proxy", "n": 10, "mass": 4.0},
    ]
    figure = who_writes_what.draw([{"task": "t", "n_texts": 40, "writers": cells}])
    left = figure.axes[0]
    assert [bar.get_height() for bar in left.patches] == [25.0]
    assert left.lines[0].get_ydata().tolist() == [25.0]


def test_a_window_has_its_measured_yield_and_statement_12_beside_it():
    """Fails where the prediction is drawn as if it had been measured, or the other way round."""
    run = {"rule": "dual", "parameter": 0.4, "acceptance_rate": 0.8, "speedup": 2.0, "speedup_low": 1.5}
    run |= {"speedup_high": 2.5, "predicted_speedup": 2.2, "predicted_speedup_at_cost": 2.1}
    runs = [{**run, "window": g, "tokens_per_cycle": g / 2, "predicted_tokens_per_cycle": float(g)} for g in (1, 2)]
    yielded = window.draw(runs).axes[0]
    assert [(line.get_linestyle(), list(line.get_ydata())) for line in yielded.lines] == [
        ("None", [0.5, 1.0]), ("--", [1.0, 2.0])
    ]  # fmt: skip


def test_no_interval_of_a_speedup_hides_another():
    """Fails where two rules have their intervals at one place."""
    run = {"acceptance_rate": 0.8, "tokens_per_cycle": 2.0, "predicted_tokens_per_cycle": 2.0, "speedup": 2.0}
    run |= {"speedup_low": 1.5, "speedup_high": 2.5, "predicted_speedup": 2.2, "predicted_speedup_at_cost": 2.1}
    runs = [{**run, "rule": rule, "parameter": 0.4, "window": g} for rule in ("dual", "primal") for g in (1, 2)]
    one, other = (bars.lines[0].get_xdata() for bars in window.draw(runs).axes[2].containers)
    assert not set(one) & set(other)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_each_column_of_benchmarks_says_what_its_lowest_axis_counts(n):
    """Fails where an odd number of panels leaves a column without its unit, or an axis that is not shown has it."""
    run = {"split": "test", "rule": "never", "variant": "", "parameter": None, "chosen": False, "n": 9}
    run |= {"accuracy": 0.2, "low": 0.1, "high": 0.3}
    axes = real_benchmarks.draw([{**run, "task": f"t{i}"} for i in range(n)], []).axes
    told = [axis.get_xlabel() != "" for axis in axes if axis.axison]
    assert told == [i >= n - 2 for i in range(n)]


def test_rules_are_drawn_at_the_mass_that_they_spend():
    """Fails where rules are set side by side by their parameters, whose masses differ."""
    run = {"price_low": 0.0, "price_high": 0.1, "price": 0.05}
    names = ("dual", "hybrid", "primal", "exact")
    rules = [{**run, "rule": name, "mass_a_step": mass} for name in names for mass in (0.2, 0.1)]
    axis = price_at_equal_mass.draw([{"task": "t", "n_steps": 9, "rules": rules}]).axes[0]
    curves = [line for line in axis.containers if line.get_label() in names]
    assert [list(curve[0].get_xdata()) for curve in curves] == [[10.0, 20.0]] * 4


def test_a_recorded_promise_follows_from_the_harms_that_were_counted():
    """Fails where a promise was changed by hand, a failure passed over, or the values are not those of the figure."""
    found = json.loads((ROOT / BESIDE["accuracy_vs_parameter"][0]).read_text())
    grid = yaml.safe_load((ROOT / "analysis/config/quick.yaml").read_text())["grids"]["chosen_on_dev"]["rules"]
    assert {one["rule"]: one["values"] for one in found["promises"]} == grid
    for one in found["promises"]:
        tested = [step["parameter"] for step in one["tested"]]
        passed = [binomial_tail(step["n_harms"], one["n"], one["eps"]) <= one["delta"] for step in one["tested"]]
        assert tested == one["values"][: len(tested)]
        assert all(passed[:-1])
        assert len(tested) == len(one["values"]) or not passed[-1]
        kept = tested if passed[-1] else tested[:-1]
        assert one["parameter"] == (kept[-1] if kept else None)


def test_published_numbers_stand_alone_and_say_so():
    """Fails where the picture could be taken for a comparison of pairs that were run here."""
    published = json.loads((ROOT / RECORDED["published_beside_ours"][0]).read_text())
    figure = published_beside_ours.draw(published)
    assert "nothing of ours" in figure.get_supxlabel().replace("\n", " ")
    assert "check them before printing" in figure.get_supxlabel().replace("\n", " ")
