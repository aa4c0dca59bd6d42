"""Write `rules.md`: the table of all rules from the registry, and what was recorded of the two ways to apply some."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxyalign.cli.rules import interval
from proxyalign.deferral.rules import CRITERIA, table

HERE = Path(__file__).parent
PAGE, RECORD = HERE / "rules.md", HERE / "recorded" / "authors_behaviour.json"
TITLE = """# Rules

Written by `python -m analysis.rules_page` from the registry, which `proxyalign rules` prints, and from a
[record](recorded/authors_behaviour.json). p is the base's law, q the proxy's, q0 the reference's; 1[...] are the
tokens that are deferred. A rule needs what its decision reads: where that is p alone, the proxy is idle until a
token is deferred.
"""
AUTHORS = """## What the authors' code does otherwise

Two of its differences can be reproduced, with `primal-pooled` and with `rule_temperature`. On {n} test questions of
each lab task, window {window}; mass is the mean deferral mass of a token, as the rule sees the law. The last column
is the mean total variation distance between the two laws of a token, on the laws that replies under {visited}
visit; one budget for a window gives a token no law of its own.
"""
CASCADES = """## Cascades as published, and mirrored

A published cascade draws from the small model first. Its mirror, which is the rule that this package uses, draws
from the base first and decides by the same criterion with the models exchanged. Mean total variation distance
between the two laws of a token, on the same laws:
"""

LOSSY = """## Lossy verifiers

`generate(..., mode="speculative", verifier=...)` tests drafts against another law than the rule's pi: more of them
pass, and the text has the law `verifier.law(pi, q)`, which is no rule's. How far from pi it was, in total variation,
is told of each token and as a mean. With delta = 0, where pi is certain (as in greedy decoding), and where pi = q,
nothing changes.

| verifier | a draft n is tested against | emitted | source |
|---|---|---|---|
| `verifiers.Cactus(delta)` | h: h_n = min(1, pi_n + sqrt(2 delta pi_n (1 - pi_n))), others pi_y (1 - h_n) / (1 - pi_n)\
 | none of the h; KL(h \\|\\| pi) is delta to second order | Hao & Mou, ICLR 2026, arXiv 2604.04987 |
| `verifiers.Mentored(delta)` | r = clip(q, b pi, a pi), of all laws with KL(r \\|\\| pi) <= delta the one that most \
drafts pass against | r | Tran-Thien, 2023, for KL(pi \\|\\| r) |
"""


def page(record: dict[str, Any]) -> str:
    """The whole text, in Markdown."""
    profile = record["profile"]
    told = {"n": profile["questions"], "window": profile["window"], "visited": f"`{profile['visited_under']}`"}
    return "\n".join(
        [TITLE, _registry(), AUTHORS.format(**told), _authors(record), CASCADES, _cascades(record["directions"]), LOSSY]
    )


def _registry() -> str:
    header = ("rule", "parameters", "formula", "needs", "always base", "always proxy", "source")
    rows = [
        (
            f"`{line['name']}`",
            ", ".join(f"{name} in {interval(ends)}" for name, ends in line["parameters"].items()),
            *(line[key] for key in ("formula", "needs", "always_base", "always_proxy", "source")),
        )
        for line in table()
    ]
    return _markdown([header, *rows])


def _authors(record: dict[str, Any]) -> str:
    far = {(line["task"], line["difference"]): f"{line['total_variation']:.3f}" for line in record["tempering"]}
    rows = [("task", "difference", "whose", "accuracy", "standard error", "mass", "accepted", "distance")]
    for run in record["runs"]:
        numbers = [run[name] for name in ("accuracy", "standard_error", "deferral_mass", "acceptance_rate")]
        rows.append(
            (
                run["task"],
                run["difference"],
                run["whose"],
                *(f"{number:.3f}" for number in numbers),
                "" if run["whose"] == "ours" else far.get((run["task"], run["difference"]), "no law"),
            )
        )
    return _markdown(rows)


def _cascades(directions: Sequence[dict[str, Any]]) -> str:
    far = {(line["task"], line["published"]): f"{line['total_variation']:.3f}" for line in directions}
    tasks = list(dict.fromkeys(task for task, _ in far))
    alphas = list(dict.fromkeys(published.partition("alpha=")[2].rstrip(")") for _, published in far))
    header = ("criterion", *(f"{task}, alpha = {alpha}" for task in tasks for alpha in alphas))
    rows = [
        (name, *(far[task, f"cascade-{name}(alpha={alpha})"] for task in tasks for alpha in alphas))
        for name in CRITERIA
    ]
    return _markdown([header, *rows])


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    header, *others = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([header, "|---" * len(rows[0]) + "|", *others, ""])


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RECORD.read_text())))
