"""Draw the accuracies that the method's authors published, and ours on the same benchmarks where they are recorded."""

import json
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.saving import save
from analysis.product import started
from proxyalign.plotting import GREY, OTHERS, USUAL, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RULES = {
    "never": ("base alone", "black", "_"),
    "always": ("aligned proxy alone", "#777777", "x"),
    "alone": ("base, aligned itself", "black", "*"),
    "implicit-reward": ("implicit reward", *OTHERS[4]),
    "dual(alpha=0.4)": ("dual, α = 0.4", *USUAL["dual"]),
    "confidence-bet(alpha=0.2)": ("confidence bet, α = 0.2", *OTHERS[2]),
}
TASKS = {
    "gsm8k": "GSM8K",
    "math500": "MATH-500",
    "svamp": "SVAMP",
    "arc-challenge-reply": "ARC-C",
    "commonsenseqa-reply": "CSQA",
}
NO_PAIR = (
    "None of these pairs was run with this package, whose recorded pairs are far smaller. Nothing of ours is "
    "comparable, so nothing of ours stands beside them."
)


def draw(published: Mapping[str, Any]) -> "Figure":
    """A panel a pair: one place a benchmark, one mark a rule.

    published: the content of the package's published.json. An aligned base of its own belongs to the pair's panel.
    """
    pairs = {name: dict(rules) for name, rules in published["pairs"].items() if "+" in name}
    for name, rules in published["pairs"].items():
        for pair in pairs:
            if name not in pairs and pair.startswith(name.removesuffix(" aligned")):
                pairs[pair] |= rules
    places = np.arange(len(published["tasks"]))
    figure, axes = subplots(1, len(pairs), sharey=True, squeeze=False, figsize=(3.4 * len(pairs), 3.5))
    for axis, (pair, rules) in zip(axes[0], pairs.items(), strict=True):
        for number, (rule, (label, colour, marker)) in enumerate(RULES.items()):
            beside = 0.11 * (number - (len(RULES) - 1) / 2)
            axis.plot(places + beside, rules[rule], marker, color=colour, markersize=6 if marker in "_x*" else 4.5,
                      label=label)  # fmt: skip
        axis.set_xticks(places, [TASKS[task] for task in published["tasks"]])
        axis.set(title=pair.replace(" + ", "\nwith "), ylim=(0, 100))
        for place in places[1:]:
            axis.axvline(place - 0.5, color="#EEEEEE", linewidth=0.8, zorder=0)
    axes[0, 0].set_ylabel("answered right (%)")
    figure.legend(handles=axes[0, 0].get_legend_handles_labels()[0], loc="outside upper center", ncols=3)
    caveat = published["caveat"]
    note = "\n".join(textwrap.wrap(f"{caveat[0].upper()}{caveat[1:]}. {NO_PAIR}", 118))
    figure.supxlabel(note, fontsize=6.5, color=GREY, x=0.01, ha="left")
    return figure


def main() -> None:
    """Read what was published, draw and save."""
    (source,), out, record = started(__file__, __doc__)
    published = json.loads(source.read_text())
    save(draw(published), out, record, published)


if __name__ == "__main__":
    main()
