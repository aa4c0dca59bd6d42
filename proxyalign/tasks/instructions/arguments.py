"""What the arguments of an instruction may be. None is made up; the published code draws missing ones at random."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Relation = Literal["less than", "at least"]


@dataclass(frozen=True)
class Argument:
    """What one argument is, in words, and whether a value is that."""

    what: str
    accepts: Callable[[Any], bool]


def compares(n: int, relation: Relation, threshold: int) -> bool:
    """Whether a count is less than the threshold, or at least it."""
    return n < threshold if relation == "less than" else n >= threshold


def _is_count(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


COUNT = Argument("a whole number of at least 0", _is_count)
PLACE = Argument("a whole number of at least 1", lambda value: _is_count(value, least=1))
RELATION = Argument("'less than' or 'at least'", lambda value: value in ("less than", "at least"))
TEXT = Argument("a text", _is_text)
TEXTS = Argument(
    "a list of texts", lambda value: isinstance(value, list) and bool(value) and all(_is_text(one) for one in value)
)
CHARACTER = Argument("a single character", lambda value: _is_text(value) and len(value) == 1)
LANGUAGE = Argument(
    "the code of a language, as en",
    lambda value: isinstance(value, str) and re.fullmatch(r"[a-z]{2}(-[a-z]{2})?", value) is not None,
)
