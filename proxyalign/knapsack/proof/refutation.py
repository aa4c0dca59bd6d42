"""A second, plain route to the same claim as `exact`: no set of these items is worth more than so much.

A list of undominated states in NumPy, offered the items nearest the price first and pruned by the linear relaxation
alone (Pisinger, Oper. Res. 1997). It shares no code and no bound with the search that it is there to check, finds
nothing, and is slow where the linear relaxation is weak.

Why True is a proof. Let T be the items with v > price w, c = price w, and count everything in units of 2^-bits. A set D
that weighs at most `room` differs from T by removing some items of T and adding others. With

    room left   r(D) = price (room - w(T)) + c(removed) - c(added) >= 0    at the price,
    loss        l(D) = (v - c)(removed) + (c - v)(added) >= 0,

the terms in c cancel in the sum, l(D) + r(D) = price (room - w(T)) + v(T) - v(D). So v(D) > threshold if and only if

    l(D) + r(D) < price (room - w(T)) + v(T) - threshold.                                                       (1)

*Rounding.* Removed items have v rounded down and c up, added ones v up and c down, and price (room - w(T)) is rounded
up to `free`. Then r(D) only grows, so that it stays >= 0 where D fits. The left side of (1) is free + v(removed) -
v(added) in integers, at most free + v(T) - v(D), and so for a D worth more than the threshold less than free +
ceil(v(T) - threshold). A loss that rounding made negative counts as 0, which raises the left side by at most the sum of
all those, and that is added to the right side: `allowed`. Each D worth more than the threshold thus ends as a state
(r, l) of integers with r >= 0 and l + r < allowed, and it is enough to see that none does.

*Dominance.* Of two states after the same items, one with no less room and l + r no greater does for the other: what
is changed later adds the same to both sums, and fits the one where it fits the other.

*Pruning.* What is still to be decided can remove weight b and add weight a, so that r ends as r + b - a >= 0, and it
costs s b + t a or more, s and t being the least loss per weight of the items left to remove and to add. Where r < 0, b
is at least -r, so that l + r ends at l + s (-r) or more. Where r >= 0, with u = min(1, t), it ends at l + t a + (r + b
- a) >= l + u a + u (r + b - a) >= l + u r or more. The slopes are floats: 2^-40 off the slope and 2^-40 off the
product are far more than the few roundings of 2^-53 among them. The product is rounded down to an integer and added to
l as one, since floats do not hold all integers of 58 bits.
"""

import math
import time
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

BITS = 58  # no sum of values or weights is above 2^58, so that sums of a few such sums stay in 64 bits
FAR = 2.0**62  # a cost above every allowed one, and in 64 bits when a loss is added
BELOW = 1.0 - 2.0**-40  # takes a float under the number that it is a few roundings off
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

    values, weights: (n,) float64, non-negative, finite. price: value per weight that separates the items taken first
    from those left, any number of at least 0, best near the optimal multiplier. seconds, max_states: what the search
    may cost. True is a proof, see above; where rounding, or a set that is worth more, keeps a state alive to the end,
    the answer is None.
    """
    deadline = time.perf_counter() + seconds
    if room < 0:
        return True
    # What is heavier than the room is in no set, and what is worthless makes none better.
    useful = np.array([Fraction(w) <= room for w in weights.tolist()], dtype=np.bool_) & (values > 0.0)
    values, weights = values[useful], weights[useful]
    if exact_total(values) <= threshold:
        return True
    if price <= 0 or threshold < 0:
        return None
    exact_values = [Fraction(x) for x in values.tolist()]
    costs = [price * Fraction(x) for x in weights.tolist()]
    taken = np.array([v > c for v, c in zip(exact_values, costs, strict=True)])
    bits = BITS - _magnitude(max(sum(exact_values, Fraction(0)), sum(costs, Fraction(0)), price * room))
    v, w = _rounded(exact_values, bits, ~taken), _rounded(costs, bits, taken)
    loss = np.where(taken, v - w, w - v)
    [free] = _rounded([price * (room - exact_total(weights[taken]))], bits, np.array([True])).tolist()
    [excess] = _rounded([exact_total(values[taken]) - threshold], bits, np.array([True])).tolist()
    allowed = free + excess - int(np.minimum(loss, 0).sum())
    loss = np.maximum(loss, 0)
    slope = np.where(w > 0, loss / np.maximum(w, 1), np.inf) * BELOW
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
        more = np.where(rooms < 0, rooms * -min(FAR, steepness_in[k + 1]), rooms * min(1.0, steepness_out[k + 1]))
        alive = losses + np.minimum(more * BELOW, FAR).astype(np.int64) < allowed
        rooms, losses = rooms[alive], losses[alive]
        if rooms.size == 0:
            return True
        if rooms.size > max_states:
            return None
    # Every change is decided: what is left of (1) are the states themselves.
    return None if np.any((rooms >= 0) & (losses + rooms < allowed)) else True


def exact_total(numbers: NDArray[np.float64]) -> Fraction:
    """The sum as a rational, one number after the other."""
    return sum(map(Fraction, numbers.tolist()), Fraction(0))


def _magnitude(number: Fraction) -> int:
    """A power e with number <= 2^e, at most 1 more than the least one, for a number above 0."""
    return number.numerator.bit_length() - number.denominator.bit_length() + 1


def _rounded(numbers: list[Fraction], bits: int, up: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers times 2^bits as integers, rounded up where told so, down elsewhere."""
    scale = Fraction(2) ** bits
    whole = [math.ceil(x * scale) if is_up else math.floor(x * scale) for x, is_up in zip(numbers, up, strict=True)]
    return np.array(whole, dtype=np.int64)


def _merged(
    rooms: NDArray[np.int64], losses: NDArray[np.int64], move: int, loss: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The states without and with one more change, roomiest first, without those that another one dominates."""
    rooms, losses = np.concatenate([rooms, rooms + move]), np.concatenate([losses, losses + loss])
    order = np.argsort(-rooms, kind="stable")
    rooms, losses = rooms[order], losses[order]
    costs = losses + rooms
    best = np.minimum.accumulate(costs)
    kept = np.append(True, costs[1:] < best[:-1])
    return rooms[kept], losses[kept]


def _least_from(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least entry from each place on, infinite behind the last."""
    return np.append(np.minimum.accumulate(column[::-1])[::-1], np.inf)
