"""One step's knapsack, as Dantzig draws it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from proxyalign.errors import InputError
from proxyalign.plotting.style import GREY, USUAL, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from proxyalign.knapsack import DeferralProblem, Solution

CRITICAL = "#F0B58A"


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
    figure, (above, below) = subplots(
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
            parse_math=False,  # a token may be two dollars
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
