"""The figure of a search: every setting where its numbers put it, and the front alone joined and named."""

import matplotlib as mpl
import pytest

from proxyalign.errors import InputError
from proxyalign.evaluation.tuning.figure import pareto


def row(rule, parameter, window, accuracy, speed):
    interval = (max(0.0, accuracy - 0.1), min(1.0, accuracy + 0.1))
    label = f"{rule} {parameter} {window}"
    told = {"accuracy": accuracy, "interval": interval, "tokens_per_second": speed}
    return {"rule": rule, "parameter": parameter, "window": window, "label": label, **told}


ROWS = [row("dual", 0.4, 3, 0.9, 50.0), row("dual", 0.2, 0, 0.6, 40.0), row("min-p", 0.1, 0, 0.5, 90.0)]
ROWS += [row("never", None, 0, 0.1, 99.0)]


def test_points_lie_where_their_numbers_are_and_the_front_joins_those_that_no_other_beats():
    """Fails where accuracy and speed are swapped, a beaten setting is on the front, or a bar is another's."""
    mpl.use("agg")
    figure = pareto(ROWS)
    (axis,) = figure.axes
    points = {tuple(map(float, entry[0].get_xydata()[0])): entry for entry in axis.containers}
    assert sorted(points) == [(40.0, 60.0), (50.0, 90.0), (90.0, 50.0), (99.0, 10.0)]
    low, high = points[40.0, 60.0][2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((50.0, 70.0))
    front = next(line for line in axis.lines if line.get_label() == "front")
    assert front.get_xydata().tolist() == [[50.0, 90.0], [90.0, 50.0], [99.0, 10.0]]
    assert [text.get_text() for text in axis.texts] == ["0.4", "0.1"]


def test_modes_and_rules_can_be_told_apart():
    """Fails where a drafting setting looks like one that does not, or a rule has no entry of its own."""
    mpl.use("agg")
    figure = pareto(ROWS)
    faces = [entry[0].get_markerfacecolor() for entry in figure.axes[0].containers]
    assert [face == "white" for face in faces] == [False, True, True, True]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["dual", "min-p", "never", "token by token", "front"]


def test_nothing_to_draw_is_said_in_a_sentence():
    """Fails where an empty search ends in a traceback of matplotlib's."""
    with pytest.raises(InputError, match="search first"):
        pareto([])
