"""Traces as records keep them: each new token's text, who wrote it, and how the base saw it, for a report to show."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from proxyalign.errors import InputError
from proxyalign.evaluation.settings import Settings

if TYPE_CHECKING:
    from proxyalign.decoding import Trace

_HALF = "\ufffd"  # what a tokenizer shows of bytes that are no whole character, or not yet
_DIGITS = 4  # significant ones, more than anyone reads off a page


def check_traces(settings: Settings, traces: bool) -> None:
    """Raise InputError where traces are asked for of a task whose choices are read."""
    if traces and settings.is_choice:
        raise InputError(
            f"evaluation: traces must be False for {settings.task}, whose choices are read and not decoded, got True; "
            f"leave it out, or take {settings.task}-reply"
        )


def kept(trace: "Trace") -> dict[str, Any]:
    """A trace as JSON values: lists of one entry a token, and a text `source` of one letter a token.

    pieces: what each token adds to the text, special tokens by their names; a character of several tokens is the last
    one's, and the others have "". source: the first letter of who wrote it, one of `decoding.trace.SOURCES`. p_y and
    deferral_mass: to four significant digits, p_y None where the base did not run.
    """
    return {
        "pieces": _pieces(trace.tokenizer, trace.token_ids.tolist()),
        "source": "".join(source[0] for source in trace.source.tolist()),
        "p_y": [_rounded(p) for p in trace.p_y.tolist()],
        "deferral_mass": [_rounded(mass) for mass in trace.deferral_mass.tolist()],
    }


def _pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text of those before it; together they are the whole text.

    A token is decoded after the ones before it, since some tokenizers drop the blank of the first one.
    """
    pieces: list[str] = []
    begin = read = 0  # the text up to `read` is told, and `begin` is where decoding sets in to see what follows it
    for end in range(1, len(ids) + 1):
        told, text = (str(tokenizer.decode(ids[begin:until])) for until in (read, end))
        if text.endswith(_HALF) and end < len(ids):
            pieces.append("")
            continue
        pieces.append(text[len(told) :])
        begin, read = read, end
    return pieces


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{_DIGITS}g}")
