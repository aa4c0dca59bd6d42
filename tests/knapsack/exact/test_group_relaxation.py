"""The group relaxation: what it says must never exceed what any set of changes loses."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyalign.knapsack.exact import group_relaxation
from proxyalign.knapsack.exact.group_relaxation import UNIT, group_levels
from proxyalign.knapsack.exact.states import group_bound, interpreted

OFFSET = 2**40


def levels_of(places, losses, modulus, slack, unit=OFFSET):
    return group_levels(np.array(places), np.array(losses), modulus, unit, slack, min(places) / modulus)


def between(levels, place, modulus):
    """B at a place, as a rational share of the offset, from its definition."""
    cell, rest = divmod(place * (levels.size - 1), modulus)
    low, high = (Fraction(levels[cell]), Fraction(levels[min(cell + 1, levels.size - 1)]))
    return (low + (high - low) * Fraction(rest, modulus)) / Fraction(UNIT)


def assert_it_is_a_bound(levels, places, losses, modulus, slack, rng):
    for size in range(4):
        for changes in itertools.combinations_with_replacement(range(len(places)), size):
            for unused in (0, int(rng.integers(modulus)), int(rng.integers(2 * modulus))):
                place = (sum(places[k] for k in changes) - unused) % modulus
                paid = Fraction(sum(losses[k] for k in changes), OFFSET) + Fraction(slack) * Fraction(unused, modulus)
                assert between(levels, place, modulus) <= paid


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 10),
    slack=st.floats(0.05, 5.0),
    modulus=st.one_of(st.integers(1, 60), st.integers(2**20, 2**58)),
    curve=st.sampled_from(["surprisal", "any", "free"]),
)
def test_no_changes_reach_a_position_for_less(seed, n, slack, modulus, curve):
    """Fails, in rationals, when a chord passes above a change, B is not closed under sums, or unused room is dear."""
    rng = np.random.default_rng(seed)
    places = rng.integers(modulus, size=n)
    shares = places / modulus
    losses = np.zeros(n) if curve == "free" else rng.random(n) ** 3
    if curve == "surprisal":
        losses = -shares * np.log(np.maximum(shares, 1e-300))
    whole = (losses * OFFSET).astype(np.int64)
    levels = levels_of(places, whole, modulus, slack)
    assert_it_is_a_bound(levels, places.tolist(), whole.tolist(), modulus, slack, rng)


@pytest.mark.parametrize("guess", [0.3, 1.0])
def test_a_wrong_guess_is_lowered_until_it_is_proved(guess, monkeypatch):
    """Fails when the heights that floats make up are believed without being held against every change."""
    monkeypatch.setattr(group_relaxation, "_steps", lambda *given: np.append(0.0, np.full(given[-1], guess)))
    rng = np.random.default_rng(0)
    places, losses, modulus = [1_000, 999_999, 500_000], [2**37, 2**36, 2**38], 10**6
    levels = levels_of(places, losses, modulus, 0.7)
    assert levels.any()
    assert_it_is_a_bound(levels, places, losses, modulus, 0.7, rng)


@pytest.mark.parametrize("modulus", [1, 7, 2**31 - 1, 2**58 + 1, 2**200 + 1], ids="M={}".format)
def test_what_is_read_between_grid_points_is_not_above_it(modulus):
    """Fails when the cell is off by one, products that leave 64 bits are not put right, or a level is rounded up."""
    rng = np.random.default_rng(modulus % 2**32)
    levels = np.append(0.0, np.floor(rng.random(1100) * UNIT))
    bound = group_bound if modulus < 2**60 else interpreted(group_bound)
    column = levels if modulus < 2**60 else levels.tolist()
    drawn = [int(share * modulus) for share in rng.random(300)]
    for room in [0, 1, modulus - 1, modulus, -modulus, *drawn, *(-room for room in drawn)]:
        found = Fraction(int(bound(room, modulus, OFFSET, column)))
        exactly = between(levels, -room % modulus, modulus) * OFFSET
        assert exactly - 1 <= found < exactly + 1


def test_it_tells_where_no_item_fits():
    """Fails when the bound is no better than the linear relaxation's, 0, where items weigh half a modulus."""
    levels = levels_of([2**30] * 32, [OFFSET // 100] * 32, 2**31, 4.0)
    assert Fraction(9, 10) < between(levels, 2**29, 2**31) <= Fraction(5, 4)
