"""The longest prefix of a law's tokens by rising probability that fits a budget, found without sorting the vocabulary.

Where the budget holds all unlikely tokens, as in most rows of a language model, the few likely ones are sorted, on a
processor in compiled code (`likely.py`). In other rows a histogram of mass over the leading bits of the probabilities
finds the one bucket in which the budget runs out: what lies below it fits, what lies above does not, and only the
bucket's own tokens are sorted. Every sum is in float64; rows in which one comes so near the budget that rounding may
have decided are settled in exact arithmetic.
"""

import numpy as np
import torch
from torch import Tensor

from proxyalign.deferral.law import widen

# The bits of a non-negative float32 rise with the number. Its exponent and the first 5 bits of its mantissa tell the
# buckets apart, 32 to an octave: of a language model's row, the fullest holds a few hundredths of the tokens.
_DROPPED_BITS = 18
_N_BUCKETS = 1 << (31 - _DROPPED_BITS)
# How many entries are worked on together: few on a processor, so that what is computed on the way stays in its cache.
_AT_ONCE_ON_CPU = 1 << 20
_AT_ONCE = 1 << 25
_FEW = 1 << 12  # entries that are sorted outright, which then takes less time than to call for a histogram


def longest_prefix(p: Tensor, budget: float) -> Tensor:
    """p (..., V) float, each row non-negative -> bool (..., V): the tokens by rising `p`, as many as fit `budget`.

    budget: in [0, 1). Ties go to the lowest index; "fits" means the exact sum of the row's numbers, whatever their
    dtype. Each row is decided from itself alone. A CUDA device is waited for twice for each 2^25 entries, and
    again only where a row is settled exactly.
    """
    if budget == 0.0:
        return p == 0
    rows = widen(p.detach()).reshape(-1, p.shape[-1]).contiguous()
    decide = _on_processor if p.device.type == "cpu" else _in_groups
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


def _in_groups(p: Tensor, budget: float) -> Tensor:
    """The prefixes (n, V) of p (n, V), a few rows at a time."""
    deferred = torch.empty(p.shape, dtype=torch.bool, device=p.device)
    at_once = _AT_ONCE_ON_CPU if p.device.type == "cpu" else _AT_ONCE
    step = max(1, at_once // max(p.shape[-1], _N_BUCKETS))
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
        start = torch.searchsorted(row, torch.arange(n_rows, device=p.device))
        sums = running + (spent - torch.cat([running.new_zeros(1), running])[start])[row]
        slack = slack + 2.0**-52 * len(place) * running[-1:].sum()
    deferred.view(-1)[place] = sums <= budget
    unsure = torch.cat([spent, sums]).sub_(budget).abs_() <= slack
    if not unsure.any():
        return []
    return sorted(set(torch.cat([torch.arange(n_rows, device=p.device), place // n_tokens])[unsure].tolist()))


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
    if bucket.device.type == "cpu":  # NumPy compares and finds four times as fast here, in the same memory
        buckets, splits = bucket.numpy(), split.numpy()
        np.less(buckets, splits, out=below.numpy())
        return torch.from_numpy(np.flatnonzero(buckets == splits))
    torch.lt(bucket, split, out=below)
    return (bucket == split).view(-1).nonzero().squeeze(1)


def _settle(deferred: Tensor, p: Tensor, budget: float) -> None:
    """Write the prefix of p (V,) into deferred (V,), its end found in exact arithmetic."""
    from proxyalign.knapsack.rationals import prefix_that_fits  # here, since the solvers are slow to load

    law, order = p.double().sort(stable=True)
    deferred.fill_(False)
    deferred[order[: prefix_that_fits(law.cpu().numpy(), budget)]] = True
