"""Draw the price of a budget for each step: what dual, hybrid, primal and exact miss at equal mass (statement 14)."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.saving import save
from analysis.product import started
from proxyalign.plotting import OTHERS, USUAL, arms, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = {**USUAL, "hybrid": OTHERS[0]}


def draw(tasks: Sequence[Mapping[str, Any]]) -> "Figure":
    """A panel a task: the share of the best total value at the same total mass that a rule misses, over its mass.

    tasks: as `analysis.figures.record_texts` writes them; all rules are measured on the same laws.
    """
    figure, axes = subplots(1, len(tasks), sharey=True, squeeze=False, figsize=(3.1 * len(tasks) + 0.4, 2.9))
    highest = max(run["price_high"] for task in tasks for run in task["rules"])
    for axis, task in zip(axes[0], tasks, strict=True):
        for name in ("dual", "hybrid", "primal", "exact"):
            mine = sorted((run for run in task["rules"] if run["rule"] == name), key=lambda run: run["mass_a_step"])
            y = 100 * np.array([[run[f"price{end}"] for end in ("", "_low", "_high")] for run in mine])
            colour, marker = LOOKS[name]
            axis.errorbar([100 * run["mass_a_step"] for run in mine], y[:, 0], yerr=arms(y), color=colour, label=name,
                          marker=marker, markersize=3.5, elinewidth=0.7, linewidth=0.9, clip_on=False)  # fmt: skip
        axis.set(title=f"{task['task']} ({task['n_steps']:,} steps)", xlabel="mass deferred, mean of a step (%)")
        axis.set(xlim=(0, None), ylim=(0, 105 * highest))
    axes[0, 0].set_ylabel("price of the step budget (%)")
    figure.legend(handles=axes[0, 0].get_legend_handles_labels()[0], loc="outside lower center", ncols=4)
    return figure


def main() -> None:
    """Read the recorded texts, draw and save."""
    (source,), out, record = started(__file__, __doc__)
    tasks = [{name: task[name] for name in ("task", "n_steps", "rules")}
             for task in json.loads(source.read_text())["tasks"]]  # fmt: skip
    save(draw(tasks), out, record, tasks)


if __name__ == "__main__":
    main()
