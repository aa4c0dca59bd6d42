"""Exact arithmetic on float64 numbers, which are rationals: sums, roundings, and the prefix that fits a budget."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LOW_BITS = 27  # a 53-bit mantissa in two halves, so that float64 adds up to 2^26 halves without rounding


def exact_sum(numbers: NDArray[np.float64]) -> Fraction:
    """The sum of finite float64 numbers (n,) as a rational, without rounding."""
    mantissas, exponents = np.frexp(numbers)
    if numbers.size == 0:
        return Fraction(0)
    integers = np.ldexp(mantissas, 53).astype(np.int64)
    lowest = int(exponents.min())
    shifts = exponents - lowest
    low = np.bincount(shifts, weights=integers & ((1 << _LOW_BITS) - 1))
    high = np.bincount(shifts, weights=integers >> _LOW_BITS)
    total = 0
    for shift in np.flatnonzero((low != 0) | (high != 0)).tolist():
        total += ((int(high[shift]) << _LOW_BITS) + int(low[shift])) << shift
    exponent = lowest - 53
    return Fraction(total << exponent) if exponent >= 0 else Fraction(total, 1 << -exponent)


def round_up(number: Fraction) -> float:
    """The least float64 that is not below `number`; infinity above the largest one."""
    try:
        nearest = float(number)
    except OverflowError:
        return math.inf
    return nearest if Fraction(nearest) >= number else math.nextafter(nearest, math.inf)


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
        perhaps = int(np.searchsorted(sums * (1.0 - slack), budget, side="right"))
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
