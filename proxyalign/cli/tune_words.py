"""What `proxyalign tune` says of what it found: the setting in a sentence, the numbers in a table, what to do next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from proxyalign.cli.common import table
from proxyalign.cli.options import as_options
from proxyalign.evaluation.tuning.search import measures_of, ranked

if TYPE_CHECKING:
    from proxyalign.evaluation.tuning.base_texts import TrustRegion
    from proxyalign.evaluation.tuning.development import Development
    from proxyalign.evaluation.tuning.harm import Harm
    from proxyalign.evaluation.tuning.space import Setting
    from proxyalign.evaluation.tuning.under_guarantee import Guaranteed

_SHOWN = 10  # settings of a search that are listed
CLOCK = (
    "tokens/s is read off this machine's clock, whatever else it did: compare the two best in proxyalign bench decode"
)
FLATTERY = "the best of several on the same questions looks better there than it is: report it on others"


def of_search(rows: Sequence[dict[str, Any]], objective: str) -> str:
    """The best setting, or the front, of a search."""
    best = ranked(rows, objective)
    first, front = best[0], objective == "pareto"
    n_tried = len({row["label"] for row in rows})
    if front:
        head = f"{len(best)} of {n_tried} settings are not beaten in both accuracy and tokens/s:"
    else:
        head = (
            f"{first['label']}: {_percent(first['accuracy'])} of {first['n']} questions right, "
            f"{first['tokens_per_second']:.0f} tokens/s; the best {measures_of(objective)[0]} of {n_tried} settings"
        )
    lines = [("setting", "correct [95 %]", "tokens/s", "deferred")]
    for row in best if front else best[:_SHOWN]:
        low, high = row["interval"]
        share = f"{_percent(row['accuracy'])} [{100 * low:.1f}, {100 * high:.1f}]"
        lines.append((row["label"], share, f"{row['tokens_per_second']:.0f}", _percent(row["deferral_rate"])))
    return f"{head}\n\n{table(lines)}"


def of_guarantee(found: "Guaranteed") -> str:
    """The setting that keeps the promises, or why there is none, and what the tests saw."""
    head = "no setting can be promised" if found.chosen is None else str(found.chosen)
    parts = [part for part in (_of_harm(found.harm), _of_region(found.trust_region)) if part]
    if found.harm is not None and found.trust_region is not None and found.chosen is None:
        parts.append("no value passed both")
    return "\n\n".join([head, *parts])


def _of_harm(harm: "Harm | None") -> str:
    if harm is None:
        return ""
    promise = f"harm of at most {harm.eps:g} with probability {1 - harm.delta:g}"
    if not harm.tested:
        assert harm.needed is not None
        return (
            f"{promise}: {harm.n_questions} questions are too few for any such promise, which takes "
            f"{harm.needed['without_harm']} without a single harm"
        )
    lines = [("setting", "harms", "helps", "correct", "p-value", "")]
    for place, row in enumerate(harm.tested):
        verdict = "fails" if place == harm.stopped else "passes"
        lines.append(
            (row["label"], str(row["n_harms"]), str(row["n_helps"]), _percent(row["accuracy"]),
             f"{row['p_value']:.2g}", verdict)
        )  # fmt: skip
    told = (
        f"{promise}, on {harm.n_questions} questions, against {harm.reference}, which is right on "
        f"{_percent(harm.reference_accuracy or 0.0)}:\n{table(lines)}"
    )
    if harm.needed is not None and harm.stopped is not None:
        share, failed = harm.needed["at_this_share"], harm.tested[harm.stopped]
        more = (
            "no number would do at its share of harms"
            if share is None
            else f"about {share} would do at its share of harms"
        )
        told += f"\n{failed['label']} fails on {harm.n_questions} questions: {more}"
    return told


def _of_region(region: "TrustRegion | None") -> str:
    if region is None:
        return ""
    promise = (
        f"texts within {region.eps:g} of the base's, in mean total variation, at temperature {region.temperature:g}"
    )
    if region.needed is not None or region.least is None:
        return f"{promise}: {region.n_texts} texts of the base are too few, and {region.needed} would do"
    low, high = region.least
    return (
        f"{promise}: alpha {region.alpha:.6g} is number {region.k} of the least probabilities in each of "
        f"{region.n_texts} texts of the base, {low:.2g} to {high:.2g}; the distance is at most {region.bound:.3g}"
    )


def next_command(source: str, development: "Development", chosen: "Setting") -> str:
    """What reports the chosen setting, on questions that it was not chosen on."""
    cycle = f" --mode speculative --window {chosen.window}" if chosen.window else ""
    return (
        f"proxyalign evaluate {source} --task {development.task} {as_options(chosen.made())}{cycle} --temperature "
        f"{chosen.temperature:g} --split {development.reported_on} --out ..."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
