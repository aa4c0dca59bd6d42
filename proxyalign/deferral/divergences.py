"""Rules that let the proxy write a step where its law is close to the base's: gates of lossy speculative decoding."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from proxyalign.deferral.distances import DIVERGENCE, jensen_shannon, kullback_leibler
from proxyalign.deferral.gates import INFINITE, Gate
from proxyalign.deferral.rule import About, given, highest
from proxyalign.validation import Domain


@dataclass(frozen=True)
class FSD(Gate):
    """Defer a step on which the two laws are at most `alpha` apart: fuzzy speculative decoding, as a rule.

    The published decoder takes a draft, whatever its probability, where the divergence is at most a threshold, and
    leaves the step to the base elsewhere: the law is q there and p elsewhere, which drafts do not change here. It
    offers other divergences as well, also of laws that are cut to their likeliest tokens; here it is the
    Jensen-Shannon divergence of the whole laws. Its examples use 0.4, of which no unit is told.

    alpha: at least 0, in nats; 0 never defers but where the laws are one, log 2 always.
    """

    alpha: float
    name: ClassVar[str] = "fsd"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, INFINITE, DIVERGENCE + ", at most log 2")}
    about: ClassVar[About] = About(
        "1[JS(p, q) <= alpha]", "alpha = 0", "alpha >= log 2", "Holsman et al., Findings of ACL 2025"
    )

    def hands_over(self, p: Tensor, q: Tensor | None) -> Tensor:
        """JS(p, q) <= alpha, in nats."""
        return jensen_shannon(p, given(q)) <= self.alpha


@dataclass(frozen=True)
class JuDi(Gate):
    """Defer a step on which KL(p || q) is at most `alpha`, and the base is not surer than `confidence`.

    The direction is that of the authors' code (`judi.py`: the target's law first), which decodes greedily, takes
    drafts below the threshold, and none but the base's own where its top probability is above 0.9. Here no step is
    spared for its top probability unless asked. Where the base may write a token that the proxy may not, KL is
    infinite and the step the base's.

    alpha: at least 0, in nats; 0 never defers but where the laws are one. confidence: probability in [0, 1], 0.9 as
    published; 1 asks nothing of the base.
    """

    alpha: float
    confidence: float = 1.0
    name: ClassVar[str] = "judi"
    needs: ClassVar[str] = "p q"
    domains: ClassVar[dict[str, Domain]] = {
        "alpha": Domain(0.0, INFINITE, DIVERGENCE),
        "confidence": Domain(0.0, 1.0, "it is the top probability above which a step is the base's"),
    }
    about: ClassVar[About] = About(
        "1[KL(p || q) <= alpha and max p <= confidence]", "alpha = 0", "none", "Sun et al., arXiv 2601.04766"
    )

    def hands_over(self, p: Tensor, q: Tensor | None) -> Tensor:
        """KL(p || q) <= alpha, in nats, and max p <= confidence."""
        is_close: Tensor = kullback_leibler(p, given(q)) <= self.alpha
        # A top probability that rounding puts above 1 is no more than sure.
        return is_close if self.confidence == 1.0 else is_close & (highest(p) <= self.confidence)
