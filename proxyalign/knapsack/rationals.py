"""Exact arithmetic on float64 numbers, which are rationals: sums, ratios, roundings, the prefix that fits a budget."""

import math
from fractions import Fraction

import numpy as np
from numba import types
from numpy.typing import ArrayLike, NDArray

from proxyalign.compiled import compiled
from proxyalign.errors import InputError

LARGEST = float(np.finfo(np.float64).max)
_LEAST_EXPONENT = -(1 << 14)  # of a ratio that is 0, below that of any two float64 numbers
_LOW_BITS = 27  # of a 53-bit mantissa, as in `_sums_by_exponent`
_LEAST_UNIT = 1074  # 2^-1074 is the least float64 number
_NOT_FINITE = 2046  # the place of NaN and infinity among the sums by exponent


def exact_sum(numbers: ArrayLike) -> Fraction:
    """The sum of float64 numbers (n,) as a rational, without rounding. Raises InputError for NaN and infinity."""
    low, high = _sums_by_exponent(np.ascontiguousarray(numbers, dtype=np.float64).view(np.int64))
    if low[_NOT_FINITE]:
        raise InputError("exact_sum: numbers must be finite, got NaN or infinity; leave them out")
    total = 0
    for exponent in np.flatnonzero(low | high).tolist():
        total += ((int(high[exponent]) << _LOW_BITS) + int(low[exponent])) << exponent
    return Fraction(total, 1 << _LEAST_UNIT)


@compiled(types.UniTuple(types.int64[::1], 2)(types.Array(types.int64, 1, "C", readonly=True)))
def _sums_by_exponent(bits: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Mantissas in two halves, added up exponent by exponent: 2^36 of them stay within 64 bits."""
    low, high = np.zeros(2047, dtype=np.int64), np.zeros(2047, dtype=np.int64)
    for k in range(len(bits)):
        mantissa, exponent = bits[k] & 0xFFFFFFFFFFFFF, (bits[k] >> 52) & 0x7FF
        if exponent == 0x7FF:  # no other number counts in this place, and opposite infinities must not cancel here
            low[_NOT_FINITE] = 1
            continue
        if exponent > 0:  # not subnormal: the leading bit is understood, and 1 is the least exponent
            mantissa, exponent = mantissa | 0x10000000000000, exponent - 1
        if bits[k] < 0:
            mantissa = -mantissa
        low[exponent] += mantissa & 0x7FFFFFF
        high[exponent] += mantissa >> 27
    return low, high


def by_falling_ratio(numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> NDArray[np.intp]:
    """(n,) positions by falling numerator / denominator, compared without rounding, equal ones as they come.

    numerators: (n,) finite float64, at least 0; denominators: (n,) finite, above 0.
    """
    tops, top_exponents = np.frexp(numerators)
    bottoms, bottom_exponents = np.frexp(denominators)
    smaller = tops < bottoms
    rests = (tops * (1 + smaller) * 2.0**53).astype(np.int64)  # ratios of the mantissas are in [1, 2) now
    divisors = (bottoms * 2.0**53).astype(np.int64)
    keys = [np.where(tops > 0.0, top_exponents - bottom_exponents - smaller, _LEAST_EXPONENT)]
    # Long division in base 2^52. A digit is the rounded quotient, which rises with the true one and is the same for
    # equal ones; unequal ratios of 53-bit numbers differ by more than 2^-106, so by the third digit.
    for _ in range(3):
        digits = np.rint(rests / divisors * 2.0**52).astype(np.int64)
        rests = rests * (1 << 52) - digits * divisors  # both wrap around; their difference has less than 54 bits
        keys.append(digits)
    return np.lexsort([-key for key in reversed(keys)])


def whole_multiples(numbers: NDArray[np.float64]) -> tuple[list[int], int]:
    """(integers, bits) with integers[k] = numbers[k] 2^bits, exactly, for finite float64 numbers (n,)."""
    mantissas, exponents = np.frexp(numbers)
    whole = np.ldexp(mantissas, 53).astype(np.int64).tolist()
    bits = max(0, 53 - int(exponents.min(initial=53, where=numbers != 0.0)))
    shifts = (np.where(numbers != 0.0, exponents, 53) - 53 + bits).tolist()
    return [integer << shift for integer, shift in zip(whole, shifts, strict=True)], bits


def round_up(number: Fraction) -> float:
    """The least float64 that is not below `number`; infinity above the largest one."""
    try:
        nearest = float(number)
    except OverflowError:
        return math.inf if number > 0 else -LARGEST
    return nearest if Fraction(nearest) >= number else math.nextafter(nearest, math.inf)


def round_down(number: Fraction) -> float:
    """The greatest float64 that is not above `number`; minus infinity below the least one."""
    return -round_up(-number)


def prefix_that_fits(weights: ArrayLike, budget: float) -> int:
    """How many leading `weights` fit `budget`: the largest k whose exact sum weights[:k] is at most the budget.

    weights: (n,) finite, non-negative, in the order in which they are taken. Floats locate the boundary; where
    rounding could have moved it, rational sums settle it.
    """
    taken = np.ascontiguousarray(weights, dtype=np.float64)
    with np.errstate(over="ignore"):
        sums = np.cumsum(taken)
        # A running sum of k terms is off by at most a factor 1 -+ k 2^-53; twice that is safe.
        slack = taken.size * 2.0**-52
        surely = int(np.searchsorted(sums * (1.0 + slack), budget, side="right"))
        # Where rounding makes infinity of it, the true sum can be the largest float64 still.
        perhaps = int(np.searchsorted(np.minimum(sums, LARGEST) * (1.0 - slack), budget, side="right"))
    if surely == perhaps:
        return surely
    room = Fraction(budget) - exact_sum(taken[:surely])
    # One power of two makes integers of the room and of the weights in doubt.
    denominators = [room.denominator, *(weight.as_integer_ratio()[1] for weight in taken[surely:perhaps].tolist())]
    scale = max(denominators)
    left = room.numerator * (scale // room.denominator)
    for position in range(surely, perhaps):
        numerator, denominator = float(taken[position]).as_integer_ratio()
        left -= numerator * (scale // denominator)
        if left < 0:
            return position
    return perhaps
