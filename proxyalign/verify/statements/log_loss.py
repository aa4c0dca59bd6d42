"""Statement 18: what the text of a cascade costs in log loss beside the base's, term by term, under any true law."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from proxyalign.deferral import policy, rules
from proxyalign.evaluation.tuning.log_loss import LogLossTerms, log_loss_terms
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.token_laws import at_most, equal, tensors

LOG_ROUNDING = 1e-11  # of sums of probabilities times logarithms, which are at most 745
LEAST = 1e-290  # below which a product of two probabilities has few digits, or none


def log_loss(case: Laws) -> Iterator[Claim]:
    """Statement 18: the cascade's loss less the base's is a price on the deferred tokens less a gain on the kept ones.

    pi comes from `policy.cascade` on the case's own sets, and from `Rule.target` on those of a dual.
    """
    p, q, deferred = tensors(case)
    pi = policy.cascade(p, q, deferred), rules.Dual(case.alpha).target(p, q)
    sets = np.concatenate([case.deferred, case.p < case.alpha])
    base, proxy, emitted = np.tile(case.p, (2, 1)), np.tile(case.q, (2, 1)), torch.cat(pi).numpy()
    for name, truth in (("P", possible(case.truth, case.p)), ("p", case.p)):
        yield from Losses(np.tile(truth, (2, 1)), base, proxy, sets, emitted).claims(name)


def possible(truth: Floats, p: Floats) -> Floats:
    """The true laws (rows, V) given that `p` can write the token, since else the base's loss is infinite; `p` if none.

    Both are laws.
    """
    kept = np.where(p > 0.0, truth, 0.0)
    total = kept.sum(-1, keepdims=True)
    some: Floats = np.where(total > LEAST, kept / np.where(total > LEAST, total, 1.0), p)
    return some


@dataclass(frozen=True)
class Losses:
    """Steps: the true laws, the base's, the proxy's, the sets, and the laws pi that are judged, all (steps, V)."""

    truth: Floats
    p: Floats
    q: Floats
    deferred: NDArray[np.bool_]
    pi: Floats

    def claims(self, name: str) -> Iterator[Claim]:
        """The statement's claims, each of all steps that it is about; `name` is what the true law is called."""
        terms = log_loss_terms(self.truth, self.p, self.q, self.deferred)
        written = self.truth > 0.0
        taken = written & self.deferred
        mass = self._sum(self.p)
        endless = (taken & (self.q == 0.0)).any(-1)
        rise = _expected(self.truth, self.p, self.pi)
        if endless.any():
            finite = int((np.isfinite(rise[endless]) | np.isfinite(terms.total[endless])).sum())
            yield Claim("it is infinite where q cannot write a deferred token", finite, 0, "==")
        least_of_proxy = np.where(taken.any(-1), mass * self.q.min(-1, where=taken, initial=1.0), 1.0)
        judged = ~endless & (self.p.min(-1, where=written, initial=1.0) > LEAST) & (least_of_proxy > LEAST)
        if judged.any():
            price, total = _price(terms), terms.total
            claim = f"log loss of pi less the base's, under {name}"
            yield equal(claim, rise[judged], total[judged], LOG_ROUNDING)
            yield equal("the price on S, from the laws given S", price[judged], self._price()[judged], LOG_ROUNDING)
            yield equal("a price less a gain", total[judged], (price - terms.kept)[judged], LOG_ROUNDING)
            claim = "the loss rises by no more than its price on S"
            yield at_most(claim, rise[judged], price[judged], LOG_ROUNDING)
        judged &= (mass > 0.0) & (mass * self.q.min(-1, where=written, initial=1.0) > LEAST)
        if judged.any():
            truth, q, pi = self.truth[judged], self.q[judged], self.pi[judged]
            most = _expected(truth, truth, q) - np.log(mass[judged])
            yield at_most("KL(P || pi) <= KL(P || q) + log(1/D)", _expected(truth, truth, pi), most, LOG_ROUNDING)
        if name == "p":
            yield at_most("0 <= KL(p || pi)", 0.0 * mass, _expected(self.p, self.p, self.pi), LOG_ROUNDING)

    def _sum(self, laws: Floats) -> Floats:
        """What the laws give to the sets (steps,)."""
        sums: Floats = np.where(self.deferred, laws, 0.0).sum(-1)
        return sums

    def _price(self) -> Floats:
        """What handing S over costs, from the laws given S; 0 where the truth gives nothing to S."""
        given, proxy, base = (
            np.where(self.deferred, laws, 0.0) / np.where(sums > 0.0, sums, 1.0)[:, None]
            for laws, sums in ((laws, self._sum(laws)) for laws in (self.truth, self.q, self.p))
        )
        share, of_proxy = self._sum(self.truth), self._sum(self.q)
        difference = _expected(given, given, proxy) - _expected(given, given, base)
        with np.errstate(divide="ignore", invalid="ignore"):
            price: Floats = np.where(share > 0.0, share * (difference - np.log(of_proxy)), 0.0)
        return price


def _price(terms: LogLossTerms) -> Floats:
    """delta (KL(P_S || q_S) - KL(P_S || p_S) + log(1/Q)), what handing S over costs, 0 where delta is."""
    with np.errstate(invalid="ignore"):
        price: Floats = terms.delta * (terms.kl_to_proxy - terms.kl_to_base + terms.log_inverse_mass)
    return np.where(terms.delta > 0.0, price, 0.0)


def _expected(law: Floats, one: Floats, other: Floats) -> Floats:
    """The mean of log(one / other) under each `law` (steps, V), infinite where it writes what `other` does not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = law * (np.log(one) - np.log(other))
    mean: Floats = np.where(law > 0.0, terms, 0.0).sum(-1)
    return mean
