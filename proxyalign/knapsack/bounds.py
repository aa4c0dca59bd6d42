"""Bounds on the optimum: the linear relaxation, the Lagrangian dual function, and certificates in exact rationals."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.displays import as_card, as_line
from proxyalign.errors import InputError
from proxyalign.knapsack.arguments import real, shown
from proxyalign.knapsack.problem import DeferralProblem
from proxyalign.knapsack.rationals import by_falling_ratio, exact_sum, prefix_that_fits, round_up


@dataclass(frozen=True)
class LPBound:
    """The optimum of the linear relaxation (statement 1), where at most the critical item is fractional.

    value: U = G + (b - W) e_c, rounded up, so it bounds the integer optimum; multiplier: lambda* = e_c as `densities`
    has it, 0 without a critical item; critical: index of the first item by falling density that does not fit, None
    where all fit; n_prefix items before it have the value G (prefix_value) and the weight W (prefix_weight);
    gap: (b - W) e_c, what the prefix can lack at most (statement 2), rounded up; bound and price: U and
    lambda* = v_c / w_c without rounding, so that L(price) = bound (statement 4).

    Density is v / w of the float64 numbers as they are, compared without rounding. Rounding -p log p to float64 can
    swap tokens of nearly the same `p`, and then this prefix is not quite that of `primal`.
    """

    value: float
    multiplier: float
    critical: int | None
    n_prefix: int
    prefix_value: float
    prefix_weight: float
    gap: float
    bound: Fraction
    price: Fraction


def lp_bound(problem: DeferralProblem) -> LPBound:
    """Dantzig's solution of the linear relaxation (statement 1), in exact arithmetic, rounded once."""
    order, n_prefix = _by_quotient(problem)
    prefix = order[:n_prefix]
    value, weight = exact_sum(problem.values[prefix]), exact_sum(problem.weights[prefix])
    critical = int(order[n_prefix]) if n_prefix < len(problem) else None
    price, multiplier = Fraction(0), 0.0
    if critical is not None:
        price = quotient(problem, critical)
        multiplier = float(problem.densities[critical])
    gap = (Fraction(problem.budget) - weight) * price
    return LPBound(
        value=round_up(value + gap),
        multiplier=multiplier,
        critical=critical,
        n_prefix=n_prefix,
        prefix_value=float(value),
        prefix_weight=float(weight),
        gap=round_up(gap),
        bound=value + gap,
        price=price,
    )


def quotient(problem: DeferralProblem, item: int) -> Fraction:
    """v / w of one item whose weight is not 0, without rounding."""
    return Fraction(float(problem.values[item])) / Fraction(float(problem.weights[item]))


def _by_quotient(problem: DeferralProblem) -> tuple[NDArray[np.intp], int]:
    """(n,) indices, by falling v / w as far as the linear relaxation can tell, and how many of them fit the budget."""
    order = problem.order
    n_prefix = prefix_that_fits(problem.weights[order], problem.budget)
    if problem.value_model != "surprisal" or n_prefix == len(problem):
        return order, n_prefix
    # The order is by p, but the values are rounded. Division rounds correctly, so different quotients tell the order:
    # only items between the least quotient up to the critical item and the greatest from it on can change sides.
    free, weighty = np.split(order, [np.searchsorted(problem.weights[order], 0.0, side="right")])
    quotients = problem.values[weighty] / problem.weights[weighty]
    place = n_prefix - free.size
    low, high = quotients[: place + 1].min(), quotients[place:].max()
    unsure = weighty[(low <= quotients) & (quotients <= high)]
    if np.ptp(problem.weights[unsure]) == 0.0:  # one item, or equal ones
        return order, n_prefix
    settled = unsure[by_falling_ratio(problem.values[unsure], problem.weights[unsure])]
    order = np.concatenate([free, weighty[quotients > high], settled, weighty[quotients < low]])
    return order, prefix_that_fits(problem.weights[order], problem.budget)


