"""Draw how far the primal is from the optimum on real steps, by their entropy, with the bound of statement 2."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.saving import save
from analysis.product import started
from proxyalign.plotting import GREY, USUAL, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR = 1e-6  # of a share of the optimum that is drawn on a logarithmic scale
COLOUR, MARKER = USUAL["primal"]


def shares(step: Mapping[str, Any]) -> tuple[float, float]:
    """What the primal misses of the optimum, and what statement 2 lets it miss: shares of the optimum."""
    best = float(step["optimum"])
    if not best > 0:
        return 0.0, 0.0
    return (best - step["primal"]) / best, step["critical_value"] / best


def draw(steps: Sequence[Mapping[str, Any]]) -> "Figure":
    """A panel a budget: gap (marks) and bound (short bars above them) of each step; steps without a gap lie below.

    steps: as `analysis.figures.record_steps` writes them.
    """
    budgets = sorted({step["budget"] for step in steps})
    figure, axes = subplots(1, len(budgets), sharey=True, figsize=(1.45 * len(budgets) + 0.4, 2.9), squeeze=False)
    for axis, budget in zip(axes[0], budgets, strict=True):
        here = [step for step in steps if step["budget"] == budget]
        entropy = np.array([step["entropy"] for step in here])
        gap, bound = np.array([shares(step) for step in here]).T
        axis.plot(entropy, np.maximum(100 * bound, 100 * FLOOR), "_", color=GREY, markersize=4, markeredgewidth=0.7)
        seen = gap >= FLOOR
        axis.plot(entropy[seen], 100 * gap[seen], MARKER, color=COLOUR, markersize=3, alpha=0.8, markeredgewidth=0)
        axis.plot(entropy[~seen], np.full((~seen).sum(), 100 * FLOOR), MARKER, color=COLOUR, markersize=3,
                  fillstyle="none", markeredgewidth=0.6)  # fmt: skip
        axis.set_yscale("log")
        axis.set(title=f"b = {budget:g}", ylim=(40 * FLOOR, 300))
        axis.annotate(f"{np.mean(~seen):.0%} without a gap", (0.5, 0), xytext=(0, 17), xycoords="axes fraction",
                      textcoords="offset points", ha="center", fontsize=6.5, color=GREY)  # fmt: skip
    axes[0, 0].set_ylabel("missed by the primal (% of the optimum)")
    figure.supxlabel(
        "entropy of the step (nats); bars: what statement 2 allows; open marks: no gap above 0.0001 %", fontsize=8
    )
    return figure


def main() -> None:
    """Read the recorded steps, draw and save."""
    (source,), out, record = started(__file__, __doc__)
    steps = json.loads(source.read_text())["steps"]
    save(draw(steps), out, record, steps)


if __name__ == "__main__":
    main()
