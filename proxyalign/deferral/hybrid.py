"""The hybrid rule (statement 15): a dual whose multiplier follows the mass that the sequence has spent so far."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from proxyalign.deferral import policy
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import About, Proposal, Rule, below
from proxyalign.validation import Domain


@dataclass(frozen=True)
class Hybrid(Rule):
    """Defer with the dual at a multiplier that rises where a step spends more than `budget`, and falls where less.

    budget: mean deferral mass of a step, in [0, 1], which long runs exceed by less and less, and may fall short of.
    step: how fast the multiplier follows, above 0. first: the multiplier of the first token, at least 0 (0.7 is alpha
    = 0.5).

    The multiplier is a function of the laws before a token, so that a draft which is rejected leaves no trace in it.
    """

    budget: float
    step: float = 0.5
    first: float = 0.7
    name: ClassVar[str] = "hybrid"
    domains: ClassVar[dict[str, Domain]] = {
        "budget": Domain(0.0, 1.0, "it is the mean probability mass that a step may defer"),
        "step": Domain(1e-9, math.inf, "it is the multiplier's change for each unit of mass"),
        "first": Domain(0.0, math.inf, "it is a multiplier, -log of a probability"),
    }
    about: ClassVar[About] = About(
        "1[p_y < exp(-lambda)], lambda <- max(0, lambda + step (D - budget))",
        "none",
        "none",
        "dual descent along the text; ours",
    )

    def start(self, n: int, device: torch.device) -> Tensor:
        """The multipliers (n,) float64 of the first tokens."""
        return torch.full((n,), self.first, dtype=torch.float64, device=device)

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> what the first multiplier defers, in each row; `propose` follows it."""
        return below(p, torch.full((*p.shape[:-1], 1), math.exp(-self.first), dtype=torch.float64, device=p.device))

    def propose(self, p: Law, q: Law | None = None, q0: Law | None = None, state: Tensor | None = None) -> Proposal:
        """As for any rule; the states (B, n + 1) are the multipliers."""
        multipliers = [self.start(len(p.own), p.own.device) if state is None else state]
        deferred = []
        for row in p.own.unbind(1):
            deferred.append(below(row, torch.exp(-multipliers[-1]).unsqueeze(-1)))
            mass = policy.deferral_mass(row, deferred[-1])
            multipliers.append((multipliers[-1] + self.step * (mass.double() - self.budget)).clamp_min(0.0))
        return Proposal(p.drawn, torch.stack(deferred, 1), torch.stack(multipliers, 1))
