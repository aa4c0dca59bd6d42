"""Draw who writes what in the lab pair's texts: deferral by position, and by kind of token."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.saving import save
from analysis.product import started
from proxyalign.plotting import GREY, USUAL, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("word", "number", "sign", "space", "end of text")
LAST = 40  # the token from which on they are counted together
FEWEST = 20  # tokens behind a share that is drawn


def _share(cells: Sequence[Mapping[str, Any]]) -> tuple[float, float, int]:
    """The share that the proxy wrote, the mean deferral mass, and the number of tokens."""
    n = sum(cell["n"] for cell in cells)
    if not n:
        return 0.0, 0.0, 0
    return sum(cell["n"] for cell in cells if cell["source"] == "proxy") / n, sum(cell["mass"] for cell in cells) / n, n


def draw(tasks: Sequence[Mapping[str, Any]]) -> "Figure":
    """A row a task: on the left by position in the text, on the right by kind of token, both in percent.

    tasks: as `analysis.figures.record_texts` writes them. A position counts if enough texts reach it.
    """
    figure, axes = subplots(len(tasks), 2, figsize=(6.6, 2.2 * len(tasks)), squeeze=False, width_ratios=[1.7, 1])
    for (left, right), task in zip(axes, tasks, strict=True):
        cells = task["writers"]
        places = sorted({cell["position"] for cell in cells})
        found = np.array([_share([cell for cell in cells if cell["position"] == place]) for place in places])
        enough = found[:, 2] >= FEWEST
        name = "token of the reply" + f" ({LAST}: and later ones)" * (places[-1] + 1 == LAST)
        left.bar(np.array(places)[enough] + 1, 100 * found[enough, 0], 0.8, color="#F9C784", label="the proxy wrote it")
        left.plot(np.array(places)[enough] + 1, 100 * found[enough, 1], ".-", color=USUAL["dual"][0], linewidth=0.8,
                  markersize=3.5, label="mass deferred there")  # fmt: skip
        left.set(title=f"{task['task']}: by position ({task['n_texts']} texts)", ylabel="share of tokens (%)",
                 ylim=(0, 100), xlabel=name)  # fmt: skip
        kinds = [(kind, _share([cell for cell in cells if cell["kind"] == kind])) for kind in KINDS]
        kinds = [(kind, share) for kind, share in kinds if share[2]]
        rows = np.arange(len(kinds))
        right.barh(rows, [100 * share[0] for _, share in kinds], 0.55, color="#F9C784")
        right.plot([100 * share[1] for _, share in kinds], rows, "o", color=USUAL["dual"][0], markersize=3.5)
        for row, (_, (written, mass, n)) in enumerate(kinds):
            right.annotate(f"{100 * written:.0f} % of {n:,}", (100 * max(written, mass), row), xytext=(6, 0),
                           textcoords="offset points", va="center", fontsize=6.5, color=GREY)  # fmt: skip
        right.set_yticks(rows, [kind for kind, _ in kinds])
        right.set(title="by kind of token", xlim=(0, 100), xlabel="share of tokens (%)")
        right.invert_yaxis()
    handles = axes[0, 0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def main() -> None:
    """Read the recorded texts, draw and save."""
    (source,), out, record = started(__file__, __doc__)
    tasks = [{name: task[name] for name in ("task", "n_texts", "writers")}
             for task in json.loads(source.read_text())["tasks"]]  # fmt: skip
    save(draw(tasks), out, record, tasks)


if __name__ == "__main__":
    main()
