"""Statement 18: what the text of a cascade costs in log loss beside the base's, term by term, under any true law."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxyalign.deferral import policy, rules
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.token_laws import tensors

LOG_ROUNDING = 1e-11  # of sums of probabilities times logarithms, which are at most 745
LEAST = 1e-290  # below which a product of two probabilities has few digits, or none


def log_loss(case: Laws) -> Iterator[Claim]:
    """Statement 18: the cascade's loss less the base's is a price on the deferred tokens less a gain on the kept ones.

    pi comes from `policy.cascade` on the case's own sets, and from `Rule.target` on those of a dual.
    """
    p, q, deferred = tensors(case)
    for pi, sets in (
        (policy.cascade(p, q, deferred), case.deferred),
        (rules.Dual(case.alpha).target(p, q), case.p < case.alpha),
    ):
        for row, (emitted, chosen) in enumerate(zip(pi.numpy(), sets, strict=True)):
            base, proxy = case.p[row], case.q[row]
            for name, truth in (("P", possible(case.truth[row], base)), ("p", base)):
                yield from Losses(truth, base, proxy, chosen, emitted).claims(name)


def possible(truth: Floats, p: Floats) -> Floats:
    """The true law (V,) given that `p` can write the token, since else the base's loss is infinite; `p` if none is."""
    kept = np.where(p > 0.0, truth, 0.0)
    total = kept.sum()
    return kept / total if total > LEAST else p


@dataclass(frozen=True)
class Losses:
    """One step: the true law, the base's, the proxy's (V,), the set (V,) bool, and the law pi (V,) that is judged."""

    truth: Floats
    p: Floats
    q: Floats
    deferred: NDArray[np.bool_]
    pi: Floats

    def claims(self, name: str) -> Iterator[Claim]:
        """The statement's claims; `name` is what the true law is called."""
        written = self.truth > 0.0
        taken = written & self.deferred
        mass = self.p[self.deferred].sum()
        if (taken & (self.q == 0.0)).any():
            finite = int(np.isfinite(_expected(self.truth, self.p, self.pi)))
            yield Claim("it is infinite where q cannot write a deferred token", finite, 0, "==")
        elif self.p[written].min() > LEAST and (not taken.any() or mass * self.q[taken].min() > LEAST):
            rise, price, gain = _expected(self.truth, self.p, self.pi), self._price(), self._gain(mass)
            yield Claim(f"log loss of pi less the base's, under {name}", rise, price - gain, "==", LOG_ROUNDING)
            yield Claim("the loss rises by no more than its price on S", rise, price, tolerance=LOG_ROUNDING)
            if mass > 0.0 and mass * self.q[written].min() > LEAST:
                most = _expected(self.truth, self.truth, self.q) - float(np.log(mass))
                divergence = _expected(self.truth, self.truth, self.pi)
                yield Claim("KL(P || pi) <= KL(P || q) + log(1/D)", divergence, most, tolerance=LOG_ROUNDING)
        if name == "p":
            yield Claim("0 <= KL(p || pi)", 0.0, _expected(self.p, self.p, self.pi), tolerance=LOG_ROUNDING)

    def _price(self) -> float:
        """delta (KL(P_S || q_S) - KL(P_S || p_S) + log(1/Q)), what handing S over costs."""
        truth, p, q = (law[self.deferred] for law in (self.truth, self.p, self.q))
        share = truth.sum()
        if share == 0.0:
            return 0.0
        given = truth / share
        to_proxy, to_base = (_expected(given, given, law / law.sum()) for law in (q, p))
        return float(share * (to_proxy - to_base - np.log(q.sum())))

    def _gain(self, mass: float) -> float:
        """sum over the kept tokens of P log(1 + D q / p), what the redrawn mass gives back."""
        kept = ~self.deferred & (self.truth > 0.0)
        return float((self.truth[kept] * np.log1p(mass * self.q[kept] / self.p[kept])).sum())


def _expected(law: Floats, one: Floats, other: Floats) -> float:
    """The mean of log(one / other) under `law` (V,), infinite where `other` is 0 on a token that the law writes."""
    written = law > 0.0
    with np.errstate(divide="ignore"):
        return float((law[written] * (np.log(one[written]) - np.log(other[written]))).sum())
