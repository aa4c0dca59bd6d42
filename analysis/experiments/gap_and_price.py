"""How far a rule is from the optimum: step by step at the same budget, and over all steps at the same total mass."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack import DeferralProblem, Solution, certify, exact, surprisal
from proxyalign.knapsack.rationals import exact_sum, round_up

Floats = NDArray[np.float64]
CHECK_SECONDS = 10.0  # that the second method may take for one certificate


@dataclass(frozen=True)
class Interval:
    """A point estimate with the central 95 percent of its bootstrap distribution over questions."""

    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Step:
    """One visited distribution: what the rule collected, and the optimum at the same budget.

    budget, mass: probability mass allowed and spent; value, optimum, upper_bound: nats per token.
    """

    budget: float
    mass: float
    value: float
    optimum: float
    upper_bound: float
    is_optimal: bool
    method: str


def spent_budget(weights: Floats) -> float:
    """The budget that a set of tokens spends: the least float64 that their exact mass does not exceed, 1 at most.

    A budget of 1 buys every token, also where rounding makes a law sum to a little more.
    """
    return min(1.0, round_up(exact_sum(weights)))


def solve_step(p: Floats, deferred: NDArray[np.bool_], budget: float | None) -> Step:
    """The rule's set `deferred` (V,) on the row p (V,), and the exact optimum at the budget that the rule had.

    budget: the rule's own budget per step, or None for a rule without one, which is then compared at the mass that
    it spent (statement 5).
    """
    allowed = spent_budget(p[deferred]) if budget is None else budget
    problem = DeferralProblem.from_probs(p, budget=allowed)
    best: Solution = exact(problem)
    return Step(
        budget=allowed,
        mass=math.fsum(p[deferred]),
        value=math.fsum(problem.values[deferred]),
        optimum=best.value,
        upper_bound=best.upper_bound,
        is_optimal=best.is_optimal,
        method=best.method,
    )


def derived_anew(p: Floats, budget: float) -> bool:
    """Whether the certificate of the exact optimum of the row p (V,) at `budget` holds, by the second, plain method."""
    problem = DeferralProblem.from_probs(p, budget=budget)
    return bool(certify(problem, exact(problem)).check(problem, seconds=CHECK_SECONDS))


def resample(n_groups: int, n_resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each of the groups is drawn, with replacement, in each resample: (n_resamples, n_groups)."""
    return np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_resamples)


def interval(point: float, draws: Floats) -> Interval:
    """The point estimate with the 2.5 and 97.5 percentiles of its bootstrap draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(point, float(low), float(high))


def _per_group(amounts: Floats, group: NDArray[np.int64]) -> Floats:
    return np.bincount(group, weights=amounts, minlength=int(group.max()) + 1)


def optimality_gap(steps: Sequence[Step], group: NDArray[np.int64], *, n_resamples: int, seed: int) -> Interval:
    """The share of the optimal value that the rule leaves, each step at its own budget: 1 - sum v(rule) / sum OPT.

    group: (n,) the question of each step, numbered from 0; whole questions are resampled. A run in which nothing could
    be collected leaves nothing: its gap is 0.
    """
    value = _per_group(np.array([step.value for step in steps]), group)
    optimum = _per_group(np.array([step.optimum for step in steps]), group)
    counts = resample(len(value), n_resamples, seed)
    return interval(float(_missing(value.sum(), optimum.sum())), _missing(counts @ value, counts @ optimum))


def _missing(value: Floats, best: Floats) -> Floats:
    """1 - value / best, and 0 where there is nothing to collect."""
    return np.where(best > 0, 1 - value / np.where(best > 0, best, 1.0), 0.0)


@dataclass(frozen=True)
class Union:
    """The items of many steps as one knapsack (statement 14), sorted by density, each with the question it came from.

    mass, value: (m,) float64, least likely token first; group: (m,) the question of each item, numbered from 0.
    """

    mass: Floats
    value: Floats
    group: NDArray[np.int64]

    @classmethod
    def of(cls, p: Floats, group: NDArray[np.int64]) -> "Union":
        """The union of the rows p (n, V) float64, whose questions are group (n,)."""
        mass = p.ravel()
        kept = np.flatnonzero(mass > 0)
        order = kept[np.argsort(mass[kept], kind="stable")]
        return cls(mass[order], surprisal(mass[order]), np.repeat(group, p.shape[1])[order])

    def bound(self, budget: Floats, counts: NDArray[np.int64]) -> Floats:
        """Dantzig's bound on the best total value of each resampled union, (r,) nats.

        budget: (r,) the total mass that may be spent; counts: (r, groups) how often each question was drawn.
        """
        return _dantzig(self.mass, self.value, self.group, np.atleast_1d(budget), np.atleast_2d(counts))


@numba.njit
def _dantzig(
    mass: Floats, value: Floats, group: NDArray[np.int64], budget: Floats, counts: NDArray[np.int64]
) -> Floats:
    """The linear relaxation of statement 1 on sorted items that may be drawn several times."""
    bound = np.zeros(len(budget))
    for r in range(len(budget)):
        left = budget[r]
        for item in range(len(mass)):
            times = counts[r, group[item]]
            weight = times * mass[item]
            if weight > left:
                bound[r] += left * value[item] / mass[item]
                break
            bound[r] += times * value[item]
            left -= weight
    return bound


def price_of_step_budgets(
    steps: Sequence[Step], union: Union, group: NDArray[np.int64], *, n_resamples: int, seed: int
) -> tuple[Interval, float]:
    """Statement 14: the share of the best total value at the same total mass that the rule misses, and that best value.

    The best value is taken as the linear relaxation's, an upper bound that is tight to one item among all steps; so the
    price is never understated. Whole questions are resampled.
    """
    value = _per_group(np.array([step.value for step in steps]), group)
    mass = _per_group(np.array([step.mass for step in steps]), group)
    everything = np.ones((1, len(value)), dtype=np.int64)
    best = float(union.bound(np.array([mass.sum()]), everything)[0])
    counts = resample(len(value), n_resamples, seed)
    draws = _missing(counts @ value, union.bound(counts @ mass, counts))
    return interval(float(_missing(value.sum(), np.float64(best))), draws), best
