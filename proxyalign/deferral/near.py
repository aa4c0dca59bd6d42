"""Near-optimal sets of a batch of laws: the search of `near_optimal`, given the few likely tokens of each row.

The others, each less likely than any of those and so denser, are deferred together in most rows. Where that cannot be
proved good enough, more tokens count as likely, and at last all do.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from numba import types
from torch import Tensor

from proxyalign.compiled import compiled
from proxyalign.deferral.law import widen
from proxyalign.deferral.likely import DECIDED, LIKELY, SPREAD, UNSURE, rounding_of_sums, set_apart
from proxyalign.deferral.prefix import longest_prefix
from proxyalign.knapsack.exact.near_optimal import EFFORT, FOUND, ROUNDING, better
from proxyalign.knapsack.exact.near_optimal import OPEN as _OPEN

OPEN = 3  # what became of a row, beside those of `likely`: a better set may keep some of the unlikely tokens
_LIKELY = (LIKELY, LIKELY * 2.0**-6)  # the least probability of the tokens that are looked at one by one


def near_optimal_sets(p: Tensor, budget: float, eps: float) -> Tensor:
    """p (..., V) float, laws -> bool (..., V): sets that fit the budget, each worth (1 - eps) of the row's optimum.

    budget: in (0, 1); eps: in [2^-20, 1). Each row is decided from itself alone, on the processor.
    """
    rows = widen(p.detach()).cpu().reshape(-1, p.shape[-1]).contiguous()
    deferred, left = torch.empty(rows.shape, dtype=torch.bool), np.arange(len(rows))
    hard = [left[:0]]
    for least in _LIKELY:
        if not len(left):
            break
        verdict = np.empty(len(left), dtype=np.uint8)
        near_among_likely(rows.numpy(), left, budget, eps, least, deferred.numpy(), verdict)
        spread = left[verdict == SPREAD]
        # The next token is less likely than `least`, and less dense than the prefix, which spends all but that: it is
        # worth at least 1 - least / budget of the relaxation.
        is_enough = least <= (1.0 - ROUNDING) * eps * budget
        if is_enough and len(spread):
            deferred[spread] = longest_prefix(rows[spread], budget)
        hard.append(left[verdict == UNSURE])
        left = left[(verdict == OPEN) | ((verdict == SPREAD) & (not is_enough))]
    for row in np.concatenate([*hard, left]):
        deferred[row] = _of_whole_row(rows[row], budget, eps)
    return deferred.reshape(p.shape).to(p.device)


def _of_whole_row(p: Tensor, budget: float, eps: float) -> Tensor:
    """The set (V,) of one row p (V,), all of its tokens considered; none where a number is missing."""
    from proxyalign import knapsack

    if p.isnan().any():  # whoever decodes tells whose logits made it
        return torch.zeros_like(p, dtype=torch.bool)
    problem = knapsack.DeferralProblem.from_probs(p.double().numpy(), budget=budget)
    return torch.from_numpy(knapsack.near_optimal(problem, eps).deferred.copy())


@compiled(
    [
        types.void(real[:, ::1], types.int64[::1], *[types.float64] * 3, types.boolean[:, ::1], types.uint8[::1])
        for real in (types.float32, types.float64)
    ]
)
def near_among_likely(
    p: npt.NDArray[np.floating],
    which: npt.NDArray[np.int64],
    budget: float,
    eps: float,
    least: float,
    deferred: npt.NDArray[np.bool_],
    verdict: npt.NDArray[np.uint8],
) -> None:
    """Write the sets of the rows `which` (m,) of p (n, V) into deferred (n, V), and what became of each into
    verdict (m,); where that is not `DECIDED`, the set is of no use.

    least: a token at least as likely, a float32 number, is looked at.
    """
    n_tokens, lowest = p.shape[1], p.dtype.type(least)
    place, rare = np.empty(n_tokens, dtype=np.int64), -math.log(least)
    for k in range(len(which)):
        row, is_deferred = p[which[k]], deferred[which[k]]
        spent, n_likely = set_apart(row, lowest, is_deferred, place)
        slack = rounding_of_sums(n_tokens, spent)
        verdict[k] = UNSURE if abs(spent - budget) <= slack else SPREAD if spent > budget else DECIDED
        if verdict[k] != DECIDED:
            continue
        order = place[:n_likely][np.argsort(row[place[:n_likely]], kind="mergesort")]
        law = row[order].astype(np.float64)
        law = law[: np.searchsorted(law, budget, side="right")]  # what is heavier than the budget is in no set
        values = -law * np.log(law)
        room, n_prefix, worth = budget - spent, 0, rare * spent
        while n_prefix < len(law) and law[n_prefix] <= room:
            room -= law[n_prefix]
            worth += values[n_prefix]
            n_prefix += 1
        if room <= slack or (n_prefix < len(law) and law[n_prefix] <= room + slack):
            verdict[k] = UNSURE
            continue
        for i in order[:n_prefix]:
            is_deferred[i] = True
        if n_prefix == len(law):
            continue
        price = -math.log(law[n_prefix])
        if price * room <= (1.0 - ROUNDING * n_tokens) * eps * (worth + price * room):
            continue
        rest, rounding = rare * spent, ROUNDING * (n_tokens + 64)
        chosen, ending = better(values, law, n_prefix, budget - spent, price, eps, rest, rare, slack, rounding, EFFORT)
        if ending != FOUND:
            verdict[k] = OPEN if ending == _OPEN else UNSURE
            continue
        for i in range(len(law)):
            is_deferred[order[i]] = chosen[i]
