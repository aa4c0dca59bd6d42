"""What each rule with a threshold must defer, from its definition, in NumPy and without rounding its comparisons."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from proxyalign.deferral import rules
from proxyalign.deferral.rule import Rule

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
ENTROPY_ROUNDING = 1e-6  # relative, of a sum of float32 terms


def prefix_within(order: list[int], weights: list[int], room: int) -> Mask:
    """The longest prefix of `order` whose weights, in whole numbers, add up to at most `room`."""
    deferred = np.zeros(len(order), dtype=np.bool_)
    for item in order:
        room -= weights[item]
        if room < 0:
            break
        deferred[item] = True
    return deferred


def threshold_rules(p: Floats, q: Floats, alpha: float, budget: float) -> Iterator[tuple[Rule, Mask, Mask]]:
    """(rule, least, most): rules at parameters that put their t at `alpha` where they can, and two sets (V,).

    p, q: (V,) float64; alpha, budget: in [0, 1]. A rule has to defer all of `least` and nothing outside `most`. These
    are one set, {p < t}, but where t is a number that rounding may move.
    """
    top, best = float(p.max()), float(q.max())
    margin, share, k = best - alpha, min(1.0, alpha / top), 1 + int(budget * (p.size - 1))
    sets: list[tuple[Rule, Mask]] = [
        (rules.Dual(alpha), p < alpha),
        (rules.Nudging(alpha), np.full(p.shape, top < alpha)),
        (rules.Chow(1.0 - alpha), np.full(p.shape, top < 1.0 - (1.0 - alpha))),
        (rules.Diff(best - top), np.full(p.shape, top < best - (best - top))),
        (rules.ConfidenceBet(margin), p < best - margin),
        (rules.Gap(max(0.0, top - alpha)), p < top - max(0.0, top - alpha)),
    ]
    likeliest = p == top
    for keeps in (0, 1):
        for rule, cut in (
            (rules.TopK(k, keeps), p < -np.sort(-p)[k - 1]),
            (rules.MinP(share, keeps), p < share * top),
            (rules.TopP(1.0 - budget, keeps), _prefix(p, 1.0 - (1.0 - budget)) if budget < 1.0 else p >= 0.0),
        ):
            first = np.arange(p.size) == np.argmax(p)  # which is kept where nothing else is
            sets.append((rule, cut & ~first if keeps and cut.all() else cut))
        sets.append((rules.Epsilon(alpha, keeps), (p < alpha) & ~(likeliest & bool(keeps))))
    yield from ((rule, deferred, deferred) for rule, deferred in sets)
    entropy = -float((p * np.log(np.where(p > 0.0, p, 1.0))).sum())
    for keeps in (0, 1):
        least, most = (
            (p < min(alpha, math.sqrt(alpha) * math.exp(-entropy) * (1.0 + way * ENTROPY_ROUNDING)))
            & ~(likeliest & bool(keeps))
            for way in (-1, 1)
        )
        yield rules.Eta(alpha, keeps), least, most


def _prefix(p: Floats, budget: float) -> Mask:
    """The longest prefix by rising p that fits, ties by the lowest index, in whole numbers."""
    ratios = [number.as_integer_ratio() for number in (*p.tolist(), budget)]
    scale = max(bottom for _, bottom in ratios)
    *weights, room = (top * (scale // bottom) for top, bottom in ratios)
    return prefix_within(np.argsort(p, kind="stable").tolist(), weights, room)
