"""Draw what the real pair's parents, cascades and controls answer right on each recorded benchmark, beside guessing."""

import itertools
import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.experiments.latex_tables import order
from analysis.experiments.real_benchmarks import Row, guessing, shown
from analysis.figures.saving import chosen, save
from analysis.product import started
from proxyalign.plotting.style import CONTROL, GREY, PARENTS, arms, looks, series, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ["task", "split", "rule", "variant", "parameter", "chosen", "n", "accuracy", "low", "high"]
PARENTS_LOOK = {"never": ("black", "|"), "always": ("#777777", "x")}
CHOSEN = "★: the parameter that did best on development questions."
CAUTION = (
    "One draw a question, and as many comparisons as there are marks: where intervals overlap nothing follows about "
    "which rule is better. Both models are small and of about one size, so nothing follows about a large base."
)


def draw(runs: Sequence[Row], chances: Sequence[Row]) -> "Figure":
    """A panel a task: a line a run with its interval, the base's as a band behind all of them.

    runs: those to draw. chances: what guessing is worth, drawn where it is known for the questions of the runs.
    """
    panels = [
        [run for run in runs if (run["task"], run["split"]) == panel]
        for panel in dict.fromkeys((run["task"], run["split"]) for run in runs)
    ]
    n_rows = -(-len(panels) // 2)
    most = [max(map(len, panels[2 * row : 2 * row + 2])) for row in range(n_rows)]
    figure, axes = subplots(n_rows, 2, squeeze=False, figsize=(6.9, 0.14 * sum(most) + 0.5 * n_rows + 0.6),
                            height_ratios=most)  # fmt: skip
    for axis, ones in itertools.zip_longest(axes.flat, panels):
        if ones is None:
            axis.set_axis_off()
        else:
            _draw(axis, ones, {guess for run in ones if (guess := guessing(run, chances)) is not None})
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    for axis in axes.flat[max(0, len(panels) - 2) : len(panels)]:  # the lowest of each column
        axis.set_xlabel("answered right (%)")
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=4)
    note = " ".join([*([CHOSEN] if any(run["chosen"] for run in runs) else []), CAUTION])
    figure.supxlabel("\n".join(textwrap.wrap(note, 136)), fontsize=6.5, color=GREY, x=0.01, ha="left")
    return figure


def _draw(axis: "Axes", runs: Iterable[Row], guesses: Iterable[float]) -> None:
    rows = sorted(runs, key=lambda run: (_place(run), run["variant"], run["parameter"] or 0))
    known, names = looks(rows), list[str]()
    for row, run in enumerate(rows):
        is_control = run["rule"].startswith(CONTROL)
        if run["rule"] in PARENTS:
            name, (colour, marker) = PARENTS[run["rule"]], PARENTS_LOOK[run["rule"]]
        else:
            rule, symbol, colour, marker = known[series(run)]
            name = f"{rule}, {symbol} = {run['parameter']:g}{', no proxy' if is_control else ''}"
        y = 100 * np.array([[run["accuracy"], run["low"], run["high"]]])
        axis.errorbar(y[:, 0], [row], xerr=arms(y), fmt=marker, color=colour, markersize=4, elinewidth=0.8,
                      markerfacecolor="white" if is_control else colour, clip_on=False)  # fmt: skip
        if run["rule"] == "never":
            axis.axvspan(y[0, 1], y[0, 2], color="black", alpha=0.08, linewidth=0, label="the base's interval")
        names.append(f"{name} ★" if run["chosen"] else name)
    for guess in guesses:
        axis.axvline(100 * guess, color=GREY, linewidth=0.8, linestyle=":", label="guessing")
    axis.set_yticks(range(len(rows)), names, fontsize=6.5)
    axis.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, None))
    asked = " to ".join(map(str, sorted({run["n"] for run in rows})))
    axis.set_title(f"{rows[0]['task']}: {asked} questions ({rows[0]['split']})")


def _place(run: Row) -> tuple[int, int]:
    """Parents, rules as the registry has them, and each control after its rule."""
    rule = run["rule"].removeprefix(CONTROL)
    return (0 if rule in PARENTS else 1), 2 * order(rule)[1] + run["rule"].startswith(CONTROL)


def main() -> None:
    """Read the recorded runs and what guessing is worth, draw the runs that are shown, and save."""
    sources, out, record = started(__file__, __doc__)
    runs, chances = (json.loads(source.read_text()) for source in sources)
    drawn: list[dict[str, Any]] = chosen(shown(runs["runs"]), COLUMNS)
    save(draw(drawn, chances["chances"]), out, record, {"runs": drawn, "guessing": chances["chances"]})


if __name__ == "__main__":
    main()
