"""Quantities of two runs on the same questions, and how sure their differences are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxyalign.evaluation.comparison.intervals import Floats, percentile_interval, resampled_sums
from proxyalign.evaluation.measures import of_record

N_RESAMPLES = 10_000
ACCURACY, TOKENS, DEFERRAL = "accuracy", "tokens per reply", "deferral"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """A quantity of a run and of its reference, each a ratio of sums over the questions, and the first less the second.

    interval: of the difference, 95 percent, by percentiles of a bootstrap over questions; None where it has no value.
    """

    value: float
    reference: float
    difference: float
    interval: tuple[float, float] | None


# What records say of every reply: an amount and a weight by their names there, None for a weight of 1.
_OF_REPLIES: dict[str, tuple[str, str | None]] = {
    TOKENS: ("n_tokens", None),
    DEFERRAL: ("deferral_mass", "n_tokens"),
}


def differences(mine: Sequence[Record], theirs: Sequence[Record], measures: bool, seed: int) -> dict[str, Difference]:
    """The quantities of these records by name, those of a run (mine) beside its reference's (theirs).

    The two lists go question by question. measures: whether those of `of_record` are among them. One table of
    resampled questions serves all quantities, so that they may be read together. What has no weight is left out.
    """
    found = {ACCURACY: _table(mine, theirs, "correct", None)}
    if all("reply" in record for record in (*mine, *theirs)):  # choices are read, and of them nothing is deferred
        found |= {name: _table(mine, theirs, *keys) for name, keys in _OF_REPLIES.items()}
    if measures:
        found |= _measured(mine, theirs)
    found = {name: table for name, table in found.items() if (table[:, [1, 3]].sum(0) > 0).all()}
    sums = resampled_sums(np.concatenate(list(found.values()), axis=1), N_RESAMPLES, seed)
    return {name: _difference(table, sums[:, 4 * i : 4 * i + 4]) for i, (name, table) in enumerate(found.items())}


def _table(mine: Sequence[Record], theirs: Sequence[Record], amount: str, weight: str | None) -> Floats:
    """(n, 4): amount and weight of each question in the run, then in the reference."""
    return np.array(
        [
            [float(value) for one in pair for value in (one[amount], 1 if weight is None else one[weight])]
            for pair in zip(mine, theirs, strict=True)
        ]
    )


def _measured(mine: Sequence[Record], theirs: Sequence[Record]) -> dict[str, Floats]:
    """The measures of the run's records; a question that lacks one, in either run, weighs nothing there."""
    of_both = [(of_record(one), of_record(other)) for one, other in zip(mine, theirs, strict=True)]
    names = dict.fromkeys(name for one, _ in of_both for name in one if name != "tokens")  # which are told anyway
    none = (0.0, 0.0)
    return {
        name: np.array([[*one.get(name, none), *other.get(name, none)] for one, other in of_both]) for name in names
    }


def _difference(table: Floats, resampled: Floats) -> Difference:
    value, reference = _ratios(table.sum(0)[None])[0].tolist()
    ratios = _ratios(resampled)
    return Difference(value, reference, value - reference, percentile_interval(ratios[:, 0] - ratios[:, 1]))


def _ratios(sums: Floats) -> Floats:
    """Sums (m, 4) -> the ratios (m, 2) of the run and of the reference; NaN where there is no weight."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums[:, 1::2] > 0, sums[:, ::2] / sums[:, 1::2], np.nan)


def turned(mine: Sequence[Record], theirs: Sequence[Record]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the questions that went from wrong (theirs) to right (mine), and from right to wrong, in order."""
    pairs = [(str(a["id"]), bool(a["correct"]), bool(b["correct"])) for a, b in zip(mine, theirs, strict=True)]
    helps = tuple(name for name, now, before in pairs if now and not before)
    return helps, tuple(name for name, now, before in pairs if before and not now)
