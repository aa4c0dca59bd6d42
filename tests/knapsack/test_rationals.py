"""Exact arithmetic: sums and orders of float64 numbers against the same in Python's rationals, at any exponent."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyalign.errors import InputError
from proxyalign.knapsack import exact_sum, prefix_that_fits
from proxyalign.knapsack.rationals import LARGEST, by_falling_ratio, round_down, round_up

NUMBERS = st.one_of(
    st.floats(0.0, 1e308),
    st.floats(0.9, 1.1),
    st.integers(1, 40).map(float),
    st.integers(0, 60).map(lambda units: units * 5e-324),
)


@given(numbers=st.lists(NUMBERS, max_size=12))
def test_sums_are_exact(numbers):
    """Fails when a mantissa loses a bit on the way, or a subnormal number counts as a normal one."""
    assert exact_sum(np.array(numbers, dtype=np.float64)) == sum(map(Fraction, numbers))


@given(pairs=st.lists(st.tuples(NUMBERS, NUMBERS.filter(bool)), min_size=1, max_size=12))
def test_ratios_are_ordered_as_rationals_and_equal_ones_as_they_come(pairs):
    """Fails when a quotient overflows, underflows or is rounded, or when one ratio has two forms, as 1/2 and 2/4."""
    order = by_falling_ratio(*np.array(pairs, dtype=np.float64).T).tolist()
    ratios = [Fraction(numerator) / Fraction(denominator) for numerator, denominator in pairs]
    assert order == sorted(range(len(pairs)), key=lambda position: (-ratios[position], position))


@given(tops=st.lists(st.integers(2**53 - 20, 2**53 - 1), min_size=2, max_size=12), data=st.data())
def test_the_closest_ratios_there_are_are_told_apart(tops, data):
    """Fails when the long division stops early: (k + 1) / k and k / (k - 1) differ by 2^-106 where k is near 2^53."""
    numerators, denominators = np.array(tops) + 1.0, np.array(tops) * 1.0
    scales = 2.0 ** np.array(data.draw(st.lists(st.integers(-900, 900), min_size=len(tops), max_size=len(tops))))
    ratios = [Fraction(top + 1, top) for top in tops]
    order = by_falling_ratio(numerators * scales, denominators * scales).tolist()
    assert order == sorted(range(len(tops)), key=lambda position: (-ratios[position], position))


@pytest.mark.parametrize("wrong", [[math.nan], [1.0, math.inf], [math.inf, -math.inf]])
def test_a_sum_of_what_is_not_finite_is_refused(wrong):
    """Fails when infinity counts as 2^1024, or two of them cancel."""
    with pytest.raises(InputError, match="exact_sum: numbers must be finite"):
        exact_sum(wrong)


def test_sums_of_other_dtypes_and_lists_are_those_of_their_numbers():
    """Fails when the bits of two float32 numbers are read as those of one float64."""
    assert exact_sum(np.float32([0.5, 0.25])) == exact_sum([0.5, 0.25]) == Fraction(3, 4)
    assert exact_sum([1, 2]) == 3


@given(number=st.fractions(), power=st.integers(-1200, 1200))
def test_roundings_enclose_a_number_by_neighbours(number, power):
    """Fails when a number beyond the floats, or below the least one, is rounded to the wrong side."""
    number *= Fraction(2) ** power
    low, high = round_down(number), round_up(number)
    assert low == -math.inf or Fraction(low) <= number
    assert high == math.inf or number <= Fraction(high)
    assert low == high if low == number else math.nextafter(low, math.inf) == high


SIZES = st.sampled_from([5e-324, 1e-310, 0.1, 0.3, LARGEST / 8, LARGEST / 3, math.nextafter(LARGEST / 3, 0.0), LARGEST])


@given(weights=st.lists(st.one_of(SIZES, NUMBERS), min_size=1, max_size=12), data=st.data())
def test_the_prefix_is_the_longest_whose_exact_sum_fits(weights, data):
    """Fails when a float sum that rounds to infinity, or a subnormal budget, ends the prefix too early or too late."""
    sums = [sum(map(Fraction, weights[:k])) for k in range(len(weights) + 1)]
    ends = [end for total in sums for end in (round_down(total), round_up(total)) if end < math.inf]
    budget = data.draw(st.sampled_from([*ends, *(math.nextafter(end, 0.0) for end in ends), LARGEST]))
    assert prefix_that_fits(weights, budget) == sum(total <= budget for total in sums) - 1
