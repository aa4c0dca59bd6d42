"""Accuracy against speed, one point a setting that was tried, and the front of those that no other beats in both."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyalign.errors import InputError
from proxyalign.evaluation.tuning.search import ranked
from proxyalign.files import write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "pareto"


def pareto(rows: Sequence[Mapping[str, Any]], title: str = "") -> "Figure":
    """The settings of a search by speed and accuracy, with Wilson's 95 percent bars; a colour a rule.

    rows: as `search` gives them. The front is a line and its points have their parameter beside them; a filled point
    speculates and an open one decodes token by token. Raises InputError where there are no rows.
    """
    if not rows:
        raise InputError("pareto: rows must hold at least one trial, got none; search first")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    from proxyalign.plotting import GREY, OTHERS, USUAL, use_style

    use_style()
    figure, axis = plt.subplots(figsize=(5.4, 3.0), layout="constrained")
    names = list(dict.fromkeys(str(row["rule"]) for row in rows))
    spare = iter(OTHERS * len(names))
    looks = {name: USUAL[name] if name in USUAL else next(spare) for name in names}
    for row in rows:
        colour, marker = looks[str(row["rule"])]
        share, (low, high) = row["accuracy"], row["interval"]
        axis.errorbar(
            row["tokens_per_second"], 100 * share, yerr=100 * np.maximum(0.0, [[share - low], [high - share]]),
            color=colour, marker=marker, markersize=4, elinewidth=0.4, alpha=0.8,
            markerfacecolor=colour if row["window"] else "white",
        )  # fmt: skip
    front = ranked(rows, "pareto")
    x, y = [row["tokens_per_second"] for row in front], [100 * row["accuracy"] for row in front]
    front_line = axis.plot(x, y, color=GREY, linewidth=0.8, zorder=0, label="front")
    for row in front:
        if row["parameter"] is not None:
            axis.annotate(
                f"{row['parameter']:.3g}", (row["tokens_per_second"], 100 * row["accuracy"]), xytext=(4, 3),
                textcoords="offset points", fontsize=6.5, color=looks[str(row["rule"])][0],
            )  # fmt: skip
    axis.set(title=title, xlabel="tokens a second, by this machine's clock", ylabel="questions answered right (%)")
    keys = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
        for name, (colour, marker) in looks.items()
    ]
    open_key = Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white", label="token by token")
    figure.legend(handles=[*keys, open_key, *front_line], loc="outside right center")
    return figure


def save_pareto(rows: Sequence[Mapping[str, Any]], out: Path, title: str = "") -> list[Path]:
    """Draw `pareto` into `out`, as pareto.pdf and pareto.png, with the numbers beside them in pareto.json."""
    import matplotlib.pyplot as plt

    figure = pareto(rows, title)
    paths = [out / f"{NAME}.{kind}" for kind in ("pdf", "png", "json")]
    for path in paths[:2]:
        figure.savefig(path)
    plt.close(figure)
    write_json(paths[2], {"trials": list(rows), "front": [row["label"] for row in ranked(rows, "pareto")]})
    return paths
