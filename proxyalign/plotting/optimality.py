"""What a rule leaves on the table against the speed that it decodes at: the package's key figure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.plotting.labels import Label, write
from proxyalign.plotting.style import GREY, Look, Row, arms, looks, panels, series, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = tuple[str, str]

MEASURES = {"gap": "optimality gap, step by step (%)", "price": "price of the step budget (%)"}
NOTHING = 1e-4  # percent below which a rule counts as leaving nothing: rounding, of sums over hundreds of steps
LANE = 0.24  # inches of a rule that leaves nothing
WIDEST = 0.045  # of the x axis that a label takes for each of its characters, at least


def gap_vs_speedup(points: Sequence[Row]) -> "Figure":
    """What a rule leaves on the table against the speed it decodes at: a row of two panels for each task.

    points: one row a run with task, rule, parameter, accuracy, and speedup, gap and price each with _low and _high.
    speedup is over the base alone decoding autoregressively; gap is the share of the optimum at the same budget that
    the rule misses, step by step; price is the share of the best total at the same total mass (statement 14). Rules
    that are zero throughout a panel have a strip of their own below it, a line a rule, which has no scale.
    """
    tasks, known = panels(points), looks(points)
    lanes = {
        (task, measure): _without([point for point in points if point["task"] == task], known, measure)
        for task in tasks
        for measure in MEASURES
    }
    tall = [LANE * (1.1 + max(1, *(len(lanes[task, measure]) for measure in MEASURES))) for task in tasks]
    figure, axes = subplots(
        2 * len(tasks), 2, sharex=True, squeeze=False, figsize=(6.9, 2.45 * len(tasks) + sum(tall) + 0.35),
        height_ratios=[height for strip in tall for height in (2.0, strip)],
    )  # fmt: skip
    figure.set_layout_engine("constrained", h_pad=0.02, hspace=0.0)  # a strip belongs to the panel above it
    _keys(figure, known)
    figure.supxlabel("measured speedup over the base alone decoding token by token (×)", fontsize=8)
    fastest = max(float(point["speedup_high"]) for point in points)
    labels = []
    for row, task in enumerate(tasks):
        here = [point for point in points if point["task"] == task]
        for column, (measure, name) in enumerate(MEASURES.items()):
            above, strip = axes[2 * row : 2 * row + 2, column]
            above.set(title=task if column == 0 else "", ylabel=name)
            top = max(1e-3, *(105 * float(point[f"{measure}_high"]) for point in points))
            above.set(xlim=(0, 1.06 * fastest), ylim=(0, top))
            above.tick_params(axis="x", length=0)
            for axis in (above, strip):
                axis.axvline(1, color=GREY, linewidth=0.7, linestyle=":", zorder=1)
            of_it = lanes[task, measure]
            shown = {one: look for one, look in known.items() if one not in of_it}
            labels.append((above, _scatter(above, here, shown, measure)))
            _strip(strip, here, {one: known[one] for one in of_it}, fastest)
    figure.draw_without_rendering()  # so that every panel has its place and its scale before labels look for room
    for axis, wanted in labels:
        write(axis, wanted, unit=figure.dpi / 72)
    return figure


def _of(points: Iterable[Row], one: Series) -> list[Row]:
    mine = (point for point in points if series(point) == one and point["parameter"] is not None)
    return sorted(mine, key=lambda point: float(point["parameter"]))


def _without(points: Sequence[Row], known: Mapping[Series, Look], measure: str) -> list[Series]:
    """The rules that leave nothing at any of their settings."""
    return [
        one
        for one in known
        if (mine := _of(points, one)) and all(100 * float(point[measure]) < NOTHING for point in mine)
    ]


def _size(accuracy: float) -> float:
    """Marker area in points squared: proportional to accuracy, with a floor so that a zero can be seen."""
    return 8 + 42 * accuracy


def _ends(points: Sequence[Row], name: str) -> NDArray[np.float64]:
    return np.array([[point[f"{name}{end}"] for end in ("", "_low", "_high")] for point in points], dtype=float)


def _scatter(axis: "Axes", points: list[Row], known: Mapping[Series, Look], measure: str) -> list[Label]:
    """Draw one panel; returns the labels that its points want."""
    labels = list[Label]()
    for one, (_, _, colour, marker) in known.items():
        if not (mine := _of(points, one)):
            continue
        x, y = _ends(mine, "speedup"), 100 * _ends(mine, measure)
        area = [_size(float(point["accuracy"])) for point in mine]
        axis.errorbar(
            x[:, 0], y[:, 0], xerr=arms(x), yerr=arms(y), fmt="none", ecolor=colour, elinewidth=0.7, alpha=0.8
        )
        axis.plot(x[:, 0], y[:, 0], color=colour, linewidth=0.5, alpha=0.6)
        axis.scatter(
            x[:, 0], y[:, 0], s=area, color=colour, marker=marker, alpha=0.8, edgecolor="white", linewidth=0.4,
            zorder=3, clip_on=False,
        )  # fmt: skip
        for point, right, up, size in zip(mine, x[:, 0], y[:, 0], area, strict=True):
            labels.append(Label(f"{point['parameter']:g}", axis.transData, (right, up), size**0.5 / 2, colour))
    return labels


def _strip(axis: "Axes", points: list[Row], known: Mapping[Series, Look], fastest: float) -> None:
    """The rules that leave nothing, each on a line with its name: they have a speed, and no height."""
    axis.set_facecolor("#F3F3F3")
    for side in ("left", "top"):
        axis.spines[side].set_visible(False)
    axis.set_ylim(len(known) - 0.35 if known else 0.65, -1.4)
    axis.annotate(
        "0 at every setting:" if known else "no rule is 0 at every setting", (0, 1), xytext=(3, -2),
        xycoords="axes fraction", textcoords="offset points", va="top", fontsize=6.5, color=GREY,
    )  # fmt: skip
    axis.set_yticks(range(len(known)), [look.name for look in known.values()])
    axis.tick_params(axis="y", length=0)
    for lane, (tick, (one, look)) in enumerate(zip(axis.get_yticklabels(), known.items(), strict=True)):
        tick.set_color(look.colour)
        mine = _of(points, one)
        x = _ends(mine, "speedup")
        axis.errorbar(x[:, 0], [lane] * len(x), xerr=arms(x), fmt="none", ecolor=look.colour, elinewidth=0.7, alpha=0.8)
        area = [_size(float(point["accuracy"])) for point in mine]
        axis.scatter(
            x[:, 0], [lane] * len(x), s=area, color=look.colour, marker=look.marker, alpha=0.8, edgecolor="white",
            linewidth=0.4, zorder=3,
        )  # fmt: skip
        for place, text in _joined(list(zip(x[:, 0].tolist(), [point["parameter"] for point in mine], strict=True)),
                                   fastest):  # fmt: skip
            axis.annotate(
                text, (place, lane), xytext=(0, 4.5), textcoords="offset points", ha="center", va="bottom",
                fontsize=6, color=look.colour,
            )  # fmt: skip


def _joined(places: list[tuple[float, Any]], fastest: float) -> list[tuple[float, str]]:
    """Labels along one line, from left to right; those that would meet become one, in the order of their points."""
    groups: list[list[tuple[float, str]]] = []
    for place, parameter in sorted(places):
        groups.append([(place, f"{parameter:g}")])
        while len(groups) > 1 and _meet(groups[-2], groups[-1], fastest):
            last = groups.pop()
            groups[-1] += last
    return [_centre(group) for group in groups]


def _centre(group: list[tuple[float, str]]) -> tuple[float, str]:
    return float(np.mean([place for place, _ in group])), ", ".join(text for _, text in group)


def _meet(left: list[tuple[float, str]], right: list[tuple[float, str]], fastest: float) -> bool:
    (one, text), (other, more) = _centre(left), _centre(right)
    return other - one < WIDEST * fastest * (len(text) + len(more) + 1) / 2


def _keys(figure: "Figure", known: Mapping[Series, Look]) -> None:
    from matplotlib.lines import Line2D

    colours = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="", markersize=5,
               label=f"{look.name} (label: {look.symbol})")
        for look in known.values()
    ]  # fmt: skip
    sizes = [
        Line2D([], [], color=GREY, marker="o", linestyle="", markersize=_size(share) ** 0.5, label=f"{share:.0%} right")
        for share in (0.25, 0.5, 1.0)
    ]
    base = [Line2D([], [], color=GREY, linestyle=":", linewidth=0.7, label="base alone, token by token")]
    figure.legend(handles=[*colours, *sizes, *base], loc="outside right center", labelspacing=0.8)
