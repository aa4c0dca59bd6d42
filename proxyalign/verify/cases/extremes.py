"""Knapsacks of a wide dynamic range, budgets a bit off a subset's sum, and limits that bite: a trial of `exact`.

Each is small enough to be solved by hand, and drawn to be where rounding to integers, pruning or an early end could
cost the proof.
"""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from proxyalign.knapsack import DeferralProblem
from proxyalign.verify.reference.integer_knapsack import IntegerKnapsack

Floats = NDArray[np.float64]
ORDERS = 80  # binary orders of magnitude
KINDS = (
    "nearly all", "powers of two", "near powers of two", "last bits", "products", "fibonacci", "geometric", "integers",
    "two scales", "ends of the range",
)  # fmt: skip
FEW, MOST = 12, 24  # items of nearly all cases, and of the others
PATIENCE = 0.1  # seconds
NO_LIMIT = 2.0**29  # bytes, the default of `exact`


@dataclass(frozen=True, eq=False)
class Extreme:
    """One knapsack, and how `exact` is asked: p (n,) is its law where it has one, else values and weights (n,).

    gap, memory_limit: of `exact`; time_limit: in seconds, infinite for none; start: (n,) bool, a set that fits.
    in_parts: whether the search is to be looked at part by part too, which takes its time.
    """

    kind: str
    p: Floats | None
    values: Floats
    weights: Floats
    budget: float
    gap: float
    time_limit: float
    memory_limit: float
    start: NDArray[np.bool_] | None
    in_parts: bool

    @cached_property
    def problem(self) -> DeferralProblem:
        """The knapsack."""
        if self.p is not None:
            return DeferralProblem.from_probs(self.p, budget=self.budget)
        return DeferralProblem(self.values, self.weights, self.budget)

    @cached_property
    def in_integers(self) -> IntegerKnapsack:
        """The same in whole numbers."""
        return IntegerKnapsack(self.problem.values, self.problem.weights, self.problem.budget)

    @property
    def is_limited(self) -> bool:
        """Whether the search may be ended early."""
        return self.time_limit < math.inf or self.memory_limit < NO_LIMIT

    def arrays(self) -> dict[str, Any]:
        """What `numpy.savez` keeps, in the form that `proxyalign solve --probs` reads."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("p",) if self.p is None else ("values", "weights"):
            del kept[name]
        return {name: value for name, value in kept.items() if value is not None}


def extreme(rng: Generator) -> Extreme:
    """A case of 1 to 12 items, one in ten of up to 24."""
    size = int(rng.integers(FEW, MOST) + 1 if rng.random() < 0.1 else rng.integers(FEW) + 1)
    kind = KINDS[rng.integers(len(KINDS))]
    weights = _numbers(rng, size, kind)
    p = None
    if kind == "nearly all" or (kind != "ends of the range" and rng.random() < 0.3):
        p = weights = weights / weights.sum()
        values = DeferralProblem.from_probs(p, budget=1.0).values
    else:
        values = _values(rng, weights, kind)
    budget = _budget(rng, weights, 1.0 if p is not None else math.inf)
    gap = float(rng.choice([1e-12, 1e-12, 1e-12, 0.0, 1e-6]))
    time_limit = float(rng.choice([1e-9, 1e-6, 1e-4])) if rng.random() < 0.1 else math.inf
    return Extreme(
        kind=kind,
        p=p,
        values=values,
        weights=weights,
        budget=budget,
        gap=gap,
        # Python's integers may need a minute for the last bit of so many items.
        time_limit=min(time_limit, PATIENCE) if gap == 0.0 and size > FEW else time_limit,
        memory_limit=1.0 if rng.random() < 0.1 else NO_LIMIT,
        start=_start(rng, weights, budget) if rng.random() < 0.2 else None,
        in_parts=bool(rng.random() < 0.02),
    )


def _numbers(rng: Generator, size: int, kind: str) -> Floats:
    """Positive numbers (size,) of one kind out of KINDS."""
    numbers: Floats
    if kind == "nearly all":
        numbers = np.exp2(-rng.uniform(0.0, ORDERS, size))
        numbers *= 2.0 ** -rng.uniform(0.0, 40.0) / numbers.sum()
        numbers[rng.integers(size)] = 1.0
    elif kind in ("powers of two", "near powers of two"):
        numbers = np.exp2(-rng.integers(0, rng.integers(2, ORDERS), size).astype(np.float64))
        if kind == "near powers of two":
            numbers = np.nextafter(numbers, rng.choice([0.0, 2.0], size))
    elif kind == "last bits":
        numbers = rng.choice([0.1, 0.3, 1.0, 1e-9]) * (1.0 + 2.0**-52 * rng.integers(0, 4, size))
    elif kind == "products":
        numbers = np.exp(np.clip(rng.standard_cauchy((3, size)), -60.0, 60.0).sum(0))
    elif kind == "fibonacci":
        sequence = [1.0, 1.0]
        while len(sequence) < 78:  # the last that float64 has exactly
            sequence.append(sequence[-1] + sequence[-2])
        first = rng.integers(0, len(sequence) - size)
        numbers = np.array(sequence)[first : first + size]
    elif kind == "geometric":
        numbers = rng.choice([0.01, 0.3, 0.5, 0.9, 0.999, 1.0 - 2.0**-40]) ** np.arange(size)
    elif kind == "integers":
        numbers = rng.integers(1, 6, size).astype(np.float64)
    elif kind == "two scales":
        numbers = rng.random(size) + 0.1
        numbers = np.where(rng.random(size) < 0.5, numbers, numbers * 2.0 ** -rng.integers(20, 2 * ORDERS))
    else:
        scale = rng.choice([1e300, 1e-300, 2.0**-1060, 1.0])
        numbers = rng.integers(1, 2**10, size) * scale
    shuffled: Floats = rng.permutation(numbers)
    return shuffled


def _values(rng: Generator, weights: Floats, kind: str) -> Floats:
    """Values (n,) for these weights: numbers of the same kind or small ones, in proportion, or concave in weight."""
    size = weights.size
    how = rng.integers(6)
    if how == 0:
        return rng.integers(1, 12, size).astype(np.float64)
    if how == 1:
        return weights.copy()
    values = _numbers(rng, size, kind)
    if how == 2:
        values = np.nextafter(weights, rng.choice([0.0, np.inf], size))
    elif how == 3:
        values = weights ** rng.choice([0.5, 0.9])
    return values


def _budget(rng: Generator, weights: Floats, most: float) -> float:
    """A budget in [0, most]: a subset's mass, its neighbours, that and a little more, or anything."""
    kind = rng.integers(8)
    subset = math.fsum(weights[rng.random(weights.size) < rng.random()])
    if kind == 0:
        subset = math.nextafter(subset, 0.0)
    elif kind == 1:
        subset = math.nextafter(subset, math.inf)
    elif kind == 2:
        subset += float(rng.choice(weights)) * rng.random()
    elif kind == 3:
        subset = float(weights.max()) * (0.5 + rng.random())
    elif kind == 4:
        subset = float(weights.sum()) * rng.random()
    return min(most, subset)


def _start(rng: Generator, weights: Floats, budget: float) -> NDArray[np.bool_]:
    """A set that fits: items in any order, as they fit, with some room to spare for the rounding of the sum."""
    start, room = np.zeros(weights.size, dtype=np.bool_), budget * (1.0 - 2.0**-40)
    for item in rng.permutation(weights.size).tolist():
        if weights[item] <= room:
            start[item], room = True, room - weights[item]
    return start
