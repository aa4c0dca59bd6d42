"""Bounds on the optimum: the linear relaxation, the Lagrangian dual function, and certificates in exact rationals."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.problem import DeferralProblem
from proxyalign.knapsack.rational import exact_sum, prefix_that_fits, round_up


@dataclass(frozen=True)
class LPBound:
    """The optimum of the linear relaxation (statement 1), where at most the critical item is fractional.

    value: U = G + (b - W) e_c, rounded up, so it bounds the integer optimum; multiplier: lambda* = e_c, 0 without a
    critical item; critical: index of the first item by falling density that does not fit, None where all fit;
    n_prefix items before it have the value G (prefix_value) and the weight W (prefix_weight);
    gap: (b - W) e_c, what the prefix can lack at most (statement 2), rounded up.
    """

    value: float
    multiplier: float
    critical: int | None
    n_prefix: int
    prefix_value: float
    prefix_weight: float
    gap: float


def lp_bound(problem: DeferralProblem) -> LPBound:
    """Dantzig's solution of the linear relaxation (statement 1), in exact arithmetic, rounded once."""
    n_prefix = prefix_that_fits(problem.weights[problem.order], problem.budget)
    prefix = problem.order[:n_prefix]
    value, weight = exact_sum(problem.values[prefix]), exact_sum(problem.weights[prefix])
    critical = int(problem.order[n_prefix]) if n_prefix < len(problem) else None
    gap, multiplier = Fraction(0), 0.0
    if critical is not None:
        density = Fraction(float(problem.values[critical])) / Fraction(float(problem.weights[critical]))
        gap = (Fraction(problem.budget) - weight) * density
        multiplier = float(problem.densities[critical])
    return LPBound(
        value=round_up(value + gap),
        multiplier=multiplier,
        critical=critical,
        n_prefix=n_prefix,
        prefix_value=float(value),
        prefix_weight=float(weight),
        gap=round_up(gap),
    )


def dual_function(problem: DeferralProblem, multiplier: float) -> float:
    """L(lambda) = lambda b + sum max(0, v - lambda w), rounded up: at least the optimum (statement 4).

    multiplier: lambda >= 0, finite, in value per weight. Raises InputError otherwise.
    """
    return round_up(certificate(problem, multiplier).bound)


@dataclass(frozen=True)
class Certificate:
    """A proof by weak duality that no set within the budget is worth more than `bound` (statement 4).

    multiplier: lambda, a float64 and so a rational; bound: L(lambda), the exact rational.
    """

    multiplier: float
    bound: Fraction

    @property
    def upper_bound(self) -> float:
        """`bound` rounded up to float64."""
        return round_up(self.bound)

    def check(self, problem: DeferralProblem) -> bool:
        """Whether the bound holds for `problem`: L(lambda), added up anew item by item, is not above `bound`.

        Plain rational arithmetic, a second route that shares no code with the one that made the certificate.
        """
        if not 0.0 <= self.multiplier < math.inf:
            return False
        price = Fraction(self.multiplier)
        bound = price * Fraction(problem.budget)
        for value, weight in zip(problem.values.tolist(), problem.weights.tolist(), strict=True):
            bound += max(Fraction(0), Fraction(value) - price * Fraction(weight))
        return bound <= self.bound


def certificate(problem: DeferralProblem, multiplier: float | None = None) -> Certificate:
    """The bound L(lambda) in exact rationals; without a multiplier, at lambda* = e_c, where it is least.

    multiplier: lambda >= 0, finite, in value per weight. Raises InputError otherwise.
    """
    price = lp_bound(problem).multiplier if multiplier is None else float(multiplier)
    if not 0.0 <= price < math.inf:
        raise InputError(f"certificate: multiplier must be finite and at least 0, got {price}; pass -log(alpha)")
    paying = worth_more(problem, price)
    surplus = exact_sum(problem.values[paying]) - Fraction(price) * exact_sum(problem.weights[paying])
    return Certificate(multiplier=price, bound=Fraction(price) * Fraction(problem.budget) + surplus)


def worth_more(problem: DeferralProblem, multiplier: float) -> NDArray[np.bool_]:
    """(n,) bool: v > lambda w, decided exactly: floats decide all but the items within their rounding."""
    with np.errstate(over="ignore", under="ignore"):
        costs = multiplier * problem.weights
    paying = problem.values > costs
    # The product is off by half a unit in the last place, or by the least subnormal.
    doubtful = np.abs(problem.values - costs) <= costs * 2.0**-51 + 5e-324
    for item in np.flatnonzero(doubtful).tolist():
        value, weight = Fraction(float(problem.values[item])), Fraction(float(problem.weights[item]))
        paying[item] = value > Fraction(multiplier) * weight
    return paying
