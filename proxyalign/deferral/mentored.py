"""The law that most drafts pass against, of all that are near another one: maximise sum min(r, q), KL(r || p) <= delta.

The problem is convex. Where r_y < q_y one more of r_y is worth 1, where r_y > q_y nothing, and with multipliers lambda
of the divergence and nu of the sum the optimum has log(r_y / p_y) = (1 - nu) / lambda - 1 in the first place and
-nu / lambda - 1 in the second, with r_y = q_y wherever q_y / p_y lies between the two. So r = clip(q, b p, a p) with
b <= 1 <= a: b is what makes the sum 1, and a is as large as delta allows, at most where r is q itself as far as p
reaches. Any divergence sum p f(r / p) with convex f gives the same family, the KL from the other side among them.
"""

import torch
from torch import Tensor

N_HALVINGS = 44  # of the interval of log a, which is mostly about ten wide, and never a thousand


def most_accepted(p: Tensor, q: Tensor, delta: float) -> Tensor:
    """p, q (..., V) float64 laws -> the law r (..., V) with the largest sum min(r, q), among KL(r || p) <= delta."""
    if delta == 0.0:
        return p  # near it the divergence is smaller than rounding
    family = _Family(p, q)
    low, high = torch.zeros_like(p[..., :1]), family.most.log()
    is_within = family.divergence(family.most) <= delta
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2.0
        fits = family.divergence(middle.exp()) <= delta
        low, high = middle.where(fits, low), high.where(fits, middle)
    upper = family.most.where(is_within, low.exp())
    law = torch.minimum(torch.maximum(q, family.lower(upper) * p), upper * p)
    return law / law.sum(-1, keepdim=True)


class _Family:
    """The laws clip(q, b p, a p) of all a, with what their sums and divergences need: the tokens in order of q / p."""

    def __init__(self, p: Tensor, q: Tensor) -> None:
        ratio = torch.where(p > 0.0, q / p, torch.inf)
        self.ratio, order = ratio.sort(-1)
        p, q = p.gather(-1, order), q.gather(-1, order)
        self.most = self.ratio.where(self.ratio < torch.inf, 1.0).amax(-1, keepdim=True).clamp_min(1.0)
        # Of the tokens before each place, and of those from it on.
        self._p_before, self._q_before = sums_before(p), sums_before(q)
        self._p_from, self._q_from = sums_from(p), sums_from(q)
        self._divergence_before = sums_before(torch.xlogy(q, self.ratio).where(p > 0.0, 0.0))
        # By how much {b p} exceeds q, added up, where b is the ratio of each place.
        lacking = self.ratio * self._p_before[..., :-1] - self._q_before[..., :-1]
        self._lacking = lacking.where(self._p_before[..., :-1] > 0.0, 0.0)

    def lower(self, upper: Tensor) -> Tensor:
        """The b (..., 1) for which clip(q, b p, a p) sums to 1, where a is `upper` (..., 1)."""
        return self._lower(upper)[0]

    def divergence(self, upper: Tensor) -> Tensor:
        """KL(r || p) in nats, of the law of this a: (..., 1) -> (..., 1)."""
        lower, n_raised = self._lower(upper)
        n_kept = torch.searchsorted(self.ratio, upper, right=True)
        middle = self._divergence_before.gather(-1, n_kept) - self._divergence_before.gather(-1, n_raised)
        raised = torch.xlogy(lower, lower) * self._p_before.gather(-1, n_raised)
        return raised + middle + torch.xlogy(upper, upper) * self._p_from.gather(-1, n_kept)

    def _lower(self, upper: Tensor) -> tuple[Tensor, Tensor]:
        """b, and how many tokens it raises: their sum of b p - q is what q exceeds a p by."""
        n_kept = torch.searchsorted(self.ratio, upper, right=True)
        excess = (self._q_from.gather(-1, n_kept) - upper * self._p_from.gather(-1, n_kept)).clamp_min(0.0)
        n_raised = torch.searchsorted(self._lacking, excess)
        of_p, of_q = self._p_before.gather(-1, n_raised), self._q_before.gather(-1, n_raised)
        lower = ((excess + of_q) / of_p).where(of_p > 0.0, self.ratio[..., :1])
        return lower.clamp(max=1.0), n_raised


def sums_before(terms: Tensor) -> Tensor:
    """What lies before each place, and in all: (..., V) -> (..., V + 1)."""
    return torch.nn.functional.pad(terms.cumsum(-1), (1, 0))


def sums_from(terms: Tensor) -> Tensor:
    """What lies at each place and after it, and nothing: (..., V) -> (..., V + 1)."""
    return sums_before(terms.flip(-1)).flip(-1)
