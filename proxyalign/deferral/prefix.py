"""The longest prefix of a law's tokens by rising probability that fits a budget: on a processor without sorting the
vocabulary, on any other device without waiting for it.

On a processor, where the budget holds all unlikely tokens, as in most rows of a language model, the few likely ones are
sorted in compiled code (`likely.py`). In other rows a histogram of mass over the leading bits of the probabilities
finds the one bucket in which the budget runs out: what lies below it fits, what lies above does not, and only the
bucket's own tokens are sorted. These sums are in float64; rows in which one comes so near the budget that rounding may
have decided are settled exactly, in whole numbers. On other devices, where to ask which tokens lie in a bucket or which
rows are in doubt is to wait for the answer, each row is sorted whole and settled so at once.
"""

import math

import numpy as np
import torch
from torch import Tensor

from proxyalign.deferral.law import widen

# The bits of a non-negative float32 rise with the number. Its exponent and the first 5 bits of its mantissa tell the
# buckets apart, 32 to an octave: of a language model's row, the fullest holds a few hundredths of the tokens.
_DROPPED_BITS = 18
_N_BUCKETS = 1 << (31 - _DROPPED_BITS)
_AT_ONCE_ON_CPU = 1 << 20  # entries that are worked on together: few, so that what is computed stays in the cache
_AT_ONCE = 1 << 25  # limbs that are added up together elsewhere, of 8 bytes each, for which about 1 GiB is held
_BITS = {torch.float32: 149, torch.float64: 1074}  # the numbers of a dtype are multiples of 2^-bits
_FEW = 1 << 12  # entries that are sorted outright, which then takes less time than to call for a histogram


def longest_prefix(p: Tensor, budget: float) -> Tensor:
    """p (..., V) float, each row non-negative -> bool (..., V): the tokens by rising `p`, as many as fit `budget`.

    budget: in [0, 1). Ties go to the lowest index; "fits" means the exact sum of the row's numbers, whatever their
    dtype; a row with a NaN may get any answer. Each row is decided from itself alone. A device other than the processor
    is never waited for, and nothing is copied to it.
    """
    if budget == 0.0:
        return p == 0
    rows = widen(p.detach()).reshape(-1, p.shape[-1]).contiguous()
    decide = _on_processor if p.device.type == "cpu" else _on_device
    return decide(rows, budget).reshape(p.shape)


def _on_processor(p: Tensor, budget: float) -> Tensor:
    """The prefixes (n, V) of p (n, V): from its likely tokens alone, in all rows where these suffice."""
    from proxyalign.deferral.likely import SPREAD, UNSURE, prefix_among_likely  # here, since it is compiled

    deferred, verdict = torch.empty(p.shape, dtype=torch.bool), np.empty(len(p), dtype=np.uint8)
    prefix_among_likely(p.numpy(), budget, deferred.numpy(), verdict)
    for row in np.flatnonzero(verdict == UNSURE):
        _settle(deferred[row], p[row], budget)
    others = torch.from_numpy(np.flatnonzero(verdict == SPREAD))
    if len(others):
        deferred[others] = _in_groups(p[others], budget)
    return deferred


