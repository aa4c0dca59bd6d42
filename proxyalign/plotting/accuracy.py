"""Accuracy against each rule's parameter, beside both parents and the control without a proxy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from proxyalign.plotting.style import CONTROL, PARENTS, Row, arms, looks, panels, series, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINES = {"never": (":", "black"), "always": ("-.", "#777777")}


def accuracy_vs_parameter(runs: Sequence[Row], promises: Sequence[Row] = ()) -> "Figure":
    """Accuracy at temperature 1 against each rule's parameter: a panel a task, a curve a rule, 95 percent Wilson bars.

    runs: one row a run with task, rule, parameter (None where the rule has none), temperature, n, accuracy, low and
    high (shares in [0, 1]). Both parents are lines with their interval as a band; a rule's truncation-only control, the
    same tokens removed and no proxy, is dashed in the rule's colour.

    promises: one row a guarantee of little harm (statement 17), with task, rule, parameter (None where nothing can be
    promised), n, eps and delta. The point of a promised parameter has a ring; of the others a sentence tells.
    """
    tasks, curves = panels(runs), looks(runs)
    figure, axes = subplots(1, len(tasks), figsize=(3.4 * len(tasks), 3.4), sharey=True, squeeze=False)
    figure.set_layout_engine("constrained", wspace=0.06)  # else the numbers of two axes meet
    for panel, (axis, task) in enumerate(zip(axes[0], tasks, strict=True)):
        here = [run for run in runs if run["task"] == task and run["temperature"] == 1]
        for rule, (style, shade) in _LINES.items():
            for run in (run for run in here if run["rule"] == rule):
                axis.axhspan(100 * run["low"], 100 * run["high"], color=shade, alpha=0.12, linewidth=0)
                axis.axhline(100 * run["accuracy"], color=shade, linestyle=style, linewidth=1.1, label=PARENTS[rule])
        for one, look in curves.items():
            mine = [run for run in here if series(run) == one]
            for is_control, label, style, face in (
                (False, f"{look.name} ({look.symbol})", "-", look.colour),
                (True, f"{look.name}, no proxy (control)", "--", "white"),
            ):
                runs_of_it = [run for run in mine if str(run["rule"]).startswith(CONTROL) == is_control]
                _curve(axis, runs_of_it, label, look.colour, style, face, look.marker)
        rest = _rings(axis, here, [promise for promise in promises if promise["task"] == task])
        axis.set(title=f"{task}\n{_counts(here)}", xlim=(0, 1), ylim=(-3, 103))
        axis.set_xlabel(f"threshold α, or budget b a step{rest}")
        axis.set_ylabel("questions answered right (%)" if panel == 0 else "")
    handles = {
        label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, handlelength=2.6)
    return figure


def _counts(runs: Sequence[Row]) -> str:
    """How many questions stand behind a point, and behind those of the rules that answered fewer."""
    usual = max((int(run["n"]) for run in runs), default=0)
    fewer = {str(run["rule"]): int(run["n"]) for run in runs if int(run["n"]) < usual}
    return "; ".join([f"n = {usual}", *(f"{rule}: {n}" for rule, n in fewer.items())])


def _rings(axis: "Axes", runs: Sequence[Row], promises: Sequence[Row]) -> str:
    """Draw a ring about the point of each promised parameter that was run; returns what to say of the other rules."""
    for kept in (promise for promise in promises if promise["parameter"] is not None):
        wanted = {"rule": kept["rule"], "variant": "", "parameter": kept["parameter"]}
        of_it = [run for run in runs if wanted.items() <= {"variant": "", **run}.items()]
        label = f"harm ≤ {kept['eps']:.0%} promised at {1 - kept['delta']:.0%}"
        axis.plot([run["parameter"] for run in of_it], [100 * run["accuracy"] for run in of_it], "o", label=label,
                  color="black", fillstyle="none", markersize=9, markeredgewidth=0.9, clip_on=False)  # fmt: skip
    without = " and ".join(str(promise["rule"]) for promise in promises if promise["parameter"] is None)
    return f"\nno parameter of {without} can be promised" if without else ""


def _curve(axis: "Axes", runs: list[Row], label: str, colour: str, style: str, face: str, marker: str) -> None:
    if not runs:
        return
    runs = sorted(runs, key=lambda run: float(run["parameter"]))
    y = np.array([[run["accuracy"], run["low"], run["high"]] for run in runs], dtype=float) * 100
    axis.errorbar(
        [run["parameter"] for run in runs], y[:, 0], yerr=arms(y), label=label,
        color=colour, linestyle=style, marker=marker, markersize=3.6, markerfacecolor=face, markeredgewidth=0.9,
        elinewidth=0.7,
    )  # fmt: skip
