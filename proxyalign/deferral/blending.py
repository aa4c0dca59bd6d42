"""BlendIn: where the base is unsure, a mixture of both laws in the proportion of their top probabilities."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from proxyalign.deferral.law import widen
from proxyalign.deferral.rule import About, Mixture, smallest_not_below
from proxyalign.validation import Domain

AGREEMENT = 0.1  # what the proxy's weight gains where the base is sure of the proxy's best token


@dataclass(frozen=True)
class BlendIn(Mixture):
    """The base alone where its likeliest token has at least `alpha`; else w q + (1 - w) p, w by who is surer.

    w = max q / (max p + max q) + 0.1 p[argmax q], at most 1: the share of the proxy's top probability, and a little
    more where the base agrees with its choice (the authors' code, `utils.py: compute_blend_alpha`). That code decodes
    greedily and blends the few log-probabilities that servers tell; here the laws are whole.

    alpha: probability in [0, 1]; 0 is the base alone, 0.4 the published one.
    """

    alpha: float
    name: ClassVar[str] = "blendin"
    domains: ClassVar[dict[str, Domain]] = {
        "alpha": Domain(0.0, 1.0, "it is the least top probability that the base is trusted with")
    }
    about: ClassVar[About] = About(
        "pi = w q + (1 - w) p where max p < alpha, w = min(1, max q / (max p + max q) + 0.1 p[argmax q]); else pi = p",
        "alpha = 0",
        "none",
        "Gan et al., ACL 2026, arXiv 2606.11201",
    )

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> w q + (1 - w) p where the base is unsure, else p (..., V)."""
        sure_of_p, sure_of_q = p.amax(-1, keepdim=True), q.amax(-1, keepdim=True)
        agreement = p.gather(-1, q.argmax(-1, keepdim=True))
        weight = (sure_of_q / (sure_of_p + sure_of_q) + AGREEMENT * agreement).clamp(max=1.0)
        return (weight * q + (1.0 - weight) * p).where(widen(sure_of_p) < smallest_not_below(self.alpha, p.dtype), p)
