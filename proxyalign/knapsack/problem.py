"""The knapsack of one decoding step, and what a solver hands back for it."""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxyalign.displays import as_card, as_line
from proxyalign.errors import InputError
from proxyalign.knapsack.arguments import real, vector
from proxyalign.knapsack.rationals import by_falling_ratio, exact_sum, round_up
from proxyalign.knapsack.sorting import rising
from proxyalign.knapsack.values import ValueModel, advantage, minus_log, probability_gap, surprisal

PROBABILITY_TOLERANCE = 1e-3  # float32 and half precision softmax outputs sum to 1 only roughly


@dataclass(frozen=True, eq=False)
class DeferralProblem:
    """Maximise sum(d * values) subject to sum(d * weights) <= budget over d in {0, 1}^n.

    values, weights: (n,) float64, finite, non-negative, NumPy's or torch's (converted, copied, made read-only); budget:
    at least 0, finite, in the unit of the weights (probability mass, for the problems that `from_probs` makes; values
    are then in nats), and rounded down where it is an int or a Fraction that no float64 equals, so that a set which
    fits the one fits the other. Raises InputError for anything else, and where the values or the weights add up to more
    than the largest float64, so that every sum of some of them is one.
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    budget: float
    value_model: ValueModel | None = field(default=None, init=False)  # None: values of the caller's own

    def __post_init__(self) -> None:
        values = vector("DeferralProblem", "values", self.values)
        weights = vector("DeferralProblem", "weights", self.weights)
        if values.shape != weights.shape:
            raise InputError(
                f"DeferralProblem: values and weights must have one shape, got {values.shape} and {weights.shape}; "
                "pass one value and one weight for each token"
            )
        budget = real("DeferralProblem", "budget", self.budget, "pass a mass")
        if not 0.0 <= budget < np.inf:
            raise InputError(f"DeferralProblem: budget must be finite and at least 0, got {budget}; pass a mass")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "budget", budget)

    @classmethod
    def from_probs(
        cls, p: ArrayLike, budget: float, value_model: ValueModel = "surprisal", q: ArrayLike | None = None
    ) -> "DeferralProblem":
        """The problem of deferring tokens of the next-token law `p`, with the plug-in estimate as the true law.

        p: (V,) real, non-negative, summing to 1 within 1e-3 (the base's law); budget: deferral mass in [0, 1].
        value_model: "surprisal", v = -p log p (0 at p = 0), so that the density is -log p; "advantage",
        v = p max(0, log q - log p); or "probability-gap", v = max(0, q - p). The latter two need the proxy's law
        `q` (V,). Weights are `p`; values are in nats, or in probability for the gap. float32 laws are converted as
        they are, rounding included: the optimum is that of the float64 numbers which equal them.
        A budget of 1 buys every token, also where rounding makes `p` sum to a little more than 1: the problem's
        budget is then that sum. Raises InputError for any other input.
        """
        if value_model not in get_args(ValueModel):
            raise InputError(
                f"DeferralProblem: value_model must be one of {', '.join(get_args(ValueModel))}, got {value_model!r}; "
                "for values of your own pass DeferralProblem(values, weights, budget)"
            )
        law = _law("p", p)
        mass = _mass(law, budget)
        if value_model == "surprisal":
            values = surprisal(law)
        else:
            if q is None:
                raise InputError(
                    f"DeferralProblem: value_model {value_model!r} needs the proxy's law, got q=None; pass q"
                )
            proxy = _law("q", q)
            if proxy.shape != law.shape:
                raise InputError(
                    f"DeferralProblem: p and q must have one shape, got {law.shape} and {proxy.shape}; "
                    "pass two laws over one vocabulary"
                )
            values = (advantage if value_model == "advantage" else probability_gap)(law, proxy)
        problem = cls(values=values, weights=law, budget=mass)
        object.__setattr__(problem, "value_model", value_model)
        return problem

    def __len__(self) -> int:
        return self.weights.size

    @cached_property
    def densities(self) -> NDArray[np.float64]:
        """(n,) value per unit of weight, infinite at weight 0 (such a token is deferred at no cost).

        For surprisal values it is -log p itself, which orders tokens as `p` does; else the float64 quotient.
        """
        if self.value_model == "surprisal":
            densities = minus_log(self.weights)
        else:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                densities = np.minimum(self.values / self.weights, np.finfo(np.float64).max)
        densities[self.weights == 0.0] = np.inf
        densities.setflags(write=False)
        return densities

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """(n,) token indices by falling density, compared without rounding, ties by the lowest index.

        For surprisal values that is -log p, so the order is by rising `p`; else it is v / w.
        """
        if self.value_model == "surprisal":
            order = rising(self.weights)
        else:
            order = rising(-self.densities)
            # Division rounds correctly: only densities with the same quotient can have another order.
            falling = self.densities[order]
            same = (falling[1:] == falling[:-1]) & (falling[1:] < np.inf)
            tied = np.append(same, False) | np.append(False, same)
            items = np.sort(order[tied])
            order[tied] = items[by_falling_ratio(self.values[items], self.weights[items])]
        order.setflags(write=False)
        return order

    def at_budget(self, budget: float) -> "DeferralProblem":
        """The same problem at another budget, without sorting again. Raises InputError as the constructor does.

        budget: as for `from_probs` where that made the problem: a mass in [0, 1], of which 1 buys every token.
        """
        mass = budget if self.value_model is None else _mass(self.weights, budget)
        other = DeferralProblem(self.values, self.weights, mass)
        object.__setattr__(other, "value_model", self.value_model)
        for name in ("order", "densities"):
            other.__dict__[name] = getattr(self, name)
        return other

    def solution(
        self, deferred: NDArray[np.bool_], upper_bound: Fraction, gap: float, method: str, *, within: bool = True
    ) -> "Solution":
        """The `Solution` that defers this set, with value and mass added up exactly, judged against `upper_bound`.

        deferred: (n,) bool; upper_bound: a proved bound on the optimum; gap: relative, see `exact`; within: whether the
        set has to fit the budget, as all do but those of methods that do not read it. Every solver's answer passes
        here, so a claim that its own set refutes goes no further: raises RuntimeError, which is a defect of the method,
        for a set above the budget and for one that is worth more than the bound.
        """
        value, mass = exact_sum(self.values[deferred]), exact_sum(self.weights[deferred])
        if within and mass > self.budget:
            raise RuntimeError(
                f"{method}: its set weighs {float(mass)!r}, more than the budget of {self.budget!r}; please report this"
            )
        if value > upper_bound:
            raise RuntimeError(
                f"{method}: its set is worth {float(value)!r}, more than its upper bound of {round_up(upper_bound)!r}; "
                "please report this"
            )
        chosen = deferred.copy()
        chosen.setflags(write=False)
        return Solution(
            deferred=chosen,
            value=float(value),
            mass=float(mass),
            upper_bound=round_up(upper_bound),
            is_optimal=upper_bound - value <= Fraction(gap) * value,
            method=method,
        )


@dataclass(frozen=True, eq=False)
class Solution:
    """A deferral set and what is proved about it.

    deferred: (n,) bool, read-only. value: total value (nats for `from_probs`), mass: total weight, both the exact
    sums rounded once to the nearest float64. upper_bound: no set within the budget is worth more than this, rounded
    up; never below `value`, and above it in an optimum too where the exact value is no float64.
    is_optimal: the proved bound is within the solver's relative gap of the value, compared before any rounding.
    method: the solver's name.
    """

    deferred: NDArray[np.bool_]
    value: float
    mass: float
    upper_bound: float
    is_optimal: bool
    method: str

    @property
    def n_deferred(self) -> int:
        """How many tokens are deferred."""
        return int(self.deferred.sum())

    def _facts(self) -> dict[str, str]:
        proved = "proved optimal" if self.is_optimal else "not proved optimal"
        return {
            "deferred": f"{self.n_deferred} of {self.deferred.size}", "value": f"{self.value:.6g}",
            "mass": f"{self.mass:.6g}", "at most": f"{self.upper_bound:.6g}, {proved}",
        }  # fmt: skip

    def __repr__(self) -> str:
        return as_line(f"Solution by {self.method}", self._facts())

    def _repr_html_(self) -> str:
        """The solution in a notebook, without its set."""
        return as_card(f"Solution by {self.method}", self._facts())


def _mass(law: NDArray[np.float64], budget: float) -> float:
    """The budget that a mass in [0, 1] is for this law: 1 is all of it, to the last bit; InputError for any other."""
    mass = real("DeferralProblem", "budget", budget, "pass a probability mass")
    if not 0.0 <= mass <= 1.0:
        raise InputError(f"DeferralProblem: budget must be in [0, 1], got {mass}; pass a probability mass")
    return max(mass, round_up(exact_sum(law))) if mass == 1.0 else mass


def _law(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """`given` as a probability vector, or InputError where its sum is further than 1e-3 from 1."""
    law = vector("DeferralProblem", name, given)
    total = float(law.sum())
    if not abs(total - 1.0) <= PROBABILITY_TOLERANCE:
        raise InputError(
            f"DeferralProblem: {name} must sum to 1 within {PROBABILITY_TOLERANCE:g}, got {total:.9g}; "
            "apply a softmax to logits, or divide by the sum"
        )
    return law
