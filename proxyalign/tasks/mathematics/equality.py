"""Whether an answer is equal to the reference: by what both are made of, and by math-verify where that is formulas."""

import re
from fractions import Fraction

from proxyalign.tasks.mathematics.spelling import plain
from proxyalign.tasks.mathematics.structure import Answer, Named, Numeral, Ordered, Several, Value, Word, read
from proxyalign.tasks.mathematics.verifier import verified

_LONGEST = 600  # characters; the longest answer of MATH-500 has 51
_MOST = 24  # parts of a list
_ROUNDED = Fraction(1, 10**6)  # how far a decimal may be from a number that no decimal is equal to, relatively


def equal(reference: str, answer: str, percent_is_unit: bool = False) -> bool:
    """Whether the LaTeX `answer` gives what `reference` does, in any spelling that means the same. Never raises.

    Lists and sets are compared without order, points, intervals and matrices with it, brackets included; a variable
    ahead of "=" or "in" may be left out; numerals of a written base as digits. Everything else is compared by value,
    where a decimal may be rounded to six significant digits if no decimal is exact. An equation is equal to another of
    the same solutions, and what is equal to 0 in one is not the answer 0.
    percent_is_unit: 28\\% is 28, as where the question asks for a percentage; else it is 0.28.
    """
    if max(len(reference), len(answer)) > _LONGEST:
        return reference.strip() == answer.strip() != ""
    first, second = plain(reference), plain(answer)
    if not second:
        return False
    if _packed(first) == _packed(second):
        return True
    return _same(read(reference), read(answer), percent_is_unit)


def _same(one: Answer, other: Answer, percent: bool) -> bool:
    if isinstance(one, Value) and isinstance(other, Value):
        return _same_value(one, other, percent)
    if isinstance(one, Named) or isinstance(other, Named):
        return _same_named(one, other, percent)
    if isinstance(one, Several) or isinstance(other, Several):
        first, second = _parts(one), _parts(other)
        return max(len(first), len(second)) <= _MOST and (
            all(any(_same(a, b, percent) for b in second) for a in first)
            and all(any(_same(a, b, percent) for a in first) for b in second)
            and not {_of(one), _of(other)} >= {"list", "union"}
        )
    if isinstance(one, Ordered) and isinstance(other, Ordered):
        return (one.brackets, one.width, len(one.parts)) == (other.brackets, other.width, len(other.parts)) and all(
            _same(a, b, percent) for a, b in zip(one.parts, other.parts, strict=True)
        )
    if isinstance(other, Value) and (given := _last_side(other)) is not None:
        return _same(one, given, percent)
    if isinstance(one, Word | Numeral) or isinstance(other, Word | Numeral):
        return one == other
    return False


def _same_value(one: Value, other: Value, percent: bool) -> bool:
    if not _is_equation(one) and (given := _last_side(other)) is not None:
        return _same(one, given, percent)
    if _is_equation(one) != _is_equation(other):
        return False
    a, b = (Fraction(1, 100) if value.percent and not percent else Fraction(1) for value in (one, other))
    if one.exact is not None and other.exact is not None:
        first, second = one.exact * a, other.exact * b
        rounded = (one.decimal and not _has_decimal(second)) or (other.decimal and not _has_decimal(first))
        return first == second or (rounded and abs(first - second) <= _ROUNDED * abs(first))
    return a == b and _balanced(one.latex) and _balanced(other.latex) and verified(one.latex, other.latex)


def _same_named(one: Answer, other: Answer, percent: bool) -> bool:
    if isinstance(one, Named) and isinstance(other, Named):
        if _packed(one.name) == _packed(other.name):
            return _same(one.value, other.value, percent)
        return "\\in" not in one.latex + other.latex and verified(one.latex, other.latex)
    if isinstance(one, Named):
        if isinstance(other, Value) and _is_equation(other):
            return verified(one.latex, other.latex)
        return _same(one.value, other, percent)
    if isinstance(one, Value) and _is_equation(one) and isinstance(other, Named):
        return verified(one.latex, other.latex)
    return isinstance(other, Named) and _same(one, other.value, percent)


def _last_side(value: Value) -> Answer | None:
    """What an equation such as AB = 5 says that something is; None where it says that it is 0, or is no equation."""
    last = value.latex.rpartition("=")[2].strip()
    return read(last) if _is_equation(value) and last and last != "0" else None


def _is_equation(value: Value) -> bool:
    return re.search(r"(?<![<>!:\\])=", value.latex) is not None


def _has_decimal(number: Fraction) -> bool:
    """Whether some finite decimal is equal to the number."""
    below = number.denominator
    for factor in (2, 5):
        while below % factor == 0:
            below //= factor
    return below == 1


def _parts(answer: Answer) -> list[Answer]:
    if not isinstance(answer, Several):
        return [answer]
    return [part for whole in answer.parts for part in (_parts(whole) if answer.of == "list" else [whole])]


def _of(answer: Answer) -> str | None:
    return answer.of if isinstance(answer, Several) else None


def _balanced(text: str) -> bool:
    """Whether all brackets close; what breaks off is no formula, and math-verify tries long to read it as one."""
    return all(text.count(opening) == text.count(closing) for opening, closing in ("()", "[]", "{}"))


def _packed(text: str) -> str:
    return re.sub(r"\s+|(?<=[_^])\{(\w)\}", r"\1", text)
