"""A second, plain route to the same claim as `exact`: no set of these items is worth more than so much.

A list of undominated states in NumPy, offered the items nearest the price first and pruned by the linear relaxation
alone (Pisinger, Oper. Res. 1997). It shares no code and no bound with the search that it is there to check, finds
nothing, and is slow where the linear relaxation is weak.
"""

import math
import time
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

BITS = 60  # the largest number in play stays below 2^60, so that sums of a few stay in 64 bits
CLOCK = 64  # items between two looks at the clock


def none_is_worth_more(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    room: Fraction,
    threshold: Fraction,
    price: Fraction,
    *,
    seconds: float,
    max_states: int,
) -> bool | None:
    """True if every set of weight at most `room` is worth at most `threshold`; None where that was not shown.

    values, weights: (n,) float64, non-negative. price: value per weight that separates the items taken first from those
    left, any positive number, best near the optimal multiplier. seconds, max_states: what the search may cost. Numbers
    are rounded to integers in the direction that favours sets, so True is a proof; where rounding, or a set that is
    worth more, keeps a state alive to the end, the answer is None.
    """
    deadline = time.perf_counter() + seconds
    if price <= 0 or values.size == 0:
        return True if exact_total(values) <= threshold else None
    exact_values, exact_weights = ([Fraction(x) for x in column.tolist()] for column in (values, weights))
    taken = np.array([v > price * w for v, w in zip(exact_values, exact_weights, strict=True)])
    # One scale for values and, through the price, for weights: an item loses |value - weight| against the best price.
    largest = max(Fraction(float(values.sum())), price * Fraction(float(weights.sum())), abs(price * room), threshold)
    scale = Fraction(2) ** (BITS - 2 - math.frexp(float(largest))[1])
    v = _rounded([x * scale for x in exact_values], ~taken)
    w = _rounded([x * price * scale for x in exact_weights], taken)
    loss = np.where(taken, v - w, w - v)
    # Against the set of those taken, a set worth more than the threshold pays less than this for what it changes;
    # losses that rounding made negative are counted as 0, and added here.
    free = math.ceil((room - exact_total(weights[taken])) * price * scale)
    allowed = free + math.ceil((exact_total(values[taken]) - threshold) * scale) - int(np.minimum(loss, 0).sum())
    loss = np.maximum(loss, 0)
    with np.errstate(divide="ignore"):
        slope = np.where(w > 0, loss / np.maximum(w, 1), np.inf) * (1.0 - 2.0**-40)
    order = np.argsort(slope, kind="stable")
    move, loss, slope = np.where(taken, w, -w)[order], loss[order], slope[order]
    steepness_in = _least_from(np.where(move > 0, slope, np.inf))
    steepness_out = _least_from(np.where(move <= 0, slope, np.inf))
    rooms, losses = np.array([free]), np.array([0])
    for k in range(move.size):
        if k % CLOCK == 0 and time.perf_counter() > deadline:
            return None
        rooms, losses = _merged(rooms, losses, int(move[k]), int(loss[k]))
        # Room left over costs its price, 1 a unit; overspent room has to be bought back at the slope of what remains.
        missing, unused = np.maximum(-rooms, 0), np.maximum(rooms, 0)
        with np.errstate(invalid="ignore", over="ignore"):
            more = np.where(missing > 0, missing * steepness_in[k + 1], unused * min(1.0, steepness_out[k + 1]))
            alive = losses + np.floor(more * (1.0 - 2.0**-40)) < allowed
        rooms, losses = rooms[alive], losses[alive]
        if rooms.size == 0:
            return True
        if rooms.size > max_states:
            return None
    fitting = rooms >= 0
    return True if bool(np.all(losses[fitting] + rooms[fitting] >= allowed)) else None


def exact_total(numbers: NDArray[np.float64]) -> Fraction:
    """The sum as a rational, one number after the other."""
    return sum(map(Fraction, numbers.tolist()), Fraction(0))


def _rounded(numbers: list[Fraction], up: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers as integers, rounded up where told so, down elsewhere."""
    whole = [math.ceil(x) if is_up else math.floor(x) for x, is_up in zip(numbers, up.tolist(), strict=True)]
    return np.array(whole, dtype=np.int64)


def _merged(
    rooms: NDArray[np.int64], losses: NDArray[np.int64], move: int, loss: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The states without and with one more change, roomiest first, without those that another one dominates.

    What a state is worth is room at its price less loss, so it is dominated by a state of no less room whose
    loss less room is no greater.
    """
    rooms, losses = np.concatenate([rooms, rooms + move]), np.concatenate([losses, losses + loss])
    order = np.argsort(-rooms, kind="stable")
    rooms, losses = rooms[order], losses[order]
    costs = losses + (rooms - rooms[0])
    best = np.minimum.accumulate(costs)
    kept = np.append(True, costs[1:] < best[:-1])
    return rooms[kept], losses[kept]


def _least_from(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least entry from each place on, infinite behind the last."""
    return np.append(np.minimum.accumulate(column[::-1])[::-1], np.inf)
