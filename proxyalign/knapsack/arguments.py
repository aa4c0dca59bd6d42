"""What is asked of the knapsack, checked before any work: numbers, rows and limits, each told of in one sentence."""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.rationals import LARGEST, exact_sum, round_down, round_up

MOST_SHOWN = 60  # characters of what was given, in a message


def real(owner: str, name: str, given: Any, remedy: str = "pass a float", *, up: bool = False) -> float:
    """`given` as a float64: an int, a float, a Fraction, a NumPy number, or an array or tensor of shape ().

    A number that no float64 equals is rounded down, so that a set which fits the float64 budget fits the one given;
    `up` rounds it up. NaN and infinity pass, since a range check, which NaN fails, tells better what is allowed. Raises
    InputError for anything else, bool and complex among it, and for what is beyond the largest float64.
    """
    number = given
    if getattr(given, "shape", None) == () and hasattr(given, "item") and not _is_masked(given):
        number = given.item()
    if isinstance(number, bool) or not isinstance(number, int | float | Fraction | np.floating):
        raise InputError(f"{owner}: {name} must be a number, got {shown(given)}; {remedy}")
    if isinstance(number, float) or (isinstance(number, np.floating) and not np.isfinite(number)):
        return float(number)
    exact = Fraction(*number.as_integer_ratio())
    if abs(exact) > LARGEST:
        raise InputError(f"{owner}: {name} must be within the range of float64, got {shown(given)}; {remedy}")
    return round_up(exact) if up else round_down(exact)


def gap(owner: str, given: Any, remedy: str = "pass 0 for the last bit") -> float:
    """A relative gap: finite, at least 0."""
    checked = real(owner, "gap", given)
    if not 0.0 <= checked < np.inf:
        raise InputError(f"{owner}: gap must be finite and at least 0, got {checked}; {remedy}")
    return checked


def time_limit(owner: str, given: Any, *, name: str = "time_limit") -> float | None:
    """A limit in seconds, above 0, or None for no limit."""
    if given is None:
        return None
    seconds = real(owner, name, given, "pass seconds, or None for no limit")
    if not seconds > 0.0:
        raise InputError(f"{owner}: {name} must be above 0 seconds, got {seconds}; pass None for no limit")
    return seconds


def whole(owner: str, name: str, given: Any, remedy: str) -> int:
    """A whole number of at least 1."""
    number = real(owner, name, given, remedy)
    if not (1.0 <= number < np.inf and number == int(number)):
        raise InputError(f"{owner}: {name} must be a whole number of at least 1, got {shown(given)}; {remedy}")
    return int(number)


def masses(owner: str, name: str, given: Any) -> list[float]:
    """The numbers of a sequence, each in [0, 1]."""
    try:
        members = list(given)
    except TypeError:
        raise InputError(f"{owner}: {name} must be a sequence of numbers, got {shown(given)}; pass a list") from None
    checked = [real(owner, name, member, "pass probability masses") for member in members]
    for mass in checked:
        if not 0.0 <= mass <= 1.0:
            raise InputError(f"{owner}: {name} must be in [0, 1], got {mass}; pass probability masses")
    return checked


def array(owner: str, name: str, given: Any) -> NDArray[Any]:
    """`given` as an array of real numbers, of any shape and dtype; a torch tensor's, whatever its dtype and device.

    Raises InputError for other dtypes, ragged lists, and masked entries, whose mask would be lost.
    """
    if _is_masked(given):
        raise InputError(
            f"{owner}: {name} must have no masked entry, got {int(np.ma.getmaskarray(given).sum())} of them; "
            "pass .filled(0.0), or .compressed()"
        )
    try:
        if hasattr(given, "detach") and hasattr(given, "cpu"):  # a tensor, though the knapsack knows nothing of torch
            tensor = given.detach().cpu()
            given = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
        numbers = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as unusable:
        raise InputError(
            f"{owner}: {name} must be an array of real numbers, got {shown(given)}; pass one"
        ) from unusable
    if numbers.dtype.kind not in "fiu":
        raise InputError(f"{owner}: {name} must be real numbers, got dtype {numbers.dtype}; pass a float array")
    return numbers


def vector(owner: str, name: str, given: Any) -> NDArray[np.float64]:
    """A read-only copy (n,) float64 of a non-empty row of finite numbers, at least 0, with a sum within float64.

    Raises InputError for anything else. Integers and wider floats that no float64 equals are rounded to the nearest.
    """
    row = array(owner, name, given)
    if row.ndim != 1 or row.size == 0:
        raise InputError(f"{owner}: {name} must be one non-empty row (n,), got shape {row.shape}; pass one row")
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.array(row, dtype=np.float64, order="C")
        total = numbers.sum()
    wrong = np.flatnonzero(~((numbers >= 0.0) & (numbers < np.inf)))
    if wrong.size:
        raise InputError(
            f"{owner}: {name} must be finite and at least 0, got {numbers[wrong[0]]} at index {wrong[0]}; "
            "pass probabilities or non-negative numbers, not logits"
        )
    # A sum of floats is within a factor 2 of the true one, which alone decides at the edge.
    if not total < LARGEST / 2 and exact_sum(numbers) > LARGEST:
        raise InputError(
            f"{owner}: {name} must have a finite sum, got more than {LARGEST:.3g}; divide all by a power of two"
        )
    numbers.setflags(write=False)
    return numbers


def _is_masked(given: Any) -> bool:
    return isinstance(given, np.ma.MaskedArray) and bool(np.ma.is_masked(given))


def shown(given: Any) -> str:
    """`given` in a few characters on one line, also where it has no repr, as an integer of too many digits."""
    try:
        text = " ".join(repr(given).split())
    except ValueError:
        return f"one of type {type(given).__name__} with too many digits"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
