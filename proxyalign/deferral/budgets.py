"""The knapsack's own rules: nothing and everything, dual and primal, and the optimum, nearly and exactly."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from proxyalign.deferral.law import widen
from proxyalign.deferral.prefix import longest_prefix
from proxyalign.deferral.rule import About, Rule, everywhere, given, smallest_not_below
from proxyalign.validation import Domain

KAD = "Hammal, Zweigenbaum and Corro, EACL 2026"
MASS = {"budget": Domain(0.0, 1.0, "it is the probability mass that a step may defer")}


@dataclass(frozen=True)
class Never(Rule):
    """Defer nothing: the base alone."""

    name: ClassVar[str] = "never"
    about: ClassVar[About] = About("0", "always", "none", "the base alone")
    constant: ClassVar[bool | None] = False

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> all False (..., V)."""
        return torch.zeros_like(p, dtype=torch.bool)

    def threshold(self, p_max: Tensor) -> Tensor:
        """As `Rule.threshold`."""
        return everywhere(0.0, p_max)


@dataclass(frozen=True)
class Always(Rule):
    """Defer everything: the proxy alone."""

    name: ClassVar[str] = "always"
    about: ClassVar[About] = About("1", "none", "always", "the proxy alone")
    constant: ClassVar[bool | None] = True

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> all True (..., V)."""
        return torch.ones_like(p, dtype=torch.bool)

    def threshold(self, p_max: Tensor) -> Tensor:
        """As `Rule.threshold`."""
        return everywhere(math.inf, p_max)


@dataclass(frozen=True)
class Dual(Rule):
    """Defer every token less likely than `alpha` (Kad's dual approximation; statements 5 to 7).

    alpha: probability in [0, 1], exp(-lambda) of the Lagrangian; 0 defers nothing, 1 keeps only a certain token.
    """

    alpha: float
    name: ClassVar[str] = "dual"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, 1.0, "pass exp(-lambda), not lambda")}
    about: ClassVar[About] = About("1[p_y < alpha]", "alpha = 0", "none", KAD)

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> d_y = 1 iff p_y < alpha, compared as float64 numbers whatever the dtype of `p`."""
        return widen(p) < smallest_not_below(self.alpha, p.dtype)

    def threshold(self, p_max: Tensor) -> Tensor:
        """As `Rule.threshold`."""
        return everywhere(smallest_not_below(self.alpha, torch.float32), p_max)


@dataclass(frozen=True)
class Primal(Rule):
    """Defer the least likely tokens, as many as fit `budget` (Kad's primal approximation; statements 1 to 3 and 6).

    budget: deferral mass allowed at each step, in [0, 1]; 0 defers only impossible tokens, 1 defers everything.
    """

    budget: float
    name: ClassVar[str] = "primal"
    domains: ClassVar[dict[str, Domain]] = MASS
    about: ClassVar[About] = About("longest prefix by rising p with sum <= budget", "budget = 0", "budget = 1", KAD)

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> the longest prefix by rising p, ties by lowest index, whose exact sum fits the budget."""
        if self.budget >= 1.0:  # a law that sums to 1 by its own lights may sum to more in float64
            return torch.ones_like(p, dtype=torch.bool)
        return longest_prefix(p, self.budget)


@dataclass(frozen=True)
class PrimalPooled(Rule):
    """The primal with one budget for a whole window of drafts, as the authors' speculative code computes it.

    A reproduction, not a rule to use: it defers less than `Primal` at the same budget, a position's decision reads the
    drafts after it, and so the tokens emitted have no law of the form pi, and near the end of a text, where windows
    are as long as the batch's longest remainder, depend on neighbours. One token at a time it is `Primal`.
    budget: deferral mass allowed for all positions of a window together, in [0, 1].
    """

    budget: float
    name: ClassVar[str] = "primal-pooled"
    domains: ClassVar[dict[str, Domain]] = MASS
    about: ClassVar[About] = About(
        "longest prefix by rising p of a whole window with sum <= budget",
        "budget = 0",
        "none",
        "authors' code (budget_lr)",
    )

    @property
    def has_bonus(self) -> bool:
        """None: the authors' code emits no bonus, and the window's budget does not reach the row after it."""
        return False

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., n, V) -> the longest prefix of the n V tokens by rising p whose sum fits the budget."""
        if p.dim() == 1 or p.shape[-2] == 1:
            return Primal(self.budget).defer(p)
        return longest_prefix(p.flatten(-2), self.budget).view(p.shape)


@dataclass(frozen=True)
class Advantage(Rule):
    """Defer the tokens that the proxy prefers most, for their probability in the base, as many as fit `budget`.

    The primal approximation of the knapsack whose values are p max(0, log q - log p). budget: deferral mass allowed at
    each step, in [0, 1]; tokens that the proxy likes no better are never deferred, so that 1 keeps those.
    """

    budget: float
    name: ClassVar[str] = "advantage"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = MASS
    about: ClassVar[About] = About(
        "longest prefix by falling q / p > 1 with sum p <= budget",
        "budget = 0",
        "none",
        "greedy for the value p max(0, log q / p)",
    )

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> the longest prefix by falling q / p, above 1, whose float64 sum fits the budget."""
        law = p.double()
        ratio = (given(q).double() / law).nan_to_num(nan=0.0)
        order = ratio.sort(dim=-1, descending=True, stable=True).indices
        fits = law.gather(-1, order).cumsum(-1) <= self.budget
        return torch.empty_like(fits).scatter_(-1, order, fits) & (ratio > 1.0)


@dataclass(frozen=True)
class NearOptimal(Rule):
    """Defer a set that fits `budget` and is worth (1 - eps) of the most that any such set is (statement 21).

    budget: deferral mass allowed at each step, in [0, 1]. eps: share of the optimal value that a step may lose, in
    [1e-6, 0.5]. Decided on the CPU; on most rows at little more than the primal's price.
    """

    budget: float
    eps: float = 0.01
    name: ClassVar[str] = "near-optimal"
    decides_on_host: ClassVar[bool] = True
    domains: ClassVar[dict[str, Domain]] = {
        **MASS,
        "eps": Domain(1e-6, 0.5, "it is the share of the optimal value that a step may lose"),
    }
    about: ClassVar[About] = About(
        "some d with sum -d p log p >= (1 - eps) max, sum d p <= budget",
        "budget = 0",
        "budget = 1",
        "Lawler, Math. Oper. Res. 4(4), 1979, for Kad's knapsack",
    )

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> a set of each row's tokens that fits the budget exactly and is optimal but for eps."""
        if self.budget >= 1.0:  # as in Primal
            return torch.ones_like(p, dtype=torch.bool)
        if self.budget == 0.0:
            return p == 0
        from proxyalign.deferral.near import near_optimal_sets  # here, since it is compiled

        return near_optimal_sets(p, self.budget, self.eps)


@dataclass(frozen=True)
class Exact(Rule):
    """Defer the set of largest total surprisal that fits `budget`: the integer optimum of every step's knapsack.

    budget: deferral mass allowed at each step, in [0, 1]. Solved row by row on the CPU (`knapsack.exact`). On the rare
    row for which the solver would need more than 64 MiB it takes the best set found, which may miss a last digit; no
    clock decides, so that a seed gives the same text everywhere.
    """

    budget: float
    name: ClassVar[str] = "exact"
    decides_on_host: ClassVar[bool] = True
    domains: ClassVar[dict[str, Domain]] = MASS
    about: ClassVar[About] = About(
        "argmax sum -d p log p with sum d p <= budget", "budget = 0", "budget = 1", KAD + ": its knapsack, solved"
    )

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> an optimal solution (..., V) of max sum d (-p log p) subject to sum d p <= budget."""
        if self.budget >= 1.0:  # as in Primal
            return torch.ones_like(p, dtype=torch.bool)
        from proxyalign import knapsack  # here, since the solvers are slow to load

        rows = p.double().reshape(-1, p.shape[-1]).cpu().numpy()
        deferred = np.zeros(rows.shape, dtype=np.bool_)
        for at in np.flatnonzero(~np.isnan(rows).any(1)):  # whoever decodes tells whose logits made the others
            problem = knapsack.DeferralProblem.from_probs(rows[at], budget=self.budget)
            deferred[at] = knapsack.exact(problem, memory_limit=2.0**26).deferred
        return torch.from_numpy(deferred).reshape(p.shape).to(p.device)
