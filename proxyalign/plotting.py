"""The figures of the package: one step's knapsack, accuracy against each rule's parameter, optimality against speed."""

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from proxyalign.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

    from proxyalign.knapsack import DeferralProblem, Solution

Row = Mapping[str, Any]

# Okabe and Ito's palette, which readers with any colour vision can tell apart; a control has the colour of its rule.
USUAL = {
    "dual": ("#0072B2", "o"),
    "primal": ("#D55E00", "s"),
    "near-optimal": ("#E69F00", "v"),
    "exact": ("#009E73", "D"),
    "nudging": ("#CC79A7", "^"),
}
OTHERS = (("#56B4E9", "P"), ("#000000", "X"), ("#882255", "<"), ("#999933", ">"), ("#44AA99", "p"), ("#AA4499", "h"))
CONTROL = "truncated-"
SYMBOLS = {"alpha": "α", "budget": "b"}  # of leading parameters; the others go by their names
GREY = "#555555"
CRITICAL = "#F0B58A"
PARENTS = (("never", "base alone", ":", "black"), ("always", "proxy alone", "-.", "#777777"))
LANE = 9  # points between the lines on which rules lie that are zero throughout a panel


def use_style() -> None:
    """Set matplotlib's defaults for a figure in print: small type, open axes, no grid, fonts that stay text."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "axes.labelsize": 8,
            "axes.linewidth": 0.6,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 8.5,
            "figure.dpi": 150,
            "font.family": "DejaVu Sans",
            "font.size": 7.5,
            "legend.fontsize": 7,
            "legend.frameon": False,
            "lines.linewidth": 1.2,
            "pdf.fonttype": 42,
            "savefig.bbox": "tight",
            "xtick.labelsize": 7,
            "xtick.major.width": 0.6,
            "ytick.labelsize": 7,
            "ytick.major.width": 0.6,
        }
    )


def _subplots(*shape: int, **options: Any) -> tuple["Figure", Any]:
    import matplotlib.pyplot as plt

    use_style()
    return plt.subplots(*shape, layout="constrained", **options)


def knapsack_step(
    problem: "DeferralProblem",
    solutions: Mapping[str, "Solution"],
    *,
    token: Callable[[int], str] | None = None,
) -> "Figure":
    """One step as Dantzig's picture: items from the densest on, as wide as their mass and as high as their density.

    An item's area is its value, so a solution's value is the area that it takes; below, one strip for each of
    `solutions` shows which items those are, each in its place, so that a skipped item leaves a gap. token: the text of
    a token id, to label the wide items.
    """
    if not solutions:
        raise InputError("knapsack_step: solutions must name at least one solution, got none; pass {'primal': ...}")
    from matplotlib.patches import Patch

    from proxyalign.knapsack import lp_bound

    values, weights = problem.values, problem.weights
    order = problem.order[weights[problem.order] > 0]
    width = weights[order]
    right = np.cumsum(width)
    left = right - width
    height = values[order] / width
    critical = lp_bound(problem).critical
    figure, (above, below) = _subplots(
        2, 1, figsize=(6.3, 2.4 + 0.34 * len(solutions)), sharex=True, height_ratios=[1.9, 0.34 * len(solutions)]
    )
    colours = [CRITICAL if token_id == critical else "#BBD5E8" for token_id in order]
    edge = np.where(width > 0.004, 0.3, 0.0)  # thinner boxes would be all edge
    above.bar(left, height, width, align="edge", color=colours, edgecolor="white", linewidth=edge)
    above.axvline(problem.budget, color=GREY, linewidth=0.9)
    above.set_ylabel("density −log p (nats)")
    # The rarest tokens are far denser than the rest, and too thin to be seen: they leave through the top.
    above.set_ylim(0, float(height[right > 0.02].max(initial=0.1)) * 1.45)
    above.annotate(
        f"budget {problem.budget:g}", (problem.budget, 1), xycoords=("data", "axes fraction"), xytext=(3, 0),
        textcoords="offset points", va="top", color=GREY,
    )  # fmt: skip
    if critical is not None:
        above.legend(handles=[Patch(color=CRITICAL, label="critical item")], loc="upper right", borderpad=0)
    for item in np.flatnonzero((width > 0.05) | (order == critical)):
        name = repr(token(int(order[item])))[1:-1] if token else str(order[item])
        above.annotate(
            name, (left[item] + width[item] / 2, height[item]), xytext=(0, 3), textcoords="offset points",
            rotation=45, rotation_mode="anchor", fontsize=6.5, bbox={"facecolor": "white", "pad": 0.3, "lw": 0},
        )  # fmt: skip
    for row, (name, solution) in enumerate(solutions.items()):
        taken = solution.deferred[order]
        below.barh(row, 1.0, 0.4, color="#EEEEEE")
        below.barh(
            np.full(int(taken.sum()), row), width[taken], 0.4, left[taken],
            color=USUAL.get(name.split("(")[0].strip(), (GREY, ""))[0], edgecolor="white", linewidth=edge[taken],
        )  # fmt: skip
        summary = f"{name}: {solution.value:.4f} nats at mass {solution.mass:.4f}"
        below.annotate(summary, (0, row - 0.25), va="bottom", fontsize=7)
    below.set(yticks=[], xlim=(0, 1), xlabel="probability mass, least likely token first (one box is one token)")
    below.set_ylim(len(solutions) - 0.7, -0.75)
    below.spines["left"].set_visible(False)
    return figure


def _panels(rows: Iterable[Row]) -> list[str]:
    tasks = sorted({str(row["task"]) for row in rows})
    if not tasks:
        raise InputError("plotting: rows must hold at least one result, got none; run the experiments first")
    return tasks


class _Look(NamedTuple):
    """How the runs of one rule, and of its control, are drawn. name: of the rule, with what is not at its default."""

    name: str
    symbol: str
    colour: str
    marker: str


def _series(row: Row) -> tuple[str, str]:
    """What a curve is of: the rule, whose control counts with it, and its parameters but the leading one."""
    return str(row["rule"]).removeprefix(CONTROL), str(row.get("variant") or "")


def _looks(rows: Iterable[Row]) -> dict[tuple[str, str], _Look]:
    """The looks of all rules with a parameter among the rows, in the registry's order."""
    from proxyalign.deferral.rules import REGISTRY

    order, spare = list(REGISTRY), itertools.cycle(OTHERS)
    there = {_series(row) for row in rows if row["parameter"] is not None}
    looks = {}
    for rule, variant in sorted(there, key=lambda series: (order.index(series[0]), series[1])):
        parameter = next(iter(inspect.signature(REGISTRY[rule]).parameters))
        colour, marker = USUAL[rule] if rule in USUAL and not variant else next(spare)
        name = f"{rule}, {variant}" if variant else rule
        looks[rule, variant] = _Look(name, SYMBOLS.get(parameter, parameter), colour, marker)
    return looks


