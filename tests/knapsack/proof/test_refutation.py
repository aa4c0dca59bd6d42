"""The plain second method against enumeration: True only where it is true, and always where integers are exact."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import general_problems, value

from proxyalign.knapsack import brute_force, lp_bound
from proxyalign.knapsack.proof.refutation import none_is_worth_more

LARGE = 2.0**57  # the largest sum in play is then 58 bits long, so that a unit of value is the method's unit
SMALL = st.integers(0, 9)


def shown(values, weights, room, threshold, price, seconds=60.0, max_states=100_000):
    columns = (np.array(column, dtype=np.float64) for column in (values, weights))
    numbers = (Fraction(number) for number in (room, threshold, price))
    return none_is_worth_more(*columns, *numbers, seconds=seconds, max_states=max_states)


def best_of(items, room):
    """The largest value of a set of (value, weight) pairs that fits, by every set."""
    sets = (
        [item for item, is_in in zip(items, chosen, strict=True) if is_in]
        for chosen in product([0, 1], repeat=len(items))
    )
    return max(sum(v for v, _ in members) for members in sets if sum(w for _, w in members) <= room)


@st.composite
def small(draw):
    """(items, room) in small integers."""
    items = draw(st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=8))
    return items, draw(st.integers(0, sum(weight for _, weight in items)))


@given(case=small(), price=st.fractions(Fraction(1, 9), 9, max_denominator=9))
@example(case=([(3, 2), (5, 4), (5, 4)], 8), price=Fraction(5, 4))
def test_small_integers_are_decided(case, price):
    """Fails when a better set is pruned, dominated or rounded away, or when rounding hides what integers show."""
    items, room = case
    best = best_of(items, room)
    assert shown(*zip(*items, strict=True), room, best, price) is True
    assert shown(*zip(*items, strict=True), room, best - Fraction(1, 1000), price) is None


@settings(max_examples=400)
@given(case=small(), price=st.integers(1, 9), weight=st.integers(0, 1))
def test_the_last_unit_decides(case, price, weight):
    """Fails for a pruning, a dominance or a sum that is off by one in 58 bits, or that goes through floats."""
    items, room = case
    best = best_of(items, room) + int(LARGE)
    columns = list(zip(*items, (LARGE, weight), strict=True))
    assert shown(*columns, room + weight, best, price) is True
    assert shown(*columns, room + weight, best - 1, price) is None
    assert shown(*columns, room + weight, best - Fraction(1, 3), price) is None


@settings(max_examples=400)
@given(case=small(), price=st.fractions(Fraction(1, 9), 9, max_denominator=9), share=st.integers(1, 9))
def test_rounding_favours_sets(case, price, share):
    """Fails when one of the roundings goes the other way: these prices and values have no end in base 2."""
    items, room = case
    items = [(Fraction(v / share), Fraction(w / share)) for v, w in items]
    room = Fraction(room, share)
    best = best_of(items, room) + int(LARGE)
    columns = list(zip(*items, (LARGE, 0.0), strict=True))
    assert shown(*columns, room, best - Fraction(1, 3), price) is None
    assert shown(*columns, room, best - Fraction(1, 10**9), price) is None
    assert shown(*columns, room, best + 3 * len(items) + 3, price) is True


@given(problem=general_problems(), scale=st.sampled_from([Fraction(1), Fraction(1, 3), Fraction(7, 2)]))
def test_it_is_true_only_where_no_set_is_worth_more(problem, scale):
    """Fails when a price far off, zeros, subnormal or large numbers make it say too much, or raise."""
    best = value(problem, brute_force(problem).deferred)
    price = scale * lp_bound(problem).price
    room = Fraction(problem.budget)
    assert shown(problem.values, problem.weights, room, best * (1 + Fraction(1, 10**9)), price) in (True, None)
    assert (
        shown(problem.values, problem.weights, room, best - Fraction(best, 2**60) - Fraction(1, 2**1100), price) is None
    )


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (([], [], 0, 0, 1), True),
        (([], [], 0, -1, 1), None),
        (([1.0], [1.0], -1, -1, 1), True),
        (([1.0], [1.0], 0, 0, 1), True),
        (([1.0], [0.0], 0, 0, 1), None),
        (([1.0, 1.0], [1.0, 1.0], 1, 1, 0), None),
        (([1e308, 5e-324], [1e-300, 1e300], 1, 1e308, 1), True),
        (([1e308, 5e-324], [1e-300, 1e300], 1, 9e307, 1), None),
    ],
)
def test_ends(arguments, answer):
    """Fails where there is nothing to choose, no room, no price, or no common scale in floats."""
    assert shown(*arguments) is answer


def test_limits_end_it_without_an_answer():
    """Fails when a search that was cut short counts as done."""
    items = [(2 * k + 101, 2 * k + 100) for k in range(12)]
    columns = list(zip(*items, strict=True))
    best = best_of(items, 635)
    assert shown(*columns, 635, best, 1) is True
    assert shown(*columns, 635, best, 1, max_states=1) is None
    assert shown(*columns, 635, best, 1, seconds=0.0) is None
