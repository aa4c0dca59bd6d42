"""Cases drawn so as to break things: laws with ties, zeros, subnormals; budgets that end on a prefix; any (v, w, b).

Everything is a function of a generator, so a case is known by its seed, its statement and its number.
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
SUBNORMAL = 5e-324
LAWS = (
    "any", "flat", "peaked", "tied", "neighbours", "with zeros", "subnormal", "one-hot", "uniform", "float32", "dyadic",
    "zipf", "dirichlet", "mixture",
)  # fmt: skip
NUMBERS = ("grid", "floats", "extremes", "large", "correlated", "subset sum", "inverse", "advantage", "neighbours")
MULTIPLIERS = (0.0, SUBNORMAL, 1e-300, 1e300)
RATES = (0.01, 0.1, 0.5, 1.0, 4.0)
SHAPES = (0.05, 0.3, 1.0, 5.0)
TIED = np.array([1.0, 2.0, 3.0, 8.0])
WITH_ZEROS = np.array([0.0, 0.0, 1.0, 2.5])
WITH_SUBNORMALS = np.array([SUBNORMAL, 2 * SUBNORMAL, 3 * SUBNORMAL, 1e-310, 0.0, 0.5, 1.0])
EXTREMES = np.array([0.0, SUBNORMAL, 1e-300, 0.1, 0.2, 0.3])


@dataclass(frozen=True, eq=False)
class Knapsack:
    """One step's knapsack: a law `p` with surprisal values, or values and weights of their own where `p` is None.

    kind: how it was drawn. p, q: laws (n,); values, weights: (n,) where p is None. budget and other_budget, alpha and
    other_alpha: in [0, 1] for a law. multiplier, other_multiplier: at least 0.
    """

    kind: str
    p: Floats | None
    q: Floats
    values: Floats
    weights: Floats
    budget: float
    other_budget: float
    alpha: float
    other_alpha: float
    multiplier: float
    other_multiplier: float

    @cached_property
    def problem(self) -> DeferralProblem:
        """The knapsack at the case's budget."""
        if self.p is not None:
            return DeferralProblem.from_probs(self.p, budget=self.budget)
        return DeferralProblem(self.values, self.weights, self.budget)

    def at(self, budget: float) -> DeferralProblem:
        """The knapsack at another budget."""
        return self.problem if budget == self.budget else self.problem.at_budget(budget)

    @cached_property
    def in_integers(self) -> IntegerKnapsack:
        """The same in whole numbers."""
        return IntegerKnapsack(self.problem.values, self.problem.weights, self.problem.budget)

    @cached_property
    def in_exact_order(self) -> bool:
        """Whether rising `p` is falling v / w; rounding -p log p can swap neighbours, and subnormal ones it does.

        The primal and the dual go by `p`, and then miss by a rounding what a statement says of v and w.
        """
        return self.p is None or self.in_integers.falls_along(np.argsort(self.p, kind="stable").tolist())

    def arrays(self) -> dict[str, Any]:
        """What `numpy.savez` keeps, in the form that `proxyalign solve --probs` reads."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("p",) if self.p is None else ("values", "weights"):
            del kept[name]
        return kept


@dataclass(frozen=True, eq=False)
class Laws:
    """Laws of base, proxy and truth (rows, V), sets to defer (rows, V), and the parameters that a rule takes.

    window: drafts a cycle. acceptance: of i.i.d. drafts, in [0, 1]. start, rate: lambda_1 and eta of the hybrid rule.
    """

    kind: str
    p: Floats
    q: Floats
    truth: Floats
    deferred: NDArray[np.bool_]
    budget: float
    alpha: float
    window: int
    acceptance: float
    start: float
    rate: float

    def arrays(self) -> dict[str, Any]:
        """What `numpy.savez` keeps: `base` is p, of which `p` is the first row, for `proxyalign solve --probs`."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**kept, "p": self.p[0], "base": self.p}


def _some(rng: Generator, numbers: Floats, size: int) -> Floats:
    """As `rng.choice(numbers, size)`, draw for draw, in a fifth of the time."""
    chosen: Floats = numbers[rng.integers(numbers.size, size=size)]
    return chosen


def _one(rng: Generator, numbers: tuple[float, ...]) -> float:
    """One of a few numbers, the one that `rng.choice(numbers)` would be."""
    return numbers[rng.integers(len(numbers))]