def accuracy_vs_parameter(runs: Sequence[Row]) -> "Figure":
    """Accuracy at temperature 1 against each rule's parameter: a panel a task, a curve a rule, 95 percent Wilson bars.

    runs: one row a run with task, rule, parameter (None where the rule has none), temperature, n, accuracy, low and
    high (shares in [0, 1]). Both parents are lines with their interval as a band; a rule's truncation-only control, the
    same tokens removed and no proxy, is dashed in the rule's colour.
    """
    tasks, looks = _panels(runs), _looks(runs)
    figure, axes = _subplots(1, len(tasks), figsize=(3.4 * len(tasks), 2.9), sharey=True, squeeze=False)
    figure.set_layout_engine("constrained", wspace=0.06)  # else the numbers of two axes meet
    for panel, (axis, task) in enumerate(zip(axes[0], tasks, strict=True)):
        here = [run for run in runs if run["task"] == task and run["temperature"] == 1]
        for rule, label, style, shade in PARENTS:
            for run in (run for run in here if run["rule"] == rule):
                axis.axhspan(100 * run["low"], 100 * run["high"], color=shade, alpha=0.12, linewidth=0)
                axis.axhline(100 * run["accuracy"], color=shade, linestyle=style, linewidth=1.1, label=label)
        for series, look in looks.items():
            mine = [run for run in here if _series(run) == series]
            for is_control, label, style, face in (
                (False, f"{look.name} ({look.symbol})", "-", look.colour),
                (True, f"{look.name}, no proxy (control)", "--", "white"),
            ):
                runs_of_it = [run for run in mine if str(run["rule"]).startswith(CONTROL) == is_control]
                _curve(axis, runs_of_it, label, look.colour, style, face, look.marker)
        axis.set(
            title=f"{task}  ({_counts(here)})", xlim=(0, 1), ylim=(-3, 103), xlabel="threshold α, or budget b a step"
        )
        axis.set_ylabel("questions answered right (%)" if panel == 0 else "")
    handles = {
        label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside right center", handlelength=2.6)
    return figure


def _counts(runs: Sequence[Row]) -> str:
    """How many questions stand behind a point, and behind those of the rules that answered fewer."""
    usual = max((int(run["n"]) for run in runs), default=0)
    fewer = {str(run["rule"]): int(run["n"]) for run in runs if int(run["n"]) < usual}
    return "; ".join([f"n = {usual}", *(f"{rule}: {n}" for rule, n in fewer.items())])


def _curve(axis: "Axes", runs: list[Row], label: str, colour: str, style: str, face: str, marker: str) -> None:
    if not runs:
        return
    runs = sorted(runs, key=lambda run: float(run["parameter"]))
    y = np.array([[run["accuracy"], run["low"], run["high"]] for run in runs], dtype=float) * 100
    axis.errorbar(
        [run["parameter"] for run in runs], y[:, 0], yerr=_arms(y), label=label,
        color=colour, linestyle=style, marker=marker, markersize=3.6, markerfacecolor=face, markeredgewidth=0.9,
        elinewidth=0.7,
    )  # fmt: skip


def gap_vs_speedup(points: Sequence[Row]) -> "Figure":
    """What a rule leaves on the table against the speed it decodes at: a row of two panels for each task.

    points: one row a run with task, rule, parameter, accuracy, and speedup, gap and price each with _low and _high.
    speedup is over the base alone decoding autoregressively; gap is the share of the optimum at the same budget that
    the rule misses, step by step; price is the share of the best total at the same total mass (statement 14). A rule
    that is zero throughout a panel lies below the panel's scale, on a line of its own.
    """
    tasks, looks = _panels(points), _looks(points)
    figure, axes = _subplots(
        len(tasks), 2, figsize=(6.8, 2.6 * len(tasks) + 0.35), sharex=True, sharey="col", squeeze=False
    )
    _keys(figure, looks)
    figure.supxlabel("measured speedup over the base alone decoding token by token (×)", fontsize=8)
    fastest = max(float(point["speedup_high"]) for point in points)
    labels = []
    for row, task in enumerate(tasks):
        here = [point for point in points if point["task"] == task]
        axes[row, 0].set(title=f"{task}: step by step", ylabel="optimality gap, same budget (%)")
        axes[row, 1].set(title=f"{task}: all steps together", ylabel="price of the step budget (%)")
        for axis, measure in zip(axes[row], ("gap", "price"), strict=True):
            top = max(1e-3, *(105 * float(point[f"{measure}_high"]) for point in points))
            axis.set(xlim=(-0.04 * fastest, 1.42 * fastest), ylim=(-0.25 * top, top))
            axis.set_yticks([tick for tick in axis.get_yticks() if 0 <= tick <= top])
            axis.spines["left"].set_bounds(0, top)
            axis.axvline(1, color=GREY, linewidth=0.7, linestyle=":")
            labels.append((axis, _scatter(axis, here, looks, measure)))
    figure.draw_without_rendering()  # so that every panel has its place and its scale before labels look for room
    for axis, wanted in labels:
        _label(axis, wanted, unit=figure.dpi / 72)
    return figure


def _size(accuracy: float) -> float:
    """Marker area in points squared: proportional to accuracy, with a floor so that a zero can be seen."""
    return 8 + 42 * accuracy


def _arms(
    y: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Lengths below and above each of the points y (n, 3), given as point, low and high: (2, n), none negative.

    Bootstrap quantiles of a quantity that is zero in every resample miss the point by rounding, on either side.
    """
    return np.maximum(0.0, np.stack([y[:, 0] - y[:, 1], y[:, 2] - y[:, 0]]))


class _Label(NamedTuple):
    """A text for the point at `at`, in the coordinates of `place`; radius: of the point's marker, in points."""

    text: str
    place: "Transform"
    at: tuple[float, float]
    radius: float
    colour: str


def _scatter(axis: "Axes", points: list[Row], looks: Mapping[tuple[str, str], _Look], measure: str) -> list[_Label]:
    """Draw one panel; returns the labels that its points want."""
    from matplotlib.transforms import ScaledTranslation

    labels, n_lanes = list[_Label](), 0
    for series, (name, _, colour, marker) in looks.items():
        mine = sorted((one for one in points if _series(one) == series), key=lambda one: float(one["parameter"]))
        if not mine:
            continue
        x = np.array([[point[f"speedup{end}"] for end in ("", "_low", "_high")] for point in mine], dtype=float)
        y = 100 * np.array([[point[f"{measure}{end}"] for end in ("", "_low", "_high")] for point in mine], dtype=float)
        area = [_size(float(point["accuracy"])) for point in mine]
        place: Transform = axis.transData
        if in_lane := bool((y[:, 0] < 1e-4).all()):
            n_lanes += 1
            place = place + ScaledTranslation(0, -LANE * n_lanes / 72, axis.figure.dpi_scale_trans)
            axis.annotate(f"{name}: 0", (1, 0), xycoords=("axes fraction", "data"), xytext=(0, -LANE * n_lanes),
                          textcoords="offset points", ha="right", va="center", fontsize=6.5, color=colour)  # fmt: skip
        axis.errorbar(
            x[:, 0], y[:, 0], xerr=_arms(x), yerr=None if in_lane else _arms(y), fmt="none", ecolor=colour,
            elinewidth=0.7, alpha=0.8, transform=place,
        )  # fmt: skip
        axis.plot(x[:, 0], y[:, 0], color=colour, linewidth=0.5, alpha=0.6, transform=place)
        axis.scatter(
            x[:, 0], y[:, 0], s=area, color=colour, marker=marker, alpha=0.8, edgecolor="white", linewidth=0.4,
            zorder=3, transform=place,
        )  # fmt: skip
        if in_lane and measure == "gap":
            continue  # lanes have no room between them, and the other panel labels the same points
        for point, right, up, size in zip(mine, x[:, 0], y[:, 0], area, strict=True):
            labels.append(_Label(f"{point['parameter']:g}", place, (right, up), size**0.5 / 2, colour))
    return labels


def _label(axis: "Axes", labels: Sequence[_Label], unit: float, size: float = 6.5) -> None:
    """Write each label where it covers least: close to its point if there is room, else further off with a leader.

    unit: pixels in a point; size: of the type, in points.
    """
    taken = _drawn(axis, unit)
    frame = np.array(axis.get_window_extent().extents) / unit
    turn = np.tile(np.deg2rad(np.arange(90, 450, 30)), 5)
    ways = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    centres = np.array([label.place.transform(label.at) for label in labels]) / unit
    for label, centre in zip(labels, centres, strict=True):
        half = np.array([0.32 * len(label.text), 0.5]) * size
        distance = label.radius + np.repeat([2.0, 5.0, 9.0, 14.0, 20.0], 12)  # of the text's box, about
        offset = ways * (distance[:, None] + half)
        middle = centre + offset
        boxes = np.concatenate([middle - half, middle + half], axis=1)
        outside = (boxes[:, :2] < frame[:2]).any(1) | (boxes[:, 2:] > frame[2:]).any(1)
        sides = np.minimum(boxes[:, None, 2:], taken[:, 2:4]) - np.maximum(boxes[:, None, :2], taken[:, :2])
        away = np.linalg.norm(middle[:, None] - centres, axis=2)
        astray = np.linalg.norm(offset, axis=1) > away.min(1) + 1e-6  # it would seem to be another point's
        cost = np.maximum(0, sides).prod(-1) @ taken[:, 4] + distance + 5 * astray + 1e6 * outside
        best = int(cost.argmin())
        leader = {"arrowstyle": "-", "linewidth": 0.4, "color": label.colour, "shrinkA": 0, "shrinkB": label.radius}
        axis.annotate(
            label.text, label.at, xycoords=label.place, xytext=tuple(offset[best]), textcoords="offset points",
            ha="center", va="center", fontsize=size, color=label.colour,
            arrowprops=leader if distance[best] > label.radius + 4 else None,
        ).set_in_layout(False)  # fmt: skip
        taken = np.vstack([taken, [*boxes[best], 100.0]])


def _drawn(axis: "Axes", unit: float) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """What labels should not cover, as (m, 5): left, bottom, right, top in points, and the cost of a square point."""
    from matplotlib.collections import LineCollection, PathCollection

    boxes = [[*(np.array(text.get_window_extent().extents) / unit), 20.0] for text in axis.texts]
    lines = [line.get_transform().transform(line.get_xydata()) for line in axis.lines]
    for drawn in axis.collections:
        if isinstance(drawn, LineCollection):
            lines += [drawn.get_transform().transform(segment) for segment in drawn.get_segments()]
        elif isinstance(drawn, PathCollection):
            centres = drawn.get_offset_transform().transform(drawn.get_offsets()) / unit
            radii = np.sqrt(drawn.get_sizes())[:, None] / 2
            boxes += [[*box, 4.0] for box in np.concatenate([centres - radii, centres + radii], axis=1)]
    for line in lines:
        for start, end in itertools.pairwise(line / unit):
            n_steps = 1 + int(np.hypot(*(end - start)) / 2)
            for place in start + (end - start) * np.linspace(0, 1, n_steps)[:, None]:
                boxes.append([*(place - 0.7), *(place + 0.7), 2.0])
    return np.array(boxes).reshape(-1, 5)


def _keys(figure: "Figure", looks: Mapping[tuple[str, str], _Look]) -> None:
    from matplotlib.lines import Line2D

    colours = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="", markersize=5,
               label=f"{look.name} (label: {look.symbol})")
        for look in looks.values()
    ]  # fmt: skip
    sizes = [
        Line2D([], [], color=GREY, marker="o", linestyle="", markersize=_size(share) ** 0.5, label=f"{share:.0%} right")
        for share in (0.25, 0.5, 1.0)
    ]
    base = [Line2D([], [], color=GREY, linestyle=":", linewidth=0.7, label="base alone, token by token")]
    figure.legend(handles=[*colours, *sizes, *base], loc="outside right center", labelspacing=0.8)
