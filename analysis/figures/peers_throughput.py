"""Draw how fast this engine and others decode the same questions, each relative to the base alone in one run."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.saving import chosen, save
from analysis.product import started
from proxyalign.plotting import GREY, USUAL, arms, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "lab.json": "lab pair, float32",
    "smol.json": "SmolLM2-135M with a proxy of random weights, bfloat16",
    "real_pair.json": "Gemma 3 270M with SmolLM2-135M, two vocabularies, bfloat16",
}
COLUMNS = ["name", "engine", "mode", "rule", "window", "tokens_per_second", "speedup", "speedup_low", "speedup_high"]
COLOURS = {"proxyalign": USUAL["dual"][0], "transformers": USUAL["primal"][0], "transformers assisted": "#E69F00"}


def contest(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What is drawn of one record, by file name; the record of the real pair keeps its contest under `alone`."""
    runs = found["alone"]["runs"] if "alone" in found else found["runs"]
    return {"pair": NAMES[name], "runs": chosen(runs, COLUMNS)}


def _named(run: Mapping[str, Any]) -> str:
    """As the record has it, but in words of whoever has not read the package."""
    name = str(run["name"]).replace("never()", "base alone,").replace("transformers,", "transformers")
    name = name.replace(" autoregressive", " token by token").replace("both-models-dual", "both models, dual")
    if run["engine"] == "transformers":
        return "transformers generate, base alone"
    return name.replace("transformers assisted", "transformers assisted, base alone").replace(
        "base alone,, ", "base alone, "
    )


def draw(contests: Sequence[Mapping[str, Any]]) -> "Figure":
    """A panel a pair: one line a contestant, the fastest on top, with the interval over the questions."""
    counts = [len(one["runs"]) for one in contests]
    figure, axes = subplots(len(contests), 1, figsize=(6.6, 0.19 * sum(counts) + 0.55 * len(counts) + 0.4),
                            height_ratios=counts, squeeze=False, sharex=True)  # fmt: skip
    fastest = max(float(run["speedup_high"]) for one in contests for run in one["runs"])
    for axis, one in zip(axes[:, 0], contests, strict=True):
        runs = sorted(one["runs"], key=lambda run: float(run["speedup"]))
        speed = np.array([[run[f"speedup{end}"] for end in ("", "_low", "_high")] for run in runs], dtype=float)
        for row, (run, reach) in enumerate(zip(runs, arms(speed).T, strict=True)):
            axis.errorbar(run["speedup"], row, xerr=reach[:, None], fmt="o" if run["engine"] == "proxyalign" else "s",
                          color=COLOURS[run["engine"]], markersize=4, elinewidth=0.9)  # fmt: skip
            axis.annotate(f"{run['tokens_per_second']:.0f} /s", (1, row), xycoords=("axes fraction", "data"),
                          xytext=(4, 0), textcoords="offset points", va="center", fontsize=6.5, color=GREY)  # fmt: skip
        axis.axvline(1, color=GREY, linewidth=0.7, linestyle=":")
        axis.set_yticks(range(len(runs)), [_named(run) for run in runs], fontsize=6.5)
        axis.set(title=one["pair"], xlim=(0, 1.03 * fastest), ylim=(-0.7, len(runs) - 0.3))
    axes[-1, 0].set_xlabel(
        "speed relative to the base alone, token by token in this engine (×); right: tokens a second"
    )
    handles = [
        axes[-1, 0].plot([], [], "o" if engine == "proxyalign" else "s", color=colour, markersize=4, label=engine)[0]
        for engine, colour in COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def main() -> None:
    """Read the recorded contests, draw and save."""
    sources, out, record = started(__file__, __doc__)
    contests = [contest(source.name, json.loads(source.read_text())) for source in sources]
    save(draw(contests), out, record, contests)


if __name__ == "__main__":
    main()
