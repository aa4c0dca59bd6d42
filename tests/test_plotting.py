"""The figures draw what they are given: one step's items where they belong, a curve a rule, a point a run."""

import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from proxyalign import plotting
from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, exact, primal

LAW = np.array([0.4, 0.35, 0.0, 0.25])


pytestmark = pytest.mark.usefixtures("without_a_screen")


def _runs():
    row = {"task": "lab-math", "temperature": 1, "n": 50}
    rules = [("never", None, 0.2), ("always", None, 0.3), ("dual", 0.2, 0.6), ("dual", 0.4, 0.9)]
    rules += [("truncated-dual", 0.2, 0.1), ("truncated-dual", 0.4, 0.0)]
    return [
        {**row, "rule": rule, "parameter": parameter, "accuracy": a, "low": max(0, a - 0.1), "high": min(1, a + 0.1)}
        for rule, parameter, a in rules
    ]


def _point(rule, parameter, gap, price, task="lab-math"):
    ends = {
        f"{name}{end}": value
        for name, value in (("speedup", 1.5), ("gap", gap), ("price", price))
        for end in ("", "_low", "_high")
    }
    return {"task": task, "rule": rule, "parameter": parameter, "accuracy": 0.5, **ends}


def test_an_items_area_is_its_value_and_a_strip_has_the_solutions_items():
    """Fails where items are drawn out of order, or a strip shows other tokens than the solution defers."""
    problem = DeferralProblem.from_probs(LAW, budget=0.4)
    best = exact(problem)
    figure = plotting.knapsack_step(problem, {"primal": primal(problem), "exact": best})
    above, below = figure.axes
    areas = [bar.get_width() * bar.get_height() for bar in above.patches]
    assert areas == pytest.approx(problem.values[[3, 1, 0]])
    strips = [sum(bar.get_width() for bar in bars) for bars in below.containers]
    assert strips == pytest.approx([1.0, 0.25, 1.0, best.mass])


@pytest.mark.parametrize("text", ["$$", "a$b$", "\\$"])
def test_a_token_is_a_label_as_it_stands(text):
    """Fails where dollars of a token are taken for a formula's, which may not be one."""
    problem = DeferralProblem.from_probs(LAW, budget=0.4)
    figure = plotting.knapsack_step(problem, {"primal": primal(problem)}, token=lambda _: text)
    figure.draw_without_rendering()
    labels = [label for label in figure.axes[0].texts if label.get_text() == repr(text)[1:-1]]
    assert len(labels) == 3
    assert not any(label.get_parse_math() for label in labels)


def test_any_rule_of_the_registry_is_drawn_and_its_other_parameters_tell_curves_apart():
    """Fails where a rule beyond the usual five is left out of a figure, or two settings share a curve."""
    usual, row = _runs(), _runs()[2]
    more = [{**row, "rule": rule, "parameter": 2} for rule in ("top-k", "top-n-sigma")]
    more += [{**row, "rule": "hybrid", "variant": variant} for variant in ("", "step=0.1")]
    figure = plotting.accuracy_vs_parameter([{"variant": "", **run} for run in usual + more])
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels >= {"dual (α)", "top-k (k)", "top-n-sigma (n)", "hybrid (b)", "hybrid, step=0.1 (b)"}
    points = [_point("hybrid", 0.3, 0.1, 0.2), {**_point("hybrid", 0.3, 0.2, 0.3), "variant": "step=0.1"}]
    figure = plotting.gap_vs_speedup([*points, _point("min-p", 0.1, 0.0, 0.1), _point("never", None, 0.0, 0.0)])
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels >= {"hybrid (label: b)", "hybrid, step=0.1 (label: b)", "min-p (label: α)"}
    assert not any("never" in label for label in labels)


def test_a_step_without_a_solution_is_refused():
    """Fails where an empty figure would be drawn."""
    with pytest.raises(InputError, match="at least one solution"):
        plotting.knapsack_step(DeferralProblem.from_probs(LAW, budget=0.4), {})


def test_accuracy_has_a_curve_for_each_rule_and_dashes_for_its_control():
    """Fails where a control would look like a rule, or a parent is left out."""
    figure = plotting.accuracy_vs_parameter(_runs())
    (axis,) = figure.axes
    styles = {entry.get_label(): entry[0].get_linestyle() for entry in axis.containers}
    assert styles == {"dual (α)": "-", "dual, no proxy (control)": "--"}
    assert axis.containers[0][0].get_ydata().tolist() == pytest.approx([60, 90])
    assert {"base alone", "proxy alone"} <= {line.get_label() for line in axis.lines}


def test_only_draws_at_temperature_one_are_in_the_accuracy_figure():
    """Fails where a greedy run is drawn among sampled ones."""
    greedy = {**_runs()[2], "temperature": 0, "parameter": 0.9}
    figure = plotting.accuracy_vs_parameter([*_runs(), greedy])
    assert 0.9 not in figure.axes[0].containers[0][0].get_xdata()