def dual_function(problem: DeferralProblem, multiplier: float | Fraction) -> float:
    """L(lambda) = lambda b + sum max(0, v - lambda w), rounded up: at least the optimum (statement 4).

    multiplier: lambda >= 0, finite, in value per weight; a Fraction is taken as it is. Raises InputError otherwise.
    """
    return round_up(certificate(problem, multiplier).bound)


@dataclass(frozen=True)
class Certificate:
    """A proof by weak duality that no set within the budget is worth more than `bound` (statement 4).

    multiplier: lambda, a rational, as every float64 is one; bound: L(lambda), the exact rational.
    """

    multiplier: float | Fraction
    bound: Fraction

    @property
    def upper_bound(self) -> float:
        """`bound` rounded up to float64."""
        return round_up(self.bound)

    def _facts(self) -> dict[str, str]:
        price = round_up(self.multiplier) if isinstance(self.multiplier, Fraction) else self.multiplier
        return {
            "multiplier": f"{price:.6g}",
            "no set is worth more than": f"{self.upper_bound:.6g}",
        }

    def __repr__(self) -> str:
        return as_line("Certificate", self._facts())

    def _repr_html_(self) -> str:
        """The certificate in a notebook, its rationals rounded; `check` derives it anew."""
        return as_card("Certificate", self._facts())

    def check(self, problem: DeferralProblem) -> bool:
        """Whether the bound holds for `problem`: L(lambda), added up anew item by item, is not above `bound`.

        Plain rational arithmetic, a second route that shares no code with the one that made the certificate.
        """
        told: tuple[Any, Any] = (self.multiplier, self.bound)  # by anyone
        if (
            not isinstance(told[0], float | Fraction)
            or not 0.0 <= told[0] < math.inf
            or not isinstance(told[1], Fraction)
        ):
            return False
        price = Fraction(self.multiplier)
        bound = price * Fraction(problem.budget)
        for value, weight in zip(problem.values.tolist(), problem.weights.tolist(), strict=True):
            bound += max(Fraction(0), Fraction(value) - price * Fraction(weight))
        return bound <= self.bound


def certificate(problem: DeferralProblem, multiplier: float | Fraction | None = None) -> Certificate:
    """The bound L(lambda) in exact rationals; without a multiplier, at lambda* = e_c, where it is least.

    multiplier: lambda >= 0, finite, in value per weight; a Fraction is taken as it is. Raises InputError otherwise.
    """
    if multiplier is None:
        multiplier = lp_bound(problem).price
    if not isinstance(multiplier, Fraction):
        multiplier = real("certificate", "multiplier", multiplier, "pass -log(alpha)")
    if not 0.0 <= multiplier < math.inf:
        raise InputError(
            f"certificate: multiplier must be finite and at least 0, got {shown(multiplier)}; pass -log(alpha)"
        )
    price = Fraction(multiplier)
    paying = worth_more(problem, price)
    surplus = exact_sum(problem.values[paying]) - price * exact_sum(problem.weights[paying])
    return Certificate(multiplier=multiplier, bound=price * Fraction(problem.budget) + surplus)


def worth_more(problem: DeferralProblem, price: Fraction) -> NDArray[np.bool_]:
    """(n,) bool: v > lambda w for lambda = `price` >= 0, decided exactly, and by floats wherever they can tell."""
    high = round_up(price)
    low = high if high == price else math.nextafter(high, 0.0)
    values, weights = problem.values, problem.weights
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # Products round correctly, so a value above the rounded product is above the true one, and so below.
        paying = np.where(weights > 0.0, values > high * weights, values > 0.0)
        doubtful = (values >= low * weights) & ~paying & (values > 0.0)
    # Where a model computes in 32 or 16 bits, many items are the same.
    pairs, which = np.unique(values[doubtful] + 1j * weights[doubtful], return_inverse=True)
    is_dear = [Fraction(pair.real) > price * Fraction(pair.imag) for pair in pairs.tolist()]
    paying[doubtful] = np.array(is_dear, dtype=np.bool_)[which]
    return paying