def law(rng: Generator, size: int, kind: str) -> Floats:
    """A next-token law (size,) of one kind out of LAWS."""
    raw: Floats
    if kind == "uniform":
        raw = np.ones(size)
    elif kind == "one-hot":
        raw = np.zeros(size)
        raw[rng.integers(size)] = 1.0
    elif kind == "flat":
        raw = rng.uniform(0.9, 1.1, size)
    elif kind == "peaked":
        raw = np.exp(rng.uniform(-60.0, 0.0, size))
    elif kind == "tied":
        raw = _some(rng, TIED, size)
    elif kind == "neighbours":  # equal up to a few units in the last place, which rounding of logarithms can swap
        tiny = 0.5 / size
        raw = tiny + math.ulp(tiny) * rng.integers(0, 6, size).astype(np.float64)
        raw[rng.integers(size)] += 1.0 - raw.sum()
        return raw
    elif kind == "with zeros":
        raw = _some(rng, WITH_ZEROS, size)
    elif kind == "subnormal":
        raw = _some(rng, WITH_SUBNORMALS, size)
    elif kind == "dyadic":  # sums to exactly 1
        cuts = np.sort(rng.integers(0, 2**12 + 1, size - 1)).astype(np.float64)
        return np.diff(np.concatenate([[0.0], cuts, [2.0**12]])) / 2.0**12
    elif kind == "zipf":
        raw = rng.permutation((1.0 + np.arange(size)) ** -rng.uniform(0.5, 2.0))
    elif kind == "dirichlet":
        raw = rng.gamma(_one(rng, SHAPES), size=size)
    elif kind == "mixture":
        parts = law(rng, size, "zipf"), law(rng, size, "dirichlet")
        raw = rng.random() * parts[0] + parts[1]
    else:
        raw = rng.random(size)
    total = np.add.reduce(raw)  # as raw.sum(), without its wrapper
    if not total > 1e-3:
        raw = raw + 1.0
        total = np.add.reduce(raw)
    made: Floats = raw / total
    return made.astype(np.float32).astype(np.float64) if kind == "float32" else made


def _budget(rng: Generator, weights: Floats, most: float) -> float:
    """A budget in [0, most]: an end, exactly the mass of some light items, its neighbour, or anything."""
    kind = rng.integers(8)
    if kind == 0:
        return _one(rng, (0.0, most))
    if kind <= 3:  # on a prefix by rising weight, rounded by turns as math.fsum and as a running sum round it
        n_taken = int(rng.integers(weights.size + 1))
        taken = np.sort(weights)[:n_taken]
        total = math.fsum(taken) if kind < 3 else float(np.cumsum(taken)[-1]) if n_taken else 0.0
        return min(most, max(0.0, math.nextafter(total, -1.0) if kind == 2 else total))
    if kind == 4:  # the mass of any set
        return min(most, math.fsum(weights[rng.random(weights.size) < 0.5]))
    return float(rng.random() * most * (1.0 if kind < 7 else 0.1))


def _alpha(rng: Generator, p: Floats) -> float:
    """A threshold in [0, 1]: an entry of `p`, its neighbour, an end, or anything."""
    kind = rng.integers(6)
    entry = float(p[rng.integers(p.size)])
    if kind <= 1:
        return min(1.0, entry)
    if kind == 2:
        return min(1.0, math.nextafter(entry, _one(rng, (0.0, 1.0))))
    if kind == 3:
        return _one(rng, (0.0, 1.0))
    return float(rng.random() if kind == 4 else rng.random() ** 4)


def _multiplier(rng: Generator, values: Floats, weights: Floats) -> float:
    """A price at least 0: the density of an item as floats have it, its neighbour, an extreme, or anything."""
    kind = rng.integers(6)
    if kind <= 2:
        item = rng.integers(values.size)
        with np.errstate(all="ignore"):
            density = float(values[item] / weights[item])
        if math.isfinite(density):
            return density if kind else math.nextafter(density, math.inf)
    if kind == 3:
        return _one(rng, MULTIPLIERS)
    return float(rng.exponential(3.0))


def knapsack_of(rng: Generator, p: Floats, q: Floats, kind: str, budget: float | None = None) -> Knapsack:
    """A case on the law `p`, with everything else drawn; `q` is another law."""
    problem = DeferralProblem.from_probs(p, budget=1.0)
    return Knapsack(
        kind=kind,
        p=p,
        q=q,
        values=problem.values,
        weights=problem.weights,
        budget=_budget(rng, p, 1.0) if budget is None else budget,
        other_budget=_budget(rng, p, 1.0),
        alpha=_alpha(rng, p),
        other_alpha=_alpha(rng, p),
        multiplier=_multiplier(rng, problem.values, p),
        other_multiplier=_multiplier(rng, problem.values, p),
    )


def law_knapsack(rng: Generator, most: int = 9) -> Knapsack:
    """A case with surprisal values over 1 to `most` tokens, now and then of some dozens."""
    kind = LAWS[rng.integers(len(LAWS))]
    size = int(rng.integers(13, 60)) if rng.random() < 0.01 else int(rng.integers(1, most + 1))
    return knapsack_of(rng, law(rng, size, kind), law(rng, size, LAWS[rng.integers(len(LAWS))]), kind)


