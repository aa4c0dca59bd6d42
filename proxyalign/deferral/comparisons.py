"""Rules that compare each token with the likeliest one, of its own law or of the other's."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from proxyalign.deferral.gates import CASCADES
from proxyalign.deferral.rule import About, Rule, below, given, highest, rounded_up
from proxyalign.validation import Domain

MARGIN = {"alpha": Domain(-1.0, 1.0, "it is a difference of probabilities")}
SHARE = {"alpha": Domain(0.0, 1.0, "it is a share of the largest probability")}
CODE = "authors' code"


@dataclass(frozen=True)
class ConfidenceBet(Rule):
    """Defer the tokens that the base finds less likely than the proxy its best one, less a margin `alpha`.

    alpha: in [-1, 1]; 1 never defers, -1 defers everything.
    """

    alpha: float
    name: ClassVar[str] = "confidence-bet"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = MARGIN
    about: ClassVar[About] = About(
        "1[p_y < max q - alpha]", "alpha = 1", "alpha = -1", "arXiv 2604.16146; mirrored TokenV1, ICLR 2025 (13)"
    )

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> p_y < max q - alpha (..., V)."""
        return below(p, highest(given(q)) - self.alpha)


@dataclass(frozen=True)
class Gap(Rule):
    """Defer the tokens that the base finds less likely than its own best one, less a margin `alpha` in [0, 1]."""

    alpha: float
    name: ClassVar[str] = "gap"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, 1.0, "it is a difference of probabilities")}
    about: ClassVar[About] = About("1[p_y < max p - alpha]", "alpha = 1", "none", CODE + " (token_v2)")

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> p_y < max p - alpha (..., V)."""
        return below(p, highest(p) - self.alpha)

    def threshold(self, p_max: Tensor) -> Tensor:
        """As `Rule.threshold`."""
        return rounded_up(p_max.double() - self.alpha)


@dataclass(frozen=True)
class ProxyDoubt(Rule):
    """Defer the tokens that the proxy finds less likely than the base its best one, plus a margin `alpha`."""

    alpha: float
    name: ClassVar[str] = "proxy-doubt"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = MARGIN
    about: ClassVar[About] = About("1[q_y < max p + alpha]", "alpha = -1", "alpha = 1", CODE + " (max_p_plus)")

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> q_y < max p + alpha (..., V)."""
        return below(given(q), highest(p) + self.alpha)


@dataclass(frozen=True)
class ProxyFavour(Rule):
    """Defer the tokens that the proxy finds likelier than the base its best one, plus a margin `alpha`."""

    alpha: float
    name: ClassVar[str] = "proxy-favour"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = MARGIN
    about: ClassVar[About] = About("1[q_y > max p + alpha]", "alpha = 1", "none", CODE + " (minus_max_p_plus)")

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> q_y > max p + alpha (..., V)."""
        return given(q).double() > highest(p) + self.alpha


@dataclass(frozen=True)
class ProxyVeto(Rule):
    """Defer the tokens that the proxy finds less likely than its own best one, less a margin `alpha` in [0, 1]."""

    alpha: float
    name: ClassVar[str] = "proxy-veto"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, 1.0, "it is a difference of probabilities")}
    about: ClassVar[About] = About("1[q_y < max q - alpha]", "alpha = 1", "none", CASCADES + " TokenV2 (14)")

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> q_y < max q - alpha (..., V)."""
        return below(given(q), highest(given(q)) - self.alpha)


@dataclass(frozen=True)
class ProxyMinP(Rule):
    """Defer the tokens that the proxy finds less likely than the share 1 - `alpha` of its best one."""

    alpha: float
    name: ClassVar[str] = "proxy-min-p"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = SHARE
    about: ClassVar[About] = About("1[q_y < (1 - alpha) max q]", "alpha = 1", "none", CASCADES + " TokenV3 (15)")

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> q_y < (1 - alpha) max q (..., V)."""
        return below(given(q), highest(given(q)) * (1.0 - self.alpha))
