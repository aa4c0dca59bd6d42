"""A proof of optimality that stands on its own: written down by whoever solved, checked by whoever doubts."""

import base64
import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.bounds import lp_bound
from proxyalign.knapsack.plain import exact_total, none_is_worth_more
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rational import exact_sum

FORMAT = "proxyalign optimality certificate 1"
CLEAR = 2.0**-40  # of an item's size: reduced costs nearer the limit than that are left to the core


@dataclass(frozen=True)
class Verdict:
    """What a check could show. True where all of it was shown.

    problem: the first thing that is wrong with the certificate, None where nothing is. value: of the set, exact;
    upper_bound: what no set within the budget is worth more than, as far as it was derived here, exact; n_fixed,
    n_core: items settled by the reduced-cost test, and left; not_derived: the part that was too long to derive
    again, None where all was.
    """

    problem: str | None
    value: Fraction
    upper_bound: Fraction
    n_fixed: int
    n_core: int
    not_derived: str | None

    def __bool__(self) -> bool:
        return self.problem is None and self.not_derived is None


@dataclass(frozen=True, eq=False)
class OptimalityCertificate:
    """The claim that no set within the budget is worth more than (1 + gap) times the value of this one.

    values, weights: (n,) float64 of the problem, with its budget. deferred: (n,) bool, the set. multiplier: lambda,
    value per weight, exact. fixed: (n,) bool, the items that every better set takes where v - lambda w is positive and
    leaves where it is not, since the other choice loses too much; the others are the core. gap: relative.
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    budget: float
    deferred: NDArray[np.bool_]
    multiplier: Fraction
    fixed: NDArray[np.bool_]
    gap: float

    def check(self, *, seconds: float = 60.0, max_states: int = 2_000_000) -> Verdict:
        """Derive the claim anew in exact rationals, without the search that found the set.

        (1) the set fits; (2) the Lagrangian bound L(lambda) of statement 4; (3) for each fixed item, that the other
        choice cannot beat the claim: L(lambda) - |v - lambda w| is at most (1 + gap) times the value; (4) where
        L(lambda) alone is above that, that no choice within the core beats it, by a plain second method that may cost
        `seconds` and hold `max_states`.
        """
        values, weights = ([Fraction(x) for x in column.tolist()] for column in (self.values, self.weights))
        taken, fixed = self.deferred.tolist(), self.fixed.tolist()
        budget, price = Fraction(self.budget), self.multiplier
        value = sum((v for v, is_in in zip(values, taken, strict=True) if is_in), Fraction(0))
        mass = sum((w for w, is_in in zip(weights, taken, strict=True) if is_in), Fraction(0))
        surplus = [v - price * w for v, w in zip(values, weights, strict=True)]
        bound = price * budget + sum((s for s in surplus if s > 0), Fraction(0))
        claim = value * (1 + Fraction(self.gap))
        n_fixed = int(self.fixed.sum())
        n_core = len(values) - n_fixed

        def verdict(problem: str | None, upper_bound: Fraction, not_derived: str | None = None) -> Verdict:
            return Verdict(problem, value, upper_bound, n_fixed, n_core, not_derived)

        if mass > budget:
            return verdict(f"the set weighs {float(mass)!r}, more than the budget of {self.budget!r}", bound)
        if bound <= claim:
            return verdict(None, bound)
        for item, (is_fixed, s) in enumerate(zip(fixed, surplus, strict=True)):
            if is_fixed and bound - abs(s) > claim:
                return verdict(f"item {item} is said to be fixed, but the other choice loses too little", bound)
        core = ~self.fixed
        inside = self.fixed & np.array([s > 0 for s in surplus])
        room = budget - exact_total(self.weights[inside])
        if room < 0:
            # What every better set has to hold does not fit, so there is none.
            return verdict(None, claim)
        threshold = claim - exact_total(self.values[inside])
        shown = none_is_worth_more(
            self.values[core], self.weights[core], room, threshold, price, seconds=seconds, max_states=max_states
        )
        if shown:
            return verdict(None, claim)
        return verdict(None, bound, f"that no choice among the core's {n_core} items is worth more than the claim")

    def to_json(self) -> str:
        """The certificate as a JSON object, problem included, to the last bit."""
        return json.dumps(
            {
                "format": FORMAT,
                "n": int(self.values.size),
                "values": _packed(self.values.astype("<f8")),
                "weights": _packed(self.weights.astype("<f8")),
                "budget": self.budget.hex(),
                "deferred": _packed(np.packbits(self.deferred)),
                "multiplier": str(self.multiplier),
                "fixed": _packed(np.packbits(self.fixed)),
                "gap": self.gap.hex(),
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> "OptimalityCertificate":
        """The certificate that `to_json` wrote. Raises InputError for anything else."""
        try:
            told = json.loads(text)
            if told["format"] != FORMAT:
                raise ValueError(f"format {told['format']!r}")
            n = int(told["n"])
            values, weights = (_unpacked(told[name], "<f8").astype(np.float64) for name in ("values", "weights"))
            deferred, fixed = (
                np.unpackbits(_unpacked(told[name], "u1"), count=n).astype(np.bool_) for name in ("deferred", "fixed")
            )
            multiplier, gap = Fraction(told["multiplier"]), float.fromhex(told["gap"])
            if not values.size == weights.size == deferred.size == fixed.size == n:
                raise ValueError("columns of several lengths")
            if not (multiplier >= 0 and 0.0 <= gap < np.inf):
                raise ValueError(f"multiplier {multiplier} and gap {gap}")
            problem = DeferralProblem(values, weights, float.fromhex(told["budget"]))
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as damage:
            raise InputError(
                f"OptimalityCertificate: text must be what to_json wrote, got one that cannot be read ({damage}); "
                "write it again with certify(problem, solution).to_json()"
            ) from damage
        return cls(problem.values, problem.weights, problem.budget, deferred, multiplier, fixed, gap)


def certify(problem: DeferralProblem, solution: Solution, gap: float = 1e-12) -> OptimalityCertificate:
    """Write down why `solution` is optimal to the relative `gap`: the best multiplier, and what it settles.

    solution: of `problem`, from any solver; nothing in it is believed but the set. Raises InputError where it is of
    another size, or the gap is negative or not finite.
    """
    if solution.deferred.shape != problem.weights.shape:
        raise InputError(
            f"certify: solution must be of the problem's {len(problem)} items, got one of {solution.deferred.size}; "
            "pass the solution of this problem"
        )
    if not 0.0 <= gap < np.inf:
        raise InputError(f"certify: gap must be finite and at least 0, got {gap}; pass the gap given to exact")
    bound = lp_bound(problem)
    value = exact_sum(problem.values[solution.deferred])
    price = float(min(bound.price, Fraction(2) ** 1000))
    slack = float(bound.bound - value * (1 + Fraction(gap)))
    with np.errstate(over="ignore", under="ignore"):
        costs = price * problem.weights
        reduced = np.abs(problem.values - costs) - CLEAR * (problem.values + costs)
    fixed = reduced > slack * (1.0 + CLEAR)
    return OptimalityCertificate(
        problem.values, problem.weights, problem.budget, solution.deferred, bound.price, fixed, gap
    )


def _packed(column: NDArray[Any]) -> str:
    return base64.b64encode(column.tobytes()).decode("ascii")


def _unpacked(text: str, dtype: str) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=dtype)
