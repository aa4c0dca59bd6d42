"""Sorting: the same order as a stable argsort, for keys of every kind."""

import numpy as np
import pytest

from proxyalign.knapsack.sorting import rising

RNG = np.random.default_rng(0)
SIZES = (1, 2, 255, 256, 5000)
KEYS = {
    "floats": lambda n: RNG.random(n),
    "floats of every exponent": lambda n: np.exp2(RNG.uniform(-1074.0, 1023.0, n)),
    "floats that differ in their last bits": lambda n: 1.0 + RNG.integers(0, 2**12, n) * 2.0**-52,
    "many equal": lambda n: RNG.integers(0, 40, n) / 64.0,
    "all equal": lambda n: np.full(n, 0.25),
    "subnormal": lambda n: RNG.integers(0, 2**20, n) * 5e-324,
    "zeros of both signs": lambda n: np.where(RNG.random(n) < 0.5, 0.0, -0.0),
    "infinite": lambda n: np.where(RNG.random(n) < 0.5, np.inf, RNG.random(n)),
    "of both signs": lambda n: RNG.normal(size=n) * np.exp2(RNG.uniform(-1000.0, 1000.0, n)),
    "negated": lambda n: -RNG.random(n),
    "falling": lambda n: np.arange(float(n))[::-1],
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KEYS)
def test_the_order_is_the_one_of_a_stable_argsort(kind, size):
    """Fails when the leading bits decide what the last ones have to, or equal keys leave the order of their indices."""
    keys = KEYS[kind](size)
    np.testing.assert_array_equal(rising(keys), np.argsort(keys, kind="stable"))
