"""Rules that flip a whole step: the base writes it where it is sure enough, by a number of its law or of both."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from proxyalign.deferral.law import widen
from proxyalign.deferral.rule import About, Rule, entropy, given, highest, smallest_not_below, whole_where
from proxyalign.validation import Domain

CASCADES = "Narasimhan et al., ICLR 2025, mirrored"
INFINITE = float("inf")


class Gate(Rule, ABC):
    """A rule with one decision for all tokens of a step."""

    @abstractmethod
    def hands_over(self, p: Tensor, q: Tensor | None) -> Tensor:
        """p, q (..., V) -> whether the step is the proxy's: bool (..., 1)."""

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> the same for all tokens of a row (..., V)."""
        return self.hands_over(p, q).expand(p.shape)


@dataclass(frozen=True)
class Nudging(Gate):
    """Defer every token of a step whose likeliest token is less likely than `alpha`.

    alpha: probability in [0, 1]; 0 never defers, 1 spares a certain token alone. Per token; see `NudgingWords`.
    """

    alpha: float
    name: ClassVar[str] = "nudging"
    domains: ClassVar[dict[str, Domain]] = {
        "alpha": Domain(0.0, 1.0, "it is the least top probability that the base is trusted with")
    }
    about: ClassVar[About] = About("1[max p < alpha]", "alpha = 0", "none", "Fei et al., ACL 2025, per token")

    def hands_over(self, p: Tensor, q: Tensor | None) -> Tensor:
        """max p < alpha, compared as float64 numbers."""
        return widen(p).amax(-1, keepdim=True) < smallest_not_below(self.alpha, p.dtype)

    def threshold(self, p_max: Tensor) -> Tensor:
        """As `Rule.threshold`."""
        return whole_where(p_max < smallest_not_below(self.alpha, torch.float32))


@dataclass(frozen=True)
class Chow(Gate):
    """Defer a step whose likeliest token is less likely than 1 - `alpha`: nudging, with the parameter turned round."""

    alpha: float
    name: ClassVar[str] = "chow"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, 1.0, "it is the doubt that the base may have")}
    about: ClassVar[About] = About("1[max p < 1 - alpha]", "alpha = 1", "none", CASCADES + " (2)")

    def hands_over(self, p: Tensor, q: Tensor | None) -> Tensor:
        """max p < 1 - alpha, compared as float64 numbers."""
        return highest(p) < 1.0 - self.alpha

    def threshold(self, p_max: Tensor) -> Tensor:
        """As `Rule.threshold`."""
        return whole_where(p_max.double() < 1.0 - self.alpha)


@dataclass(frozen=True)
class EntropyGate(Gate):
    """Defer a step whose law has more entropy than `alpha` nats.

    alpha: at least 0; log V never defers, 0 spares a certain token alone.
    """

    alpha: float
    name: ClassVar[str] = "entropy-gate"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, INFINITE, "it is an entropy in nats")}
    about: ClassVar[About] = About("1[H(p) > alpha]", "alpha > log V", "none", CASCADES + " (ChowLog)")

    def hands_over(self, p: Tensor, q: Tensor | None) -> Tensor:
        """H(p) > alpha, in nats."""
        return entropy(p) > self.alpha


@dataclass(frozen=True)
class Diff(Gate):
    """Defer a step on which the proxy's likeliest token leads the base's by more than `alpha`.

    alpha: in [-1, 1]; 1 never defers, -1 always.
    """

    alpha: float
    name: ClassVar[str] = "diff"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(-1.0, 1.0, "it is a difference of probabilities")}
    about: ClassVar[About] = About("1[max p < max q - alpha]", "alpha = 1", "alpha = -1", CASCADES + " (5)")

    def hands_over(self, p: Tensor, q: Tensor | None) -> Tensor:
        """max p < max q - alpha."""
        return highest(p) < highest(given(q)) - self.alpha


@dataclass(frozen=True)
class Opt(Gate):
    """Defer a step on which the proxy's likeliest token leads by more than `alpha` times the laws' distance."""

    alpha: float
    name: ClassVar[str] = "opt"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(-INFINITE, INFINITE, "it weighs the distance TV(p, q)")}
    about: ClassVar[About] = About(
        "1[max p < max q - alpha TV(p, q)]", "alpha -> inf", "alpha -> -inf", CASCADES + " (10)"
    )

    def hands_over(self, p: Tensor, q: Tensor | None) -> Tensor:
        """max p < max q - alpha TV(p, q)."""
        distance = (widen(p) - widen(given(q))).abs().sum(-1, keepdim=True, dtype=torch.float64) / 2.0
        return highest(p) < highest(given(q)) - self.alpha * distance