def _on_device(p: Tensor, budget: float) -> Tensor:
    """The prefixes (n, V) of p (n, V), a few rows at a time, of which the host sees nothing."""
    deferred, bits = torch.empty(p.shape, dtype=torch.bool, device=p.device), _BITS[p.dtype]
    step = max(1, _AT_ONCE // (p.shape[-1] * (bits // 32 + 1)))
    for first in range(0, len(p), step):
        law, order = p[first : first + step].sort(dim=1, stable=True)
        deferred[first : first + step].scatter_(1, order, _fit(law.double(), budget, bits))
    return deferred


def _fit(law: Tensor, budget: float, bits: int) -> Tensor:
    """law (n, V) float64, non-negative multiples of 2^-bits -> bool (n, V): where the exact sum of a row so far fits.

    Numbers are cut into limbs of `width` bits. Each limb is added up along the rows, and the budget's is taken off.
    """
    width = 57 - law.numel().bit_length()  # so that up to 64 limbs of all numbers add up within 63 bits
    mask, (numerator, denominator) = (1 << width) - 1, budget.as_integer_ratio()
    above = (numerator << bits) // denominator + 1  # a sum fits where it is less, both counted in 2^-bits
    budgets = [(above >> start) & mask for start in range(0, bits + 1, width)]
    word = law.clamp(max=1.0).view(torch.int64)  # 1 does not fit, and nothing above it does
    exponent = word >> 52  # below 0 for -0.0
    mantissa = (word & 0xFFFFFFFFFFFFF) + ((exponent > 0).long() << 52)
    # Where a mantissa's last bit lies (n_limbs, n, V), counted from each limb's first: so far to the left it is moved.
    place = exponent.clamp_(min=1).sub_(1075 - bits)
    place = place - torch.arange(0, bits + 1, width, device=law.device).view(-1, 1, 1)
    limbs = mantissa << place.clamp(0, width)
    limbs = limbs.bitwise_right_shift_(place.neg_().clamp_(0, 63)).bitwise_and_(mask)
    # One long sum, which a device makes on all its cores, less what it was where a row begins.
    sums = limbs.view(-1).cumsum(0).view(limbs.shape)
    sums -= sums[..., :1] - limbs[..., :1]
    carry = torch.zeros_like(mantissa)
    for limb, taken in zip(sums, budgets, strict=True):
        carry = carry.add_(limb).sub_(taken).bitwise_right_shift_(width)
    return carry < 0


def _in_groups(p: Tensor, budget: float) -> Tensor:
    """The prefixes (n, V) of p (n, V), a few rows at a time."""
    deferred = torch.empty(p.shape, dtype=torch.bool)
    step = max(1, _AT_ONCE_ON_CPU // max(p.shape[-1], _N_BUCKETS))
    for first in range(0, len(p), step):
        some, answer = p[first : first + step], deferred[first : first + step]
        for row in (_sort if some.numel() <= _FEW else _select)(answer, some, budget):
            _settle(answer[row], some[row], budget)
    return deferred


def _sort(deferred: Tensor, p: Tensor, budget: float) -> list[int]:
    """Write the prefixes of p (n, V) into deferred (n, V), and list the rows whose end rounding may have moved."""
    law, order = p.double().sort(dim=1, stable=True)
    sums = law.cumsum(1)
    deferred.scatter_(1, order, sums <= budget)
    unsure = (sums - budget).abs_() <= p.shape[1] * 2.0**-52  # see _select
    return [row for row, any_near in enumerate(unsure.any(1).tolist()) if any_near]


def _select(deferred: Tensor, p: Tensor, budget: float) -> list[int]:
    """As `_sort`, but of a few tokens, those among which the budget runs out."""
    n_rows, n_tokens = p.shape
    place, spent, slack = _bucket(deferred, p, budget)  # place: in the flattened p, as are all tensors (m,)
    inside, order = p.view(-1)[place].double().sort(stable=True)
    place = place[order]
    if n_rows == 1:
        sums = inside.cumsum(0) + spent
    else:
        row, order = torch.div(place, n_tokens, rounding_mode="floor").sort(stable=True)
        place, running = place[order], inside[order].cumsum(0)
        start = torch.searchsorted(row, torch.arange(n_rows))
        sums = running + (spent - torch.cat([running.new_zeros(1), running])[start])[row]
        slack = slack + 2.0**-52 * len(place) * running[-1:].sum()
    deferred.view(-1)[place] = sums <= budget
    unsure = torch.cat([spent, sums]).sub_(budget).abs_() <= slack
    if not unsure.any():
        return []
    return sorted(set(torch.cat([torch.arange(n_rows), place // n_tokens])[unsure].tolist()))


def _bucket(deferred: Tensor, p: Tensor, budget: float) -> tuple[Tensor, Tensor, Tensor | float]:
    """Where p (n, V) lies in the one bucket of the histogram in which the budget runs out, as places (m,) in all; the
    mass of what lies below it (n,), which is written into deferred (n, V); and how far off a sum may be.
    """
    n_rows, n_tokens = p.shape
    law = p.double()
    # Rounding to float32 keeps the order, so that a bucket is a run of the sorted row; without its sign -0.0 is a zero.
    bucket = (p.float().view(torch.int32) >> _DROPPED_BITS).bitwise_and_(_N_BUCKETS - 1)
    below = law.new_zeros(n_rows, _N_BUCKETS + 1)  # the mass below each bucket
    below[:, 1:].scatter_add_(1, bucket.long(), law)
    below = below.cumsum(1)
    split = torch.searchsorted(below, law.new_full((n_rows, 1), budget), right=True) - 1
    spent = below.gather(1, split).squeeze(1)
    # A sum of n terms is off by at most n 2^-53 of it. Twice that is safe, as the end of a bucket is a sum in two ways.
    return _below_and_at(bucket, split.int(), deferred), spent, 2.0**-52 * n_tokens


def _below_and_at(bucket: Tensor, split: Tensor, below: Tensor) -> Tensor:
    """Write where bucket (n, V) is below split (n, 1) into below (n, V); where it is split, as places (m,) in all."""
    buckets, splits = bucket.numpy(), split.numpy()  # NumPy compares and finds four times as fast, in the same memory
    np.less(buckets, splits, out=below.numpy())
    return torch.from_numpy(np.flatnonzero(buckets == splits))


def _settle(deferred: Tensor, p: Tensor, budget: float) -> None:
    """Write the prefix of p (V,) into deferred (V,), its end found in exact arithmetic."""
    law, order = p.double().sort(stable=True)
    least = float(law[law > 0.0][:1].clamp(max=1.0).sum())  # all are multiples of the last of its 53 bits
    deferred[order] = _fit(law[None], budget, 53 - math.frexp(least)[1])[0]
