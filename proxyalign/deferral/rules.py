"""The deferral rules: one frozen dataclass each, which reads next-token laws and says which tokens are redrawn.

A rule acts on the last axis alone: every row (one position of one sequence) is decided from itself, whatever the
leading shape. `p` is the base's law, `q` the proxy's, both at temperature 1: floats (..., V), rows summing to 1.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from proxyalign.deferral import policy
from proxyalign.deferral.prefix import longest_prefix
from proxyalign.errors import InputError


def _check_unit(owner: str, argument: str, value: float, remedy: str) -> None:
    """Raise InputError unless `value` is a number in [0, 1]; NaN is not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise InputError(f"{owner}: {argument} must be a number in [0, 1], got {value!r}; {remedy}")


class Rule:
    """What every rule has: a name, what it reads, and the law that it makes of `p` and `q`.

    needs: "p" where the decision reads the base alone, which lets the proxy stay idle until a token is deferred and
    makes the free bonus of statement 11 possible; "p q" where it reads the proxy as well.
    constant: True or False where the decision is the same for every token of every law, else None.
    """

    name: ClassVar[str]
    needs: ClassVar[str] = "p"
    constant: ClassVar[bool | None] = None

    def parameters(self) -> dict[str, float]:
        """The rule's parameters by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={value:g}" for key, value in self.parameters().items())
        return f"{self.name}({inside})"

    def defer(self, p: Tensor, q: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> deferred (..., V) bool, each row from itself alone."""
        raise InputError(f"{self.name} defers nothing, since it has no proxy; use its target(p, q)")

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> pi (..., V), the law of an emitted token; q0, the unaligned proxy's law, is not read."""
        return policy.cascade(p, q, self.defer(p, q))


@dataclass(frozen=True)
class Never(Rule):
    """Defer nothing: the base alone."""

    name: ClassVar[str] = "never"
    constant: ClassVar[bool | None] = False

    def defer(self, p: Tensor, q: Tensor | None = None) -> Tensor:
        """p (..., V) -> all False (..., V)."""
        return torch.zeros_like(p, dtype=torch.bool)


@dataclass(frozen=True)
class Always(Rule):
    """Defer everything: the proxy alone."""

    name: ClassVar[str] = "always"
    constant: ClassVar[bool | None] = True

    def defer(self, p: Tensor, q: Tensor | None = None) -> Tensor:
        """p (..., V) -> all True (..., V)."""
        return torch.ones_like(p, dtype=torch.bool)


@dataclass(frozen=True)
class Dual(Rule):
    """Defer every token less likely than `alpha` (Kad's dual approximation; statements 5 to 7).

    alpha: probability in [0, 1], exp(-lambda) of the Lagrangian; 0 defers nothing, 1 keeps only a certain token.
    """

    alpha: float
    name: ClassVar[str] = "dual"

    def __post_init__(self) -> None:
        _check_unit("Dual", "alpha", self.alpha, "pass exp(-lambda), not lambda")

    def defer(self, p: Tensor, q: Tensor | None = None) -> Tensor:
        """p (..., V) -> d_y = 1 iff p_y < alpha, compared as float64 numbers whatever the dtype of `p`."""
        return _widen(p) < _threshold(self.alpha, p.dtype)


@dataclass(frozen=True)
class Nudging(Rule):
    """Defer every token of a step whose likeliest token is less likely than `alpha` (Fei et al., ACL 2025, per token).

    alpha: probability in [0, 1]; 0 never defers, 1 spares a certain token alone.
    """

    alpha: float
    name: ClassVar[str] = "nudging"

    def __post_init__(self) -> None:
        _check_unit("Nudging", "alpha", self.alpha, "it is the least top probability that the base is trusted with")

    def defer(self, p: Tensor, q: Tensor | None = None) -> Tensor:
        """p (..., V) -> d_y = 1 for all y iff max p < alpha, compared as float64 numbers."""
        return (_widen(p).amax(-1, keepdim=True) < _threshold(self.alpha, p.dtype)).expand(p.shape)


@dataclass(frozen=True)
class Primal(Rule):
    """Defer the least likely tokens, as many as fit `budget` (Kad's primal approximation; statements 1 to 3 and 6).

    budget: deferral mass allowed at each step, in [0, 1]; 0 defers only impossible tokens, 1 defers everything.
    """

    budget: float
    name: ClassVar[str] = "primal"

    def __post_init__(self) -> None:
        _check_unit("Primal", "budget", self.budget, "it is the probability mass that a step may defer")

    def defer(self, p: Tensor, q: Tensor | None = None) -> Tensor:
        """p (..., V) -> the longest prefix by rising p, ties by lowest index, whose exact sum fits the budget."""
        if self.budget >= 1.0:  # a law that sums to 1 by its own lights may sum to more in float64
            return torch.ones_like(p, dtype=torch.bool)
        return longest_prefix(p, self.budget)


