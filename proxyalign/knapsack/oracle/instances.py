"""The hard instances of the knapsack literature, seeded and scaled to a mass of one: what a token law never looks like.

Source: D. Pisinger, Where are the hard knapsack problems?, Computers & Operations Research 32 (2005), 2271-2284, and
Martello, Pisinger & Toth, Dynamic programming and strong bounds for the 0-1 knapsack problem, Management Science 45
(1999), 414-424.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.problem import DeferralProblem

Integers = NDArray[np.int64]
Pair = tuple[Integers, Integers]  # values, weights


@dataclass(frozen=True, eq=False)
class Instance:
    """A knapsack in integers, as the literature has it, and as a problem of mass one.

    kind: its class, of `CLASSES`; seed: that it was drawn with; values, weights: (n,) int64, above 0; capacity: int.
    """

    kind: str
    seed: int
    values: Integers
    weights: Integers
    capacity: int

    @cached_property
    def problem(self) -> DeferralProblem:
        """Values and weights divided by the total weight, so that the weights sum to 1 up to rounding.

        The budget is rounded up by 2^-51 of itself, more than rounding adds to a sum, so that every set within the
        capacity fits; a set over it does not, as long as the capacity is below 2^51.
        """
        total = float(self.weights.sum())
        budget = self.capacity / total * (1.0 + 2.0**-51)
        return DeferralProblem(self.values / total, self.weights / total, budget)


def pisinger(kind: str, size: int, seed: int, *, fill: float = 0.5, largest: int = 1000) -> Instance:
    """An instance of one of Pisinger's classes; the same arguments give the same instance.

    kind: one of `CLASSES`; size: how many items, at least 1; fill: the capacity as a share of the total weight, in
    [0, 1]; largest: R, the largest weight drawn (values, in the inverse class), at least 20 (paper: 10^3 to 10^7).
    Raises InputError for anything else.
    """
    if kind not in CLASSES:
        raise InputError(f"pisinger: kind must be one of {', '.join(CLASSES)}, got {kind!r}; choose one of those")
    if size < 1:
        raise InputError(f"pisinger: size must be at least 1 item, got {size}; pass for example 10000")
    if seed < 0:
        raise InputError(f"pisinger: seed must be at least 0, got {seed}; pass for example 0")
    if not 0.0 <= fill <= 1.0:
        raise InputError(f"pisinger: fill must be in [0, 1], got {fill}; pass the share of the weight that fits")
    if largest < 20:
        raise InputError(f"pisinger: largest must be at least 20, got {largest}; pass for example 1000")
    values, weights = CLASSES[kind](np.random.default_rng(seed), size, largest)
    return Instance(kind, seed, values, weights, int(fill * float(weights.sum())))


def _drawn(generator: np.random.Generator, size: int, largest: int) -> Integers:
    return generator.integers(1, largest, size=size, endpoint=True)


def _uncorrelated(generator: np.random.Generator, size: int, largest: int) -> Pair:
    return _drawn(generator, size, largest), _drawn(generator, size, largest)


def _weakly(generator: np.random.Generator, size: int, largest: int) -> Pair:
    weights = _drawn(generator, size, largest)
    around = generator.integers(-(largest // 10), largest // 10, size=size, endpoint=True)
    return np.maximum(1, weights + around), weights


def _strongly(generator: np.random.Generator, size: int, largest: int) -> Pair:
    weights = _drawn(generator, size, largest)
    return weights + largest // 10, weights


def _inversely(generator: np.random.Generator, size: int, largest: int) -> Pair:
    values = _drawn(generator, size, largest)
    return values, values + largest // 10


def _almost_strongly(generator: np.random.Generator, size: int, largest: int) -> Pair:
    weights = _drawn(generator, size, largest)
    around = generator.integers(-(largest // 500), largest // 500, size=size, endpoint=True)
    return weights + largest // 10 + around, weights


def _subset_sum(generator: np.random.Generator, size: int, largest: int) -> Pair:
    weights = _drawn(generator, size, largest)
    return weights.copy(), weights


def _similar_weights(generator: np.random.Generator, size: int, largest: int) -> Pair:
    weights = generator.integers(100 * largest, 100 * largest + largest // 10, size=size, endpoint=True)
    return _drawn(generator, size, largest), weights


def _spanner(generator: np.random.Generator, size: int, largest: int) -> Pair:
    """span(2, 10): all items are small multiples of two uncorrelated ones."""
    values, weights = (-(-2 * numbers // 10) for numbers in _uncorrelated(generator, 2, largest))
    which, times = generator.integers(2, size=size), generator.integers(1, 10, size=size, endpoint=True)
    return times * values[which], times * weights[which]


def _multiple_strongly(generator: np.random.Generator, size: int, largest: int) -> Pair:
    """mstr(3R/10, 2R/10, 6): two strongly correlated classes, by whether 6 divides the weight."""
    weights = _drawn(generator, size, largest)
    return weights + np.where(weights % 6 == 0, 3 * largest // 10, 2 * largest // 10), weights


def _profit_ceiling(generator: np.random.Generator, size: int, largest: int) -> Pair:
    """pceil(3): values are the weights rounded up to multiples of 3."""
    weights = _drawn(generator, size, largest)
    return -(-weights // 3) * 3, weights


def _circle(generator: np.random.Generator, size: int, largest: int) -> Pair:
    """circle(2/3): values lie on an arc above the weights, so that no multiplier tells the middle ones apart well."""
    weights = _drawn(generator, size, largest)
    arc = np.sqrt(4.0 * largest**2 - (weights - 2.0 * largest) ** 2)
    return np.floor(2.0 / 3.0 * arc).astype(np.int64), weights


CLASSES: dict[str, Callable[[np.random.Generator, int, int], Pair]] = {
    "uncorrelated": _uncorrelated,
    "weakly-correlated": _weakly,
    "strongly-correlated": _strongly,
    "inverse-strongly-correlated": _inversely,
    "almost-strongly-correlated": _almost_strongly,
    "subset-sum": _subset_sum,
    "similar-weights": _similar_weights,
    "spanner": _spanner,
    "multiple-strongly-correlated": _multiple_strongly,
    "profit-ceiling": _profit_ceiling,
    "circle": _circle,
}