def test_a_promised_parameter_has_a_ring_and_a_rule_without_one_a_sentence():
    """Fails where the ring is about a control or another parameter, or a rule without a promise is passed over."""
    promise = {"task": "lab-math", "n": 40, "eps": 0.05, "delta": 0.1}
    promises = [{**promise, "rule": "dual", "parameter": 0.2}, {**promise, "rule": "primal", "parameter": None}]
    (axis,) = plotting.accuracy_vs_parameter(_runs(), promises).axes
    rings = [line.get_xydata().tolist() for line in axis.lines if line.get_label() == "harm ≤ 5% promised at 90%"]
    assert rings == [[[0.2, pytest.approx(60)]]]
    assert "no parameter of primal can be promised" in axis.get_xlabel()
    (other,) = plotting.accuracy_vs_parameter(_runs(), [{**one, "task": "lab-facts"} for one in promises]).axes
    assert not any("promised" in str(line.get_label()) for line in other.lines)
    assert "promised" not in other.get_xlabel()


def test_each_task_has_a_panel_for_the_gap_and_one_for_the_price():
    """Fails where the two measures are swapped or a task's points land in another's panel."""
    points = [_point("primal", 0.5, 0.1, 0.3), _point("near-optimal", 0.5, 0.01, 0.2, "lab-facts")]
    figure = plotting.gap_vs_speedup(points)
    panels = [axis for axis in figure.axes if axis.get_ylabel()]
    offsets = [np.concatenate([drawn.get_offsets() for drawn in axis.collections]) for axis in panels]
    drawn = [[round(height, 6) for height in panel[:, 1] if height] for panel in offsets]
    assert drawn == [[10.0], [30.0], [1.0], [20.0]]


def _strips(figure):
    return [axis for axis in figure.axes if not axis.get_ylabel()]


def test_no_mark_lies_below_the_zero_of_a_scale():
    """Fails where a rule that leaves nothing is drawn as if its gap were negative."""
    figure = plotting.gap_vs_speedup([_point("primal", 0.5, 0.1, 0.3), _point("dual", 0.4, 0.0, 0.0)])
    for axis in figure.axes:
        if axis.get_ylabel():
            assert axis.get_ylim()[0] == 0
            assert all((drawn.get_offsets()[:, 1] >= 0).all() for drawn in axis.collections)


def test_rules_that_leave_nothing_are_named_in_a_strip_without_a_scale():
    """Fails where a rule with a gap would be called exact, or a strip had numbers to read a gap from."""
    figure = plotting.gap_vs_speedup([_point("primal", 0.5, 0.1, 0.3), _point("dual", 0.4, 0.0, 0.0)])
    names = [[tick.get_text() for tick in strip.get_yticklabels()] for strip in _strips(figure)]
    assert names == [["dual"], ["dual"]]


@pytest.mark.parametrize("speeds", [(1.0, 1.0, 1.0, 1.0), (0.95, 1.2, 1.44, 1.46), (0.1, 0.6, 1.1, 1.6)])
def test_labels_in_a_strip_never_meet_and_name_every_point(speeds):
    """Fails where the marks of one rule lie so close together that their parameters hide each other."""
    points = [
        {**_point("dual", parameter, 0.0, 0.0), "speedup": speed, "speedup_low": speed, "speedup_high": speed}
        for parameter, speed in zip((0.2, 0.3, 0.4, 0.7), speeds, strict=True)
    ]
    figure = plotting.gap_vs_speedup([*points, _point("primal", 0.5, 0.1, 0.3)])
    figure.canvas.draw()
    for strip in _strips(figure):
        boxes = [Text.get_window_extent(text) for text in strip.texts]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        labels = [
            text.get_text() for text in strip.texts if text.get_text()[0] == "0" and "every" not in text.get_text()
        ]
        assert sorted(", ".join(labels).split(", ")) == ["0.2", "0.3", "0.4", "0.7"]


def test_each_point_has_its_label_and_no_two_texts_overlap():
    """Fails where points that lie close together hide each other's parameters."""
    rules = [("dual", 0.0), ("primal", 0.2), ("nudging", 0.21)]
    crowd = [_point(rule, parameter, 0.1, price) for rule, price in rules for parameter in (0.1, 0.2, 0.3)]
    figure = plotting.gap_vs_speedup(crowd)
    figure.canvas.draw()
    price = figure.axes[1]
    boxes = [Text.get_window_extent(text) for text in price.texts]  # without leader lines
    assert [text.get_text() for text in price.texts] == ["0.1", "0.2", "0.3"] * 2
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("draw", [plotting.accuracy_vs_parameter, plotting.gap_vs_speedup])
def test_nothing_to_draw_is_said_in_a_sentence(draw):
    """Fails where an empty table ends in a traceback of matplotlib's."""
    with pytest.raises(InputError, match="run the experiments first"):
        draw([])
