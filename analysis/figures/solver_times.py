"""Draw each solver's time on each instance of the recorded contest, and what its answer was worth."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.figures.saving import save
from analysis.product import started
from proxyalign.plotting import use_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"exact": "#009E73", "HiGHS": "#0072B2", "SCIP": "#D55E00", "OR-tools": "#CC79A7"}
MARKERS = {"exact": "D", "HiGHS": "s", "HiGHS zero-gap": "P", "SCIP": "^", "SCIP zero-gap": "v", "OR-tools": "o"}
WORTH = {"certified": "optimal", "within tolerance": "optimal", "unfinished": "unfinished", "wrong": "wrong"}
PANELS = {"rows": "next-token laws", "classes": "Pisinger's classes"}


def draw(contests: Sequence[Mapping[str, Any]]) -> "Figure":
    """One panel for each kind of instance, those of least time for `exact` first.

    A filled marker is an optimum, an open one an answer that the limit cut off, a cross one that is wrong.
    """
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    use_style()
    instances = [instance for contest in contests for instance in contest["instances"]]
    panels = {source: [one for one in instances if one["source"] == source] for source in PANELS}
    panels = {source: sorted(ones, key=_own_time) for source, ones in panels.items() if ones}
    widths = [max(4, len(ones)) for ones in panels.values()]
    figure, row = plt.subplots(
        1, len(panels), squeeze=False, sharey=True, layout="constrained", figsize=(6.8, 3.4), width_ratios=widths
    )
    axes = row[0]
    for axis, (source, ones) in zip(axes, panels.items(), strict=True):
        for place, instance in enumerate(ones):
            axis.axvline(place, color="#EEEEEE", linewidth=0.6, zorder=0)
            for solver, answer in instance["answers"].items():
                _mark(axis, place, solver, answer)
        for limit in sorted({contest["limit_seconds"] for contest in contests}):
            axis.axhline(limit, color="#777777", linestyle=":", linewidth=0.8)
        axis.set_yscale("log")
        sizes = sorted({one["n_items"] for one in ones})
        axis.set_title(f"{PANELS[source]}\n{' and '.join(f'{size:,}' for size in sizes)} items")
        axis.set_xticks(range(len(ones)), [_label(one) for one in ones], rotation=90, fontsize=5.5)
    axes[0].set_ylabel("seconds (dotted: the limit)")
    solvers = {solver for one in instances for solver in one["answers"]}
    shown = [
        Line2D([], [], color=_colour(solver), marker=MARKERS[solver], linestyle="", markersize=4, label=solver)
        for solver in MARKERS
        if solver in solvers
    ]
    kinds = [
        Line2D([], [], color="#555555", marker="o", linestyle="", markersize=4, label="optimal within 1e-9"),
        Line2D([], [], color="#555555", marker="o", linestyle="", markersize=4, fillstyle="none", label="unfinished"),
        Line2D([], [], color="#555555", marker="x", linestyle="", markersize=4, label="wrong: short or over budget"),
    ]
    figure.legend(handles=shown + kinds, loc="outside lower center", ncols=5, columnspacing=1.2, handletextpad=0.3)
    return figure


def _own_time(instance: Mapping[str, Any]) -> float:
    return float(instance["answers"]["exact"]["seconds"])


def _label(instance: Mapping[str, Any]) -> str:
    return f"b = {instance['budget']:g}" if instance["source"] == "rows" else str(instance["name"])


def _colour(solver: str) -> str:
    return COLOURS[solver.split()[0]]


def _mark(axis: Any, place: int, solver: str, answer: Mapping[str, Any]) -> None:
    worth = WORTH[answer["judgement"]]
    colour = _colour(solver)
    beside = (list(MARKERS).index(solver) - 2.5) * 0.11  # so that equal times do not hide one another
    marker = "x" if worth == "wrong" else MARKERS[solver]
    face = "none" if worth == "unfinished" else colour
    axis.plot(place + beside, answer["seconds"], marker, markersize=4, color=colour, markerfacecolor=face, mew=0.8)


def main() -> None:
    """Read the recorded contests, draw and save."""
    sources, out, record = started(__file__, __doc__)
    contests = [json.loads(source.read_text()) for source in sources]
    save(draw(contests), out, record, [contest["instances"] for contest in contests])


if __name__ == "__main__":
    main()
