"""Draw what a cycle yields, how fast that is and what share of drafts passes, against the window, with statement 12."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.saving import chosen, save
from analysis.product import started
from proxyalign.plotting import GREY, USUAL, arms, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = [
    "rule", "parameter", "window", "n_tokens", "acceptance_rate", "tokens_per_cycle", "predicted_tokens_per_cycle",
    "speedup", "speedup_low", "speedup_high", "predicted_speedup", "predicted_speedup_at_cost",
]  # fmt: skip
APART = 0.2  # of a window, from rule to rule


def draw(runs: Sequence[Mapping[str, Any]]) -> "Figure":
    """Three panels: tokens a cycle, drafts that pass, speedup; marks are measured, lines are statement 12's.

    runs: speculative ones of `proxyalign bench decode`. The dashed line takes an acceptance that is the same at every
    position and a window that costs as much to verify as one step; the solid one has the verifying that was measured.
    """
    figure, (yielded, passed, fast) = subplots(1, 3, figsize=(6.9, 2.7))
    rules = sorted({run["rule"] for run in runs})
    for place, rule in enumerate(rules):
        mine = sorted((run for run in runs if run["rule"] == rule), key=lambda run: int(run["window"]))
        colour, marker = USUAL[rule]
        window = [run["window"] for run in mine]
        name = f"{rule}, {mine[0]['parameter']:g}"
        yielded.plot(window, [run["tokens_per_cycle"] for run in mine], marker, color=colour, markersize=4, label=name)
        yielded.plot(window, [run["predicted_tokens_per_cycle"] for run in mine], "--", color=colour, linewidth=0.9)
        passed.plot(window, [100 * run["acceptance_rate"] for run in mine], marker, color=colour, markersize=4)
        speed = np.array([[run[f"speedup{end}"] for end in ("", "_low", "_high")] for run in mine], dtype=float)
        beside = np.array(window) + APART * (place - (len(rules) - 1) / 2)  # or one interval would hide the other
        fast.errorbar(beside, speed[:, 0], yerr=arms(speed), fmt=marker, color=colour, markersize=4, elinewidth=0.7)
        fast.plot(window, [run["predicted_speedup"] for run in mine], "--", color=colour, linewidth=0.9)
        fast.plot(window, [run["predicted_speedup_at_cost"] for run in mine], "-", color=colour, linewidth=0.9)
    yielded.set(title="tokens a cycle", ylim=(0, None))
    passed.set(title="drafts that pass (%)", ylim=(0, 100))
    fast.set(title="speedup over the base alone (×)", ylim=(0, None))
    fast.axhline(1, color=GREY, linewidth=0.7, linestyle=":")
    for axis in (yielded, passed, fast):
        axis.set(xlabel="window: drafts a cycle", xticks=sorted({run["window"] for run in runs}))
    lines = [
        fast.plot([], [], style, color=GREY, linewidth=0.9, label=label)[0]
        for style, label in (("--", "statement 12"), ("-", "the same, at the measured cost of verifying"))
    ]
    figure.legend(handles=[*yielded.get_legend_handles_labels()[0], *lines], loc="outside lower center", ncols=4)
    return figure


def main() -> None:
    """Read the recorded measurement, draw its speculative runs and save."""
    (source,), out, record = started(__file__, __doc__)
    found = json.loads(source.read_text())
    runs = [run for run in found["runs"] if run["engine"] == "proxyalign" and run["mode"] == "speculative"]
    runs = chosen((run for run in runs if run["rule"] in ("dual", "primal")), COLUMNS)
    save(draw(runs), out, record, runs)


if __name__ == "__main__":
    main()
