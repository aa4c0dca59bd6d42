"""The process that compares formulas for `verifier`: pairs of LaTeX texts come in as lines of JSON, verdicts go out."""

import contextlib
import json
import os
import resource
import signal
import sys
from typing import Any

from latex2sympy2_extended.latex2sympy2 import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Float, I, N, Pow, Rational

_BYTES = 4 << 30  # of memory
_DIGITS = 40
_EXACT, _ROUNDED = 10.0**-30, 1.000001e-6  # how far equal numbers may be apart, relatively: exact ones, and decimals
# math-verify takes letters after a number for units ("5t" is 5); units are gone before anything is sent here.
_READ_AS = [
    LatexExtractionConfig(
        boxed_match_priority=0,
        normalization_config=NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="all"
        ),
    )
]


def serve(seconds: float) -> None:
    """Answer each line of the standard input, a list of two LaTeX texts, with true or false on the standard output.

    seconds: of the processor's time, after which a comparison ends the process, by a signal that needs no help of the
    interpreter.
    """
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the libraries print is no reply
    with contextlib.suppress(ValueError, OSError):  # a system without such a limit, or with a lower one
        resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        verdict = same(*json.loads(line))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        replies.write(json.dumps(verdict) + "\n")
        replies.flush()


def same(reference: str, answer: str) -> bool:
    """Whether two LaTeX formulas are equal; False where one cannot be read. Never raises."""
    try:
        found = [parse(f"\\boxed{{{latex}}}", _READ_AS, parsing_timeout=None) for latex in (reference, answer)]
        one, other = (expressions[0] for expressions in found)
        if isinstance(one, str) or isinstance(other, str):
            return False
        apart = _apart(one, other)
        if apart is not None and (one.has(Float) or other.has(Float)):
            return apart <= _ROUNDED
        if apart is not None and apart > _EXACT:  # math-verify rounds: it finds 1/2004! equal to 1/2006!
            return False
        if verify(one, other, allow_set_relation_comp=True, timeout_seconds=None):
            return True
        # Nor does it take sqrt(1/n) for 1/sqrt(n), as n may be negative there: that is where neither is a real number.
        return apart is not None and _has_root(one) and _has_root(other) and _same_where_real(one, other)
    except Exception:  # whatever a formula that nobody thought of does to the parser or to sympy
        return False


def _has_root(whole: Any) -> bool:
    """Whether an expression has the root of a variable, or of what holds one."""
    return any(power.exp.is_Rational and not power.exp.is_Integer and power.free_symbols for power in whole.atoms(Pow))


def _same_where_real(one: Any, other: Any) -> bool:
    """Whether two expressions are equal for variables of any sign, wherever either is a real number there."""
    for signs in ((1, 1), (-1, -1), (1, -1), (-1, 1)):
        found = _values(one, other, signs)
        if found is None:
            return False
        if any(abs(value.as_real_imag()[1]) <= _EXACT * abs(value) for value in found) and _distance(*found) > _EXACT:
            return False
    return True


def _apart(one: Any, other: Any) -> float | None:
    """How far two expressions are apart, relatively, at one value for each variable; None where that is no number."""
    found = _values(one, other, (1, 1))
    return None if found is None else _distance(*found)


def _values(one: Any, other: Any, signs: tuple[int, int]) -> tuple[Any, Any] | None:
    """Two expressions at one value for each variable, of these signs in turn; None where one is no finite number."""
    names = sorted({symbol.name for symbol in one.free_symbols | other.free_symbols})
    values: dict[str, Any] = {
        name: signs[k % 2] * (Rational(7, 5) + k * Rational(3, 11)) for k, name in enumerate(names)
    }
    values["i"] = I
    try:
        first, second = (
            N(whole.xreplace({symbol: values[symbol.name] for symbol in whole.free_symbols}).doit(), _DIGITS)
            for whole in (one, other)
        )
    except (AttributeError, TypeError, ValueError, ArithmeticError):
        return None
    if not all(isinstance(value, Basic) and value.is_number and value.is_finite for value in (first, second)):
        return None
    return first, second


def _distance(first: Any, second: Any) -> float:
    """How far two numbers are apart, relatively."""
    largest = max(abs(first), abs(second))
    return 0.0 if largest == 0 else float(abs(first - second) / largest)


if __name__ == "__main__":
    serve(float(sys.argv[1]))
