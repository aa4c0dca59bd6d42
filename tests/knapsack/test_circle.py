"""The group relaxation: what it says must never exceed what any set of changes loses."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyalign.knapsack.circle import circle_levels
from proxyalign.knapsack.search import STEEPEST


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 12),
    slack=st.floats(0.05, 5.0),
    lightest=st.floats(0.0, 0.9),
    curve=st.sampled_from(["surprisal", "any"]),
)
def test_no_changes_reach_a_position_for_less(seed, n, slack, lightest, curve):
    """Fails when a chord passes above an item, a step is not closed under sums, or unused room is too dear."""
    rng = np.random.default_rng(seed)
    positions = lightest + (1.0 - lightest) * rng.random(n)
    losses = -positions * np.log(positions) if curve == "surprisal" else rng.random(n) ** 3
    levels = circle_levels(positions, losses, slack, lightest) / (STEEPEST + 1)
    grid = np.arange(levels.size) / (levels.size - 1)
    for size in range(4):
        for changes in itertools.combinations_with_replacement(range(n), size):
            for unused in (0.0, 0.3 * rng.random(), rng.random()):
                # Position u is left by changes that sum to u, less the room that they leave unused.
                position = (positions[list(changes)].sum() - unused) % 1.0
                paid = losses[list(changes)].sum() + slack * unused
                assert np.interp(position, grid, levels) <= paid + 1e-9


def test_it_tells_where_no_item_fits():
    """Fails when the bound is no better than the linear relaxation's, 0, where items weigh half a modulus."""
    levels = circle_levels(np.array([0.5]), np.array([0.01]), 4.0, 0.5)
    quarter = np.interp(0.25, np.arange(levels.size) / (levels.size - 1), levels) / (STEEPEST + 1)
    assert 0.9 < quarter <= 1.0
