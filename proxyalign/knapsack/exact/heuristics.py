"""Good sets found quickly, for problems on which the search alone finds none: shift the prefix, then swap."""

import numpy as np
from numpy.typing import NDArray

MOST_SWAPS = 200
MARGIN = 2.0**-48  # of the budget, kept free for the rounding of sums; whoever uses a set adds it up exactly


def shifted(weights: NDArray[np.float64], budget: float) -> NDArray[np.bool_]:
    """(n,) bool: as many items as can fit at all, the heaviest run of neighbours in weight that does.

    Where values are a concave function of the weight, as surprisals are, items of like weight are worth most together;
    on flat laws the greedy prefix leaves much of the budget, and no few changes repair it.
    """
    order = np.argsort(weights, kind="stable")
    sums = np.append(0.0, np.cumsum(weights[order]))
    size = int(np.searchsorted(sums, budget, side="right")) - 1
    first = max(0, int(np.searchsorted(sums[size:] - sums[: sums.size - size], budget, side="right")) - 1)
    chosen = np.zeros(weights.size, dtype=np.bool_)
    chosen[order[first : first + size]] = True
    return chosen


def swapped(
    values: NDArray[np.float64], weights: NDArray[np.float64], budget: float, chosen: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(n,) bool: `chosen` after the best exchanges of one item for another, or for none, one after the other."""
    chosen = chosen.copy()
    by_weight = np.argsort(weights, kind="stable")
    for _ in range(MOST_SWAPS):
        room = budget * (1.0 - MARGIN) - float(weights[chosen].sum())
        inside, outside = np.flatnonzero(chosen), by_weight[~chosen[by_weight]]
        if room < 0.0 or outside.size == 0:
            break
        # The most valuable of the items outside up to each weight, then the best of them for what leaves; -1 is none.
        most = np.maximum.accumulate(values[outside])
        leaving = np.append(-1, inside)
        lost = np.append(0.0, values[inside])
        last = np.searchsorted(weights[outside], np.append(0.0, weights[inside]) + room, side="right") - 1
        gains = np.where(last >= 0, most[np.maximum(last, 0)] - lost, 0.0)
        best = int(np.argmax(gains))
        if gains[best] <= 0.0:
            break
        if leaving[best] >= 0:
            chosen[leaving[best]] = False
        chosen[outside[int(np.argmax(values[outside[: last[best] + 1]]))]] = True
    return chosen
