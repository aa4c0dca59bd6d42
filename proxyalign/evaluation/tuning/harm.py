"""A rule's parameter that is promised to harm few questions: Learn then Test along a fixed sequence (statement 17)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxyalign.errors import InputError
from proxyalign.evaluation.tuning.development import Development, Progress, check_settings
from proxyalign.evaluation.tuning.guarantees import (
    FixedSequence,
    learn_then_test,
    needed_at_share,
    needed_questions,
)
from proxyalign.evaluation.tuning.space import Setting

if TYPE_CHECKING:
    from proxyalign.models import ModelPair


@dataclass(frozen=True)
class Harm:
    """What testing said. The harm of a question: the reference answers it rightly, and the cascade does not.

    eps, delta: the promise, a harm of at most eps with probability 1 - delta. n_questions: the development questions.
    tested: one dict a setting that was decoded, in order: label, parameter, n_harms, n_helps (the reverse), accuracy,
    p_value. chosen: which of them is the last before the first failure, None for none. stopped: where the first failure
    was, None where there was none. reference: its label; reference_accuracy. needed: how many questions would have been
    enough for the first failure, "without_harm" had they shown none, "at_this_share" had they shown the same share
    (None where that is eps or more, and no number would do), None where nothing failed.
    """

    eps: float
    delta: float
    n_questions: int
    reference: str
    reference_accuracy: float | None
    tested: tuple[dict[str, Any], ...]
    chosen: int | None
    stopped: int | None
    needed: dict[str, int | None] | None


def harms(reference: Sequence[bool], cascade: Sequence[bool]) -> npt.NDArray[np.bool_]:
    """(n,) bool: where the reference is right and the cascade wrong. Both are verdicts on the same n questions."""
    return np.asarray(reference, dtype=np.bool_) & ~np.asarray(cascade, dtype=np.bool_)


def bound_harm(
    pair: "ModelPair",
    development: Development,
    sequence: Sequence[Setting],
    out: str | Path,
    *,
    eps: float,
    delta: float,
    reference: Setting | None = None,
    progress: Progress | None = None,
) -> Harm:
    """The last setting of `sequence`, fixed beforehand from the safe end on, whose harm is promised to be at most eps.

    The promise holds for questions that are drawn as the development questions are, and for decoding as here: at the
    settings' temperature, the reference with the same seed and random numbers. reference: the base alone in the same
    mode and at the same temperature, where left out. Every setting is decoded on all questions, until one fails; none
    where the questions are too few for any promise. Records lie in `out`/records, and an interrupted run goes on.

    Raises InputError for what cannot be used, before anything is decoded.
    """
    if not sequence:
        raise InputError("tune: the sequence must hold a setting, got none; pass values of the parameter")
    against = replace(sequence[0], rule="never", parameter=None) if reference is None else reference
    check_settings(pair, development, [against, *sequence])
    n = len(development.questions())
    least = needed_questions(eps, delta)
    if n < least:
        too_few = {"without_harm": least, "at_this_share": None}
        return Harm(eps, delta, n, str(against), None, (), None, None, too_few)
    out = Path(out)
    accuracy = development.evaluate(pair, against, out, progress).accuracy
    right = development.verdicts(against, out)
    tested: list[dict[str, Any]] = []

    def losses() -> Iterator[npt.NDArray[np.bool_]]:
        for place, setting in enumerate(sequence):
            if progress:
                progress("settings", place, len(sequence))
            summary = development.evaluate(pair, setting, out, progress)
            verdicts = development.verdicts(setting, out)
            of_setting = harms(right, verdicts)
            counts = {"n_harms": int(of_setting.sum()), "n_helps": int(harms(verdicts, right).sum())}
            tested.append({"label": str(setting), **asdict(setting), **counts, "accuracy": summary.accuracy})
            yield of_setting

    found = learn_then_test(losses(), eps, delta)
    rows = tuple({**row, "p_value": p} for row, p in zip(tested, found.p_values, strict=True))
    needed = _needed(found, rows, eps, delta)
    return Harm(eps, delta, n, str(against), accuracy, rows, found.chosen, found.stopped, needed)


def _needed(
    found: FixedSequence, rows: Sequence[dict[str, Any]], eps: float, delta: float
) -> dict[str, int | None] | None:
    if found.stopped is None:
        return None
    share = rows[found.stopped]["n_harms"] / found.n_questions
    return {"without_harm": needed_questions(eps, delta), "at_this_share": needed_at_share(share, eps, delta)}
