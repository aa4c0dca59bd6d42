"""A second bound, for flat laws: with so many items of like weight, how many fit together says much.

No set within the budget has more items than the lightest that fit. Charging a price for each item beside that for
weight bounds what a set is worth (Martello and Toth, Operations Research 1997, cut the knapsack so). On a flat law the
greedy prefix is the lightest items: whoever adds one must remove one, which the price of weight alone does not see.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack.exact.core import Relaxation

STEPS = 40  # of the golden section search: any price proves a bound, the last digits of the best one gain nothing
PRICE_BITS = 30  # prices of weight are whole numbers of 2^-30
LARGEST = 2**60  # that sums of second prices may reach
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def with_most_items(relaxation: Relaxation) -> Relaxation:
    """The relaxation with second prices: sets have at most `spare_items` more than the prefix, which are at least 0.

    A set that makes the changes C and fits costs at least the sum over C of its seconds less `second_offset`: for any
    whole price and charge of at least 0, since the sum of moves is at least -room, and C adds at most `spare` items
    more than it removes,

        sum of gains >= sum of gains - price (sum of moves + room) + charge (items added - removed - spare)
                     = sum of (gain - price move +- charge) - (price room + charge spare),

    with + for an addition, of which one without weight counts as no item. Each second is rounded down, the offset up.
    Where they could add up to more than 64 bits hold, the relaxation stays as it is.
    """
    if relaxation.is_exact:
        return relaxation
    sizes, signs = np.abs(relaxation.moves), np.sign(-relaxation.moves)  # an addition takes room
    values = -signs * relaxation.gains
    weights, worth, counts = sizes.astype(np.float64), values.astype(np.float64), relaxation.counts
    leaves, spare = signs < 0, spare_items(relaxation)
    room = relaxation.room + float((weights * counts)[leaves].sum())
    count = spare + int(counts[leaves].sum())

    def bound(charge: float) -> tuple[float, float]:
        """The Lagrangian bound at this price of an item, with the best price of weight for it."""
        density = (worth - charge) / np.maximum(weights, 1.0)
        order = np.argsort(-density)
        first_out = int(np.searchsorted(np.cumsum((weights * counts)[order]), room, side="right"))
        price = max(0.0, float(density[order[first_out]])) if first_out < order.size else 0.0
        surplus = np.maximum(worth - price * weights - charge, 0.0) @ counts
        return price * room + charge * count + float(surplus), price

    low, high = 0.0, float(worth.max())
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if bound(left)[0] < bound(right)[0]:
            high = right
        else:
            low = left
    charge = int((low + high) / 2.0)
    price = math.floor(bound(float(charge))[1] * 2**PRICE_BITS)
    changes = zip(relaxation.gains.tolist(), relaxation.moves.tolist(), signs.tolist(), strict=True)
    seconds = [gain - ((price * move) >> PRICE_BITS) - 1 + sign * charge for gain, move, sign in changes]
    offset = ((price * relaxation.room) >> PRICE_BITS) + 1 + charge * spare
    if offset + sum(abs(second) * n for second, n in zip(seconds, counts.tolist(), strict=True)) >= LARGEST:
        return relaxation
    return replace(relaxation, seconds=np.array(seconds, dtype=np.int64), second_offset=offset)


def spare_items(relaxation: Relaxation) -> int:
    """How many items more than the prefix a set that fits has at most: the lightest that fit, less those that leave.

    Both are counted in the relaxation's integers, in which a state stands in for another one: a set may fit there that
    does not in truth, and what stands in for a solution must not be dropped for having an item too many.
    """
    sizes, leaves = np.abs(relaxation.moves), relaxation.moves > 0
    room = relaxation.room + int((sizes * relaxation.counts)[leaves].sum())
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]  # an addition without weight counts as no item
    taken = np.cumsum((sizes * relaxation.counts)[order])
    n_whole = int(np.searchsorted(taken, room, side="right"))
    n_items = int(relaxation.counts[order[:n_whole]].sum())
    if n_whole < order.size:
        n_items += (room - int(taken[n_whole - 1] if n_whole else 0)) // int(sizes[order[n_whole]])
    return n_items - int(relaxation.counts[leaves].sum())


def least_cost(relaxation: Relaxation) -> int:
    """What no set that fits costs less than, by the second prices."""
    return int((np.minimum(relaxation.seconds, 0) * relaxation.counts).sum()) - relaxation.second_offset


def screened(relaxation: Relaxation, limit: int) -> NDArray[np.intp]:
    """The classes that a set which costs less than `limit` may change, by the second prices."""
    return np.flatnonzero(least_cost(relaxation) + np.maximum(relaxation.seconds, 0) < limit)
