"""A proof of optimality that stands on its own: written down by whoever solved, checked by whoever doubts."""

import base64
import json
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.displays import as_card, as_line
from proxyalign.errors import InputError
from proxyalign.knapsack import arguments
from proxyalign.knapsack.bounds import lp_bound
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.proof.refutation import exact_total, none_is_worth_more
from proxyalign.knapsack.rationals import exact_sum, round_up

FORMAT = "proxyalign optimality certificate 1"
CLEAR = 2.0**-40  # of an item's size: reduced costs nearer the limit than that are left to the core
FAINT = 2.0**-1000  # of the largest value: what underflows
MOST_BITS = 4096  # of a multiplier above and below its fraction line: v / w of two float64 numbers has 2200 at most
MULTIPLIER = re.compile(r"[0-9]{1,1234}(/[0-9]{1,1234})?")  # 4096 bits, and no exponent, which may be any number


@dataclass(frozen=True)
class Verdict:
    """What a check could show. True where all of it was shown.

    problem: the first thing that is wrong with the certificate, None where nothing is. value: of the set, exact;
    upper_bound: what no set within the budget is worth more than, as far as it was derived here, exact; n_fixed,
    n_core: items settled by the reduced-cost test, and left; not_derived: the part that was too long to derive
    again, None where all was. All four numbers are 0 where a field is of no use, since nothing was derived.
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

    def _facts(self) -> dict[str, str]:
        n_core = self.fixed.size - int(self.fixed.sum())
        return {
            "claim": f"no set within the budget is worth more than (1 + {self.gap:g}) times this one",
            "set": f"{int(self.deferred.sum())} of {self.deferred.size} items", "budget": f"{self.budget:g}",
            "multiplier": f"{round_up(self.multiplier):.6g}", "core": f"{n_core} items that it does not settle",
        }  # fmt: skip

    def __repr__(self) -> str:
        return as_line("OptimalityCertificate", self._facts())

    def _repr_html_(self) -> str:
        """The certificate in a notebook, without its numbers; `check` derives it anew."""
        return as_card("OptimalityCertificate", self._facts())

    def check(
        self,
        problem: DeferralProblem | None = None,
        gap: float | None = None,
        *,
        seconds: float | None = 60.0,
        max_states: int = 2_000_000,
    ) -> Verdict:
        """Derive the claim anew in exact rationals, without the search that found the set, and trusting no field.

        problem: what the certificate has to be about, number for number; None for whatever problem it tells. gap: what
        its own may be at most; None for any, so that the claim may be a weak one. Fields that cannot be used, another
        problem and a larger gap are told by the verdict, as every other fault is. Then
        (1) the set fits; (2) the Lagrangian bound L(lambda) of statement 4; (3) for each fixed item, that the other
        choice cannot beat the claim: L(lambda) - |v - lambda w| is at most (1 + gap) times the value; (4) where
        L(lambda) alone is above that, that no choice within the core beats it, by a plain second method that may cost
        `seconds` and hold `max_states`. Raises InputError for a problem, a gap or a limit that is none.
        """
        if problem is not None and not isinstance(problem, DeferralProblem):
            raise InputError(
                f"check: problem must be a DeferralProblem, got {arguments.shown(problem)}; pass the one solved"
            )
        asked = None if gap is None else arguments.gap("check", gap)
        limit = arguments.time_limit("check", seconds, name="seconds")
        max_states = arguments.whole("check", "max_states", max_states, "leave it out for two million")
        fault = self._fault()
        if fault is not None:
            return Verdict(fault, Fraction(0), Fraction(0), 0, 0, None)
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

        def verdict(fault: str | None, upper_bound: Fraction, not_derived: str | None = None) -> Verdict:
            return Verdict(fault, value, upper_bound, n_fixed, n_core, not_derived)

        if problem is not None and not self._is_about(problem):
            return verdict("it is about other values, weights or another budget than those of the problem", bound)
        if asked is not None and self.gap > asked:
            return verdict(f"its gap of {self.gap!r} is more than the {asked!r} asked for", bound)
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
            self.values[core],
            self.weights[core],
            room,
            threshold,
            price,
            seconds=math.inf if limit is None else limit,
            max_states=max_states,
        )
        if shown:
            return verdict(None, claim)
        return verdict(None, bound, f"that no choice among the core's {n_core} items is worth more than the claim")

    def _is_about(self, problem: DeferralProblem) -> bool:
        return (
            np.array_equal(self.values, problem.values)
            and np.array_equal(self.weights, problem.weights)
            and self.budget == problem.budget
        )

    def _fault(self) -> str | None:
        """Why a field is of no use, whatever the problem; None where all can be read as they are declared."""
        for name, dtype in (("values", "float64"), ("weights", "float64"), ("deferred", "bool"), ("fixed", "bool")):
            column = getattr(self, name)
            if type(column) is not np.ndarray or column.dtype != dtype or column.ndim != 1:
                return f"{name} must be a row (n,) of dtype {dtype}, got {arguments.shown(column)}"
        if not self.values.shape == self.weights.shape == self.deferred.shape == self.fixed.shape:
            sizes = [column.size for column in (self.values, self.weights, self.deferred, self.fixed)]
            return f"values, weights, deferred and fixed must be of one length, got {sizes}"
        for name in ("budget", "gap"):
            if not isinstance(getattr(self, name), float) or not 0.0 <= getattr(self, name) < math.inf:
                return f"{name} must be a float, finite and at least 0, got {arguments.shown(getattr(self, name))}"
        price = self.multiplier
        if type(price) is not Fraction or price < 0:
            return f"multiplier must be a Fraction of at least 0, got {arguments.shown(price)}"
        if max(price.numerator.bit_length(), price.denominator.bit_length()) > MOST_BITS:
            return f"multiplier must be a ratio of integers of at most {MOST_BITS} bits, got larger ones"
        try:
            DeferralProblem(self.values, self.weights, self.budget)
        except InputError as unusable:
            return str(unusable)
        return None

    def to_json(self) -> str:
        """The certificate as a JSON object, problem included, to the last bit. InputError for unusable fields."""
        fault = self._fault()
        if fault is not None:
            raise InputError(f"OptimalityCertificate: {fault}; make it by certify(problem, solution)")
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
                raise ValueError(f"format {arguments.shown(told['format'])}")
            n = told["n"]
            values, weights = (_unpacked(told[name], "<f8").astype(np.float64) for name in ("values", "weights"))
            packed = [_unpacked(told[name], "u1") for name in ("deferred", "fixed")]
            # Before anything of length n is made: a text can tell any n.
            if (
                type(n) is not int
                or not values.size == weights.size == n
                or any(8 * x.size - n not in range(8) for x in packed)
            ):
                raise ValueError("columns of several lengths")
            deferred, fixed = (np.unpackbits(column, count=n).astype(np.bool_) for column in packed)
            if not MULTIPLIER.fullmatch(told["multiplier"]):
                raise ValueError(f"multiplier {arguments.shown(told['multiplier'])}")
            budget, gap = float.fromhex(told["budget"]), float.fromhex(told["gap"])
            certificate = cls(values, weights, budget, deferred, Fraction(told["multiplier"]), fixed, gap)
            fault = certificate._fault()
            if fault is not None:
                raise ValueError(fault)
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as damage:
            raise InputError(
                f"OptimalityCertificate: text must be what to_json wrote, got one that cannot be read ({damage}); "
                "write it again with certify(problem, solution).to_json()"
            ) from damage
        return certificate


def certify(problem: DeferralProblem, solution: Solution, gap: float = 1e-12) -> OptimalityCertificate:
    """Write down why `solution` is optimal to the relative `gap`: the best multiplier, and what it settles.

    solution: of `problem`, from any solver; nothing in it is believed but the set. Raises InputError where it is of
    another size, or the gap is negative or not finite.
    """
    if solution.deferred.shape != problem.weights.shape or solution.deferred.dtype != np.bool_:
        raise InputError(
            f"certify: solution must be of the problem's {len(problem)} items, got one of {solution.deferred.size}; "
            "pass the solution of this problem"
        )
    gap = arguments.gap("certify", gap, "pass the gap given to exact")
    bound = lp_bound(problem)
    slack = bound.bound - exact_sum(problem.values[solution.deferred]) * (1 + Fraction(gap))
    return OptimalityCertificate(
        problem.values,
        problem.weights,
        problem.budget,
        solution.deferred,
        bound.price,
        _settled(problem, bound.price, slack),
        gap,
    )


def _settled(problem: DeferralProblem, price: Fraction, slack: Fraction) -> NDArray[np.bool_]:
    """(n,) bool: |v - price w| is more than `slack`, as far as floats can tell for sure."""
    # In units of about the largest value: products of mantissas, so that no exponent of price or weight is too large.
    unit = int(np.frexp(problem.values.max())[1])
    power = price.numerator.bit_length() - price.denominator.bit_length()
    mantissas, exponents = np.frexp(problem.weights)
    with np.errstate(over="ignore", under="ignore"):
        values = np.ldexp(problem.values, -unit)
        costs = np.ldexp(mantissas * float(price / Fraction(2) ** power), exponents + (power - unit))
        costs = np.minimum(costs, 1.0 / FAINT)  # above any value by far
        reduced = np.abs(values - costs) - CLEAR * (values + costs)
        settled: NDArray[np.bool_] = reduced > round_up(slack / Fraction(2) ** unit) * (1.0 + CLEAR) + FAINT
    return settled


def _packed(column: NDArray[Any]) -> str:
    return base64.b64encode(column.tobytes()).decode("ascii")


def _unpacked(text: str, dtype: str) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=dtype)
