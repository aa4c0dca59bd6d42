"""Traces as records keep them: each new token's text, who wrote it, and how the base saw it, for a report to show."""

import math
from typing import TYPE_CHECKING, Any

from proxyalign.errors import InputError
from proxyalign.evaluation.settings import Settings

if TYPE_CHECKING:
    from proxyalign.decoding import Trace

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

    pieces: those of the trace. source: the first letter of who wrote it, one of `decoding.trace.SOURCES`. p_y and
    deferral_mass: to four significant digits, p_y None where the base did not run.
    """
    return {
        "pieces": trace.pieces,
        "source": "".join(source[0] for source in trace.source.tolist()),
        "p_y": [_rounded(p) for p in trace.p_y.tolist()],
        "deferral_mass": [_rounded(mass) for mass in trace.deferral_mass.tolist()],
    }


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{_DIGITS}g}")
