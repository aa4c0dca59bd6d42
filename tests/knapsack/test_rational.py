"""Exact arithmetic: sums and orders of float64 numbers against the same in Python's rationals, at any exponent."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proxyalign.knapsack import exact_sum
from proxyalign.knapsack.rational import by_falling_ratio

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
