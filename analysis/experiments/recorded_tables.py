"""The paper's tables of what was measured once and recorded: solvers, decoding side by side, two real models."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.experiments.latex_tables import escaped, find, percent, symbol, tabular
from proxyalign.plotting.style import PARENTS

Row = Mapping[str, Any]
HEADER = "% Written by analysis/experiments/paper_recorded.py; do not edit.\n"
SOURCES = {"rows": "next-token laws", "classes": "Pisinger's classes"}
CONTESTANTS = {
    "transformers": "transformers' generate",
    "transformers assisted, window {window}": "transformers, assisted",
    "never() speculative, window {window}": "base alone, speculative",
    "dual(alpha=0.4) autoregressive": "dual, one by one",
    "both-models-dual(alpha=0.4) autoregressive": "the same, both models at every step",
    "dual(alpha=0.4) speculative, window {window}": "dual, speculative",
    "primal(budget=0.5) autoregressive": "primal, one by one",
    "primal(budget=0.5) speculative, window {window}": "primal, speculative",
}


def solver_table(contests: Mapping[str, Row]) -> str:
    """How each solver did on each kind of instance. contests: "rows" and "classes", as `bench exact` writes them."""
    lines = []
    for source, contest in contests.items():
        lines += ["\\addlinespace[2pt]"] if lines else []
        for place, one in enumerate(contest["summary"]):
            cells = [
                SOURCES[source] if place == 0 else "",
                one["solver"],
                one["n"],
                one["certified"] + one["within_tolerance"],
                one["wrong"],
                one["unfinished"],
                one["over_budget"],
                f"{one['median_seconds']:.2f}",
                f"{one['worst_seconds']:.2f}",
            ]
            lines.append(" & ".join(map(str, cells)) + r" \\")
    head = "on & solver & instances & optimal & wrong & unfinished & over budget & median s & worst s \\\\"
    return HEADER + tabular("@{}llrrrrrrr@{}", [head], lines)


def decoding_table(pairs: Mapping[str, Row], window: int) -> str:
    """Speed over the base alone with its interval, acceptance and what statement 12 expects, a column group a pair."""
    lines = []
    for name, shown in CONTESTANTS.items():
        cells = [shown]
        for pair in pairs.values():
            run = find(pair["runs"], name=name.format(window=window))
            rates = (run["acceptance_rate"], run["predicted_speedup_at_cost"])
            cells.append(f"{run['speedup']:.2f} [{run['speedup_low']:.2f}, {run['speedup_high']:.2f}]")
            cells += ["--" if rate is None else f"{rate:.2f}" for rate in rates]
        lines.append(" & ".join(cells) + r" \\")
    spans = " & ".join(f"\\multicolumn{{3}}{{c}}{{{escaped(pair)}}}" for pair in pairs)
    rules = "".join(f"\\cmidrule(lr){{{start}-{start + 2}}}" for start in range(2, 2 + 3 * len(pairs), 3))
    columns = " & ".join(["speed & acc. & exp."] * len(pairs))
    return HEADER + tabular(
        "@{}l" + "rrr" * len(pairs) + "@{}", [f" & {spans} \\\\ {rules}", f" & {columns} \\\\"], lines
    )


def real_pair_table(runs: Sequence[Row]) -> str:
    """Two real models: share deferred, pieces a second in both modes, their ratio and the share of drafts accepted."""
    lines = []
    kept = [run for run in runs if run["mode"] == "autoregressive" and run["boundaries"] == "any"]
    for run in kept:
        same = {"rule": run["rule"], "parameters": run["parameters"], "boundaries": "any", "mode": "speculative"}
        cells = [called(run), percent(run["deferral_rate"]), f"{run['tokens_per_second']:.0f}"]
        if run["rule"] == "always":  # the proxy's drafts are its own text, which nobody verifies
            cells += ["--"] * 3
        else:
            fast = find(runs, **same)
            ratio = fast["tokens_per_second"] / run["tokens_per_second"]
            cells += [f"{fast['tokens_per_second']:.0f}", f"{ratio:.2f}", percent(fast["acceptance_rate"])]
        lines.append(" & ".join(cells) + r" \\")
    head = "rule & deferred (\\%) & one by one & speculative & ratio & accepted (\\%) \\\\"
    return HEADER + tabular("@{}lrrrrr@{}", [head], lines)


def called(run: Row) -> str:
    """What the table calls a run: the parent, or the rule with its parameters."""
    settings = ", ".join(f"${symbol(name)} = {value:g}$" for name, value in run["parameters"].items())
    return PARENTS.get(run["rule"]) or f"{run['rule']}, {settings}"