@dataclass(frozen=True)
class Exact(Rule):
    """Defer the set of largest total surprisal that fits `budget`: the integer optimum of every step's knapsack.

    budget: deferral mass allowed at each step, in [0, 1]. Solved row by row on the CPU (`knapsack.exact`). On the rare
    row for which the solver would need more than 64 MiB it takes the best set found, which may miss a last digit; no
    clock decides, so that a seed gives the same text everywhere.
    """

    budget: float
    name: ClassVar[str] = "exact"

    def __post_init__(self) -> None:
        _check_unit("Exact", "budget", self.budget, "it is the probability mass that a step may defer")

    def defer(self, p: Tensor, q: Tensor | None = None) -> Tensor:
        """p (..., V) -> an optimal solution (..., V) of max sum d (-p log p) subject to sum d p <= budget."""
        if self.budget >= 1.0:  # as in Primal
            return torch.ones_like(p, dtype=torch.bool)
        from proxyalign import knapsack  # here, since the solvers are slow to load

        rows = p.double().reshape(-1, p.shape[-1]).cpu().numpy()
        problems = [knapsack.DeferralProblem.from_probs(row, budget=self.budget) for row in rows]
        solved = [knapsack.exact(problem, memory_limit=2.0**26).deferred for problem in problems]
        return torch.from_numpy(np.stack(solved)).reshape(p.shape).to(p.device)


@dataclass(frozen=True)
class Truncated(Rule):
    """The base without a proxy, on the tokens that `rule` keeps: what remains of a rule when the proxy is taken away.

    The likeliest token is always kept (the first where several tie), as the samplers do: with Dual this is epsilon
    sampling, with Primal top-p sampling at 1 - budget. It is the control that tells the proxy's help from truncation's.
    """

    rule: Rule

    @property
    def name(self) -> str:  # type: ignore[override]
        """`truncated-` and the name of the rule that truncates."""
        return f"truncated-{self.rule.name}"

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule) or isinstance(self.rule, Truncated) or self.rule.needs != "p":
            raise InputError(
                f"Truncated: rule must be a deferral rule that reads the base alone, such as Dual(alpha=0.4), "
                f"got {self.rule!r}; choose one of those"
            )

    def parameters(self) -> dict[str, float]:
        """The truncating rule's parameters."""
        return self.rule.parameters()

    def keep(self, p: Tensor) -> Tensor:
        """p (..., V) -> kept (..., V) bool: what the rule does not defer, and the likeliest token."""
        kept = ~self.rule.defer(p)
        return kept.scatter(-1, p.argmax(-1, keepdim=True), True)

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> `p` on the kept tokens, normalised (..., V); `q` is not read."""
        return policy.restrict(p, self.keep(p))


def _truncated_dual(alpha: float) -> Truncated:
    return Truncated(Dual(alpha))


def _truncated_primal(budget: float) -> Truncated:
    return Truncated(Primal(budget))


# How each rule is built by name, and from which parameters.
REGISTRY: dict[str, Callable[..., Rule]] = {
    "never": Never,
    "always": Always,
    "dual": Dual,
    "primal": Primal,
    "nudging": Nudging,
    "exact": Exact,
    "truncated-dual": _truncated_dual,
    "truncated-primal": _truncated_primal,
}


def make(name: str, **parameters: float) -> Rule:
    """The rule called `name`; raises InputError for an unknown name and for missing or other parameters."""
    if name not in REGISTRY:
        raise InputError(f"rules: name must be one of {', '.join(REGISTRY)}, got {name!r}; choose one of these")
    wanted = tuple(inspect.signature(REGISTRY[name]).parameters)
    if set(parameters) != set(wanted):
        takes = " and ".join(wanted) or "no parameter"
        given = ", ".join(parameters) or "none"
        raise InputError(f"rules: {name} takes {takes}, got {given}; pass what it takes and nothing else")
    return REGISTRY[name](**parameters)


def _widen(p: Tensor) -> Tensor:
    """Half precision as float32, the rest as it is."""
    return p if p.dtype in (torch.float32, torch.float64) else p.float()


@lru_cache(maxsize=64)
def _threshold(alpha: float, dtype: torch.dtype) -> float:
    """The smallest number of p's dtype that is not below alpha: for p of that dtype, p < it iff p < alpha as reals.

    Torch would round alpha to float32 before comparing, so that float32(0.7) < 0.7, which is true, came out false.
    """
    if dtype == torch.float64:
        return alpha
    rounded = np.float32(alpha)
    if float(rounded) < alpha:
        rounded = np.nextafter(rounded, np.float32(math.inf))
    return float(rounded)
