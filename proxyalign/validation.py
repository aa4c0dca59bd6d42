"""Checks of single numbers, each mistake told in one sentence: what was asked for, what came, and the remedy."""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, NamedTuple

from proxyalign.errors import InputError


class Domain(NamedTuple):
    """Where a parameter may lie, both ends included, and what to tell whoever leaves it. whole: only whole numbers."""

    low: float
    high: float
    remedy: str
    whole: bool = False


def check_number(owner: str, argument: str, value: Any, domain: Domain) -> None:
    """Raise InputError unless `value` is a number in its domain; NaN and infinity are not."""
    low, high, remedy, whole = domain
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not (low <= value <= high and abs(value) < math.inf) or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        where = f"{kind} in [{low:g}, {high:g}]"
        if high == math.inf:
            where = f"finite {kind}" if low == -math.inf else f"finite {kind} of at least {low:g}"
        raise InputError(f"{owner}: {argument} must be a {where}, got {value!r}; {remedy}")


def check_count(owner: str, argument: str, value: Any, least: int) -> None:
    """Raise InputError unless `value` is an int, Python's or NumPy's, of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(
            f"{owner}: {argument} must be a whole number of at least {least}, got {value!r}; pass {least} or more"
        )


def check_ids(owner: str, argument: str, ids: Iterable[Any], n_tokens: int) -> list[int]:
    """The token ids, as ints. Raises InputError for what is no id of a vocabulary of `n_tokens`."""
    try:
        given = list(ids)
    except TypeError:
        raise InputError(
            f"{owner}: {argument} must be a list of token ids, got {ids!r}; put a single id in a list"
        ) from None
    for one in given:
        if isinstance(one, bool) or not isinstance(one, Integral) or not 0 <= int(one) < n_tokens:
            raise InputError(
                f"{owner}: {argument} must hold token ids from 0 to {n_tokens - 1}, got {one!r}; look it up in the "
                "pair's tokenizer"
            )
    return [int(one) for one in given]
