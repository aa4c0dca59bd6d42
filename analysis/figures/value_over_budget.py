"""Draw optimum, primal, relaxation and dual functions over the budget, for a flat, a middle and a peaked step."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.saving import save
from analysis.product import started
from proxyalign.plotting import GREY, USUAL, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(paths: Sequence[Mapping[str, Any]]) -> "Figure":
    """A column a step: above, the values; below, how far exact optimum and relaxation are above the primal.

    paths: as `analysis.figures.record_steps` writes them. Dual functions are lines, none of which is below the optimum
    anywhere (statement 4).
    """
    figure, axes = subplots(2, len(paths), sharex=True, figsize=(2.3 * len(paths), 4.1), squeeze=False,
                            height_ratios=[1.5, 1])  # fmt: skip
    for column, path in enumerate(paths):
        above, below = axes[:, column]
        budgets = np.array(path["budgets"])
        curves = {name: np.array(path[name]) for name in ("exact", "lp", "primal")}
        for line in path["dual"]:
            above.plot(budgets, line["values"], color="#BBBBBB", linewidth=0.8, label="dual functions L(λ)")
        above.plot(budgets, curves["lp"], color="black", linewidth=0.8, linestyle="--", label="linear relaxation U")
        above.plot(budgets, curves["exact"], color=USUAL["exact"][0], linewidth=1.8, label="exact optimum")
        above.step(budgets, curves["primal"], where="post", color=USUAL["primal"][0], linewidth=1.0, label="primal")
        above.set_title(f"{path['shape']}: entropy {path['entropy']:.2f},\nlargest p {path['largest_p']:.2f}")
        above.set(xlim=(0, 1), ylim=(0, 1.12 * max(curves["lp"])))
        below.plot(budgets, curves["lp"] - curves["primal"], color="black", linewidth=0.8, linestyle="--")
        below.plot(budgets, curves["exact"] - curves["primal"], color=USUAL["exact"][0], linewidth=1.2)
        below.axhline(1 / np.e, color=GREY, linewidth=0.7, linestyle=":")
        below.set(xlabel="budget b", ylim=(0, 0.4))
    axes[0, 0].set_ylabel("value (nats)")
    axes[1, 0].set_ylabel("above the primal (nats)")
    axes[1, 0].annotate("1/e: statement 2's bound", (0.02, 1 / np.e), xytext=(0, -2), textcoords="offset points",
                        va="top", color=GREY, fontsize=6.5)  # fmt: skip
    handles = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
    return figure


def main() -> None:
    """Read the recorded steps, draw and save."""
    (source,), out, record = started(__file__, __doc__)
    paths = json.loads(source.read_text())["paths"]
    save(draw(paths), out, record, paths)


if __name__ == "__main__":
    main()