def _numbers(rng: Generator, size: int, kind: str) -> tuple[Floats, Floats]:
    """Values and weights (size,) of one kind out of NUMBERS."""
    if kind == "grid":
        return rng.integers(0, 7, size) / 8.0, rng.integers(0, 7, size) / 8.0
    if kind == "extremes":
        return _some(rng, EXTREMES, size), _some(rng, EXTREMES, size)
    if kind == "neighbours":  # with quotients that are one float64 number though the ratios differ
        bits = rng.integers(0, 9, (2, size)).astype(np.float64)
        return 0.3 + math.ulp(0.3) * bits[0], 0.3 + math.ulp(0.3) * bits[1]
    if kind == "advantage":
        p, q = law(rng, size, "dirichlet"), law(rng, size, "dirichlet")
        problem = DeferralProblem.from_probs(p, budget=1.0, value_model="advantage", q=q)
        return problem.values.copy(), problem.weights.copy()
    weights = rng.integers(1, 1000, size) / 1000.0
    if kind == "correlated":
        return weights + 0.1, weights
    if kind == "subset sum":
        return weights, weights.copy()
    if kind == "inverse":
        return weights, weights + 0.1
    return rng.random(size) * (1e6 if kind == "large" else 1.0), rng.random(size) * (1e6 if kind == "large" else 1.0)


def any_knapsack(rng: Generator, most: int = 9) -> Knapsack:
    """A case of either sort: surprisal values of a law, or values, weights and a budget of their own."""
    if rng.random() < 0.5:
        return law_knapsack(rng, most)
    kind = NUMBERS[rng.integers(len(NUMBERS))]
    size = int(rng.integers(1, most + 1))
    values, weights = _numbers(rng, size, kind)
    most_mass = math.fsum(weights)
    return Knapsack(
        kind=kind,
        p=None,
        q=np.full(size, 1.0 / size),
        values=values,
        weights=weights,
        budget=_budget(rng, weights, most_mass),
        other_budget=_budget(rng, weights, most_mass),
        alpha=float(rng.random()),
        other_alpha=float(rng.random()),
        multiplier=_multiplier(rng, values, weights),
        other_multiplier=_multiplier(rng, values, weights),
    )


def laws_of(rng: Generator, p: Floats, q: Floats, truth: Floats, kind: str) -> Laws:
    """A case on these laws (rows, V), with everything else drawn: by turns a threshold's sets and any sets."""
    alpha = _alpha(rng, p[0])
    return Laws(
        kind=kind,
        p=p,
        q=q,
        truth=truth,
        deferred=p < alpha if rng.random() < 0.5 else rng.random(p.shape) < rng.random(),
        budget=min(_budget(rng, p[0], 1.0), math.nextafter(1.0, 0.0)),
        alpha=alpha,
        window=int(rng.integers(1, 4)),
        acceptance=_one(rng, (0.0, 1.0, math.nextafter(1.0, 0.0), rng.random(), rng.random())),
        start=_one(rng, (0.0, rng.exponential(2.0))),
        rate=_one(rng, RATES),
    )


def laws(rng: Generator, rows: int, size: int) -> Laws:
    """A case of `rows` laws over `size` tokens, each row of a kind of its own."""
    kinds = rng.integers(len(LAWS), size=3 * rows)
    drawn = np.stack([law(rng, size, LAWS[kind]) for kind in kinds]).reshape(3, rows, size)
    drawn /= drawn.sum(-1, keepdims=True)  # float32 laws sum to 1 only roughly, and then no two forms of A are one
    if rng.random() < 0.1:  # what the cascade leaves alone
        drawn[1] = drawn[0]
    return laws_of(rng, drawn[0], drawn[1], drawn[2], LAWS[kinds[0]])


def coarse(rng: Generator, rows: Floats, size: int) -> Floats:
    """Laws (n, size) on some tokens of the laws `rows` (n, V): the likeliest of the first row and others, normalised.

    Tokens of probability 0 are added where V is below `size`.
    """
    wide = np.pad(rows, [(0, 0), (0, max(0, size - rows.shape[-1]))])
    likely = np.argsort(-wide[0], kind="stable")[: rng.integers(1, size + 1)]
    others = np.setdiff1d(rng.choice(wide.shape[-1], min(wide.shape[-1], 2 * size), replace=False), likely)
    part = wide[:, np.concatenate([likely, others])[:size]]
    total = part.sum(-1, keepdims=True)
    return np.where(total > 0.0, part / np.where(total > 0.0, total, 1.0), 1.0 / size)
