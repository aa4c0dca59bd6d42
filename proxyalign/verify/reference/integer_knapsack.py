"""A knapsack in whole numbers, solved by hand: the second route against which the solvers are judged.

Every float64 is an integer over a power of two, so one common power of two makes integers of all values, weights and
the budget. Nothing here calls the solvers.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxyalign.verify.reference.undominated_sets import Sets, best_pair, undominated

MOST_ITEMS = 24  # all subsets of one half of them are listed: 4,096


@dataclass(frozen=True)
class Relaxed:
    """Dantzig's solution of the linear relaxation: order and prefix, the critical item, its density, and U."""

    order: list[int]
    n_prefix: int
    critical: int | None
    price: Fraction
    value: Fraction
    weight: Fraction
    bound: Fraction


class IntegerKnapsack:
    """values, weights (n,) float64 and the budget as integers: the numbers times `scale`, a power of two."""

    def __init__(self, values: NDArray[np.float64], weights: NDArray[np.float64], budget: float) -> None:
        ratios = [x.as_integer_ratio() for x in (float(budget), *values.tolist(), *weights.tolist())]
        bits = max(bottom.bit_length() for _, bottom in ratios)
        self.scale = 1 << (bits - 1)
        self.budget, *rest = (top << (bits - bottom.bit_length()) for top, bottom in ratios)
        self.values, self.weights = rest[: values.size], rest[values.size :]

    def __len__(self) -> int:
        return len(self.values)

    def value(self, deferred: NDArray[np.bool_]) -> Fraction:
        """The exact value of a set (n,)."""
        return Fraction(self._sum(self.values, deferred), self.scale)

    def mass(self, deferred: NDArray[np.bool_]) -> Fraction:
        """The exact mass of a set (n,)."""
        return Fraction(self._sum(self.weights, deferred), self.scale)

    def _sum(self, numbers: list[int], deferred: NDArray[np.bool_]) -> int:
        if deferred.shape != (len(self),):
            raise ValueError(f"a set of {len(self)} items must have their shape, got {deferred.shape}")
        return sum(itertools.compress(numbers, deferred.tolist()))

    @cached_property
    def order(self) -> list[int]:
        """Items by falling v / w without rounding, those without weight first, ties by the lowest index."""
        # Two different v / w differ by at least 1 / (w w'), which is at least 1 after this shift.
        shift = 2 * max(self.weights).bit_length()
        paid = [item for item, weight in enumerate(self.weights) if weight]
        free = [item for item, weight in enumerate(self.weights) if not weight]
        return free + sorted(paid, key=lambda item: -((self.values[item] << shift) // self.weights[item]))

    def falls_along(self, order: Iterable[int]) -> bool:
        """Whether v / w never rises along these items, those without weight left out."""
        paid = [(self.values[item], self.weights[item]) for item in order if self.weights[item]]
        return all(v * x >= u * w for (v, w), (u, x) in itertools.pairwise(paid))

    @cached_property
    def relaxed(self) -> Relaxed:
        """The longest prefix of `order` that fits, and a part of the item after it."""
        room, value = self.budget, 0
        for n_prefix, item in enumerate(self.order):
            if self.weights[item] > room:
                price = Fraction(self.values[item], self.weights[item])
                before, weight = Fraction(value, self.scale), Fraction(self.budget - room, self.scale)
                bound = before + Fraction(room, self.scale) * price
                return Relaxed(self.order, n_prefix, item, price, before, weight, bound)
            room, value = room - self.weights[item], value + self.values[item]
        total = Fraction(value, self.scale)
        return Relaxed(self.order, len(self), None, Fraction(0), total, Fraction(self.budget - room, self.scale), total)

    def lagrangian(self, price: Fraction, budget: Fraction | None = None) -> Fraction:
        """L(lambda) = lambda b + sum max(0, v - lambda w), item by item; `budget` instead of the case's own."""
        top, bottom = price.numerator, price.denominator
        surplus = sum(
            max(0, bottom * value - top * weight) for value, weight in zip(self.values, self.weights, strict=True)
        )
        own = Fraction(self.budget, self.scale) if budget is None else budget
        return price * own + Fraction(surplus, bottom * self.scale)

    @cached_property
    def _halves(self) -> tuple[Sets, Sets]:
        """The undominated sets of every other item, and those of the rest."""
        one, other = (undominated(self.values[first::2], self.weights[first::2]) for first in (0, 1))
        return one, other

    def best(self, budget: Fraction | None = None) -> Fraction:
        """The value of the best of all subsets whose mass is at most the budget, or `budget` instead."""
        return self.best_set(budget)[0]

    def best_set(self, budget: Fraction | None = None) -> tuple[Fraction, Fraction]:
        """The value and the mass of that subset, the lightest one of several."""
        room = self.budget if budget is None else math.floor(budget * self.scale)
        value, mass = best_pair(*self._halves, room)
        return Fraction(value, self.scale), Fraction(mass, self.scale)
