"""From a problem to integers and back: the scaled items near the critical density, the core that a search is given."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack.bounds import quotient
from proxyalign.knapsack.exact.group_relaxation import group_levels
from proxyalign.knapsack.exact.states import NEVER, NEVER_UNBOUNDED, SHARE_BITS, STEEPEST, Core, interpreted, product
from proxyalign.knapsack.problem import DeferralProblem
from proxyalign.knapsack.rationals import exact_sum, round_up, whole_multiples

BITS = 59  # all weights together, and all values, stay below 2^59, so that no sum of them leaves 64 bits
DEAREST = Fraction(2) ** 900  # price of the whole budget, of the largest value, that floats are asked to work with
MOST_ROUNDINGS = 64  # changes that a set is expected to take; where it takes more, its exact sum tells
ROUNDING = 2.0**-50  # relative error that a handful of float64 operations stay below
SMALLEST = 2.0**-1074  # and absolute error of a float64 number that became subnormal


@dataclass(frozen=True, eq=False)
class Relaxation:
    """An integer problem whose optimum bounds the true one: classes of equal items, their changes, and the scales.

    Arrays are int64 where the numbers were rounded to 64 bits and object arrays of Python integers where they are
    exact. One cost unit is 2^-value_bits of value; costs are counted from the prefix, negative for what is worth more.
    """

    items: NDArray[np.intp]  # problem indices, class after class
    starts: NDArray[np.intp]  # (c,) where each class starts in `items`
    counts: NDArray[np.int64]  # (c,) how many items it has
    moves: NDArray[np.int64]  # (c,) what changing one of them adds to the room
    gains: NDArray[np.int64]  # (c,) and to the cost
    losses: NDArray[np.int64]  # (c,) its reduced cost
    seconds: NDArray[np.int64]  # (c,) and by a second pair of prices (see `cardinality_bound`), of either sign
    room: int  # of the prefix
    offset: int  # the loss that a solution of cost 0 has, so the loss of interest
    second_offset: int  # the same by the second prices
    safe_room: int  # room that makes up for the roundings
    modulus: int  # the critical item's weight
    price: Fraction  # loss of a unit of unused room
    value_bits: int

    @property
    def is_exact(self) -> bool:
        """Whether no number was rounded and Python's integers are needed."""
        return self.moves.dtype == object

    def levels(self, classes: NDArray[np.intp]) -> NDArray[np.float64]:
        """The group relaxation of these classes (see `group_relaxation`)."""
        lightest = int(np.min(self.moves, where=self.moves > 0, initial=self.modulus))
        slack = float(min(self.price * self.modulus / self.offset, Fraction(10**6))) * (1.0 - ROUNDING)
        places, losses = self.moves[classes] % self.modulus, self.losses[classes]
        return group_levels(places, losses, self.modulus, self.offset, slack, lightest / self.modulus % 1.0)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The items that a solution better than the prefix may change, in classes of equal ones, by falling density."""

    items: NDArray[np.intp]  # problem indices
    inside: NDArray[np.bool_]  # whether each is in the prefix
    starts: NDArray[np.intp]  # (c,) where each class starts in `items`
    counts: NDArray[np.int64]  # (c,) how many items it has
    room: Fraction  # budget less the prefix's weight
    dust: NDArray[np.intp]  # the lightest items of the prefix, which are left out
    spare: NDArray[np.intp]  # the next lightest, whose removal makes up for roundings
    price: Fraction  # the critical density, rounded
    allowance: Fraction  # what reduced costs below 0, which are rounding alone, add up to at most

    def of_one_weight(self, problem: DeferralProblem) -> bool:
        """Whether all items that matter weigh the same, as in a uniform law: then the prefix is the optimum.

        The room is less than that weight, so that no more items can be added than are removed, and of items of one
        weight those of the prefix are worth no less.
        """
        return self.dust.size == 0 and np.ptp(problem.weights[self.items]) == 0.0


def candidates(
    problem: DeferralProblem, usable: NDArray[np.intp], n_prefix: int, room: Fraction, ignored: float = 0.0
) -> Candidates:
    """The items whose reduced cost does not forbid changing them.

    usable: problem indices by falling density; the first `n_prefix` fit together, the next one does not fit as well.
    room: the budget less their weight.
    ignored: value that the dust, and the spare items, may have together. A model gives thousands of tokens less than
    the unit to which 64 bits round: removals that would seem to cost nothing, and spoil the bounds.

    With r_k = v_k - lambda w_k in the prefix and lambda w_k - v_k outside, for any lambda >= 0, a set that makes the
    changes C and leaves s >= 0 of the budget is worth G + lambda (room - s) - sum of r_k over C. So it beats the prefix
    only if each r_k is below lambda room and what the negative ones add up to, which is `allowance`: little, since they
    are within rounding of the critical density. Here r_k is bounded from below in floats, with the largest value and
    the budget scaled to 1 so that no product overflows: a product and a difference are off by 2^-53 of their size
    each, and what a subnormal number loses, in scaling and in the product, is less than the last term.
    """
    values, weights = problem.values[usable], problem.weights[usable]
    value_unit, weight_unit = math.frexp(float(values.max()))[1], math.frexp(problem.budget)[1]
    unit_price = Fraction(2) ** (value_unit - weight_unit)
    price = float(min(max(quotient(problem, int(usable[n_prefix])) / unit_price, 1 / DEAREST), DEAREST))
    inside = np.arange(usable.size) < n_prefix
    worth, costs = np.ldexp(values, -value_unit), price * np.ldexp(weights, -weight_unit)
    reduced = np.where(inside, worth - costs, costs - worth) - ROUNDING * (worth + costs) - (price + 4.0) * SMALLEST
    allowance = exact_sum(-np.minimum(reduced, 0.0))
    near = reduced < round_up(room * Fraction(price) / Fraction(2) ** weight_unit + allowance)
    near[n_prefix] = True
    removable = np.flatnonzero(near & inside)
    removable = removable[np.argsort(weights[removable], kind="stable")]
    with np.errstate(over="ignore"):
        n_dust, n_light = np.searchsorted(np.cumsum(values[removable]), [ignored, 2.0 * ignored], side="right")
    dust, spare = usable[removable[:n_dust]], usable[removable[n_dust:n_light]]
    near[removable[:n_dust]] = False
    items, inside, values, weights = usable[near], inside[near], values[near], weights[near]
    fresh = np.ones(items.size, dtype=np.bool_)
    fresh[1:] = (values[1:] != values[:-1]) | (weights[1:] != weights[:-1]) | (inside[1:] != inside[:-1])
    starts = np.flatnonzero(fresh)
    counts = np.diff(starts, append=items.size)
    exact_price, allowed = Fraction(price) * unit_price, allowance * Fraction(2) ** value_unit
    return Candidates(items, inside, starts, counts, room, dust, spare, exact_price, allowed)


def integers(problem: DeferralProblem, near: Candidates) -> Relaxation:
    """The problem in 64-bit integers, rounded so that nothing feasible or valuable is lost.

    Weights of items that leave are rounded up and their values down, those of items that enter the other way, and the
    room down, since only whole weights have to fit it: what fits still fits, and costs no more. The dust is taken to
    leave and to keep its value. So the least cost of an integer solution, in units, is at most what the best set lacks
    of the prefix.
    """
    first, counts = near.items[near.starts], near.counts
    room = near.room + exact_sum(problem.weights[near.dust])
    values, weights, leaves = problem.values[first], problem.weights[first], near.inside[near.starts]
    weight_unit, value_unit = math.frexp(problem.budget)[1], math.frexp(float(values.max()))[1]
    small_weights, small_values = np.ldexp(weights, -weight_unit), np.ldexp(values, -value_unit)
    small_price = float(min(near.price * Fraction(2) ** (weight_unit - value_unit), DEAREST))
    total = float(small_weights @ counts) + float(room / Fraction(2) ** weight_unit)
    weight_bits = BITS - 1 - math.frexp(total)[1]
    # Slopes are shares of one cost unit per weight unit, which has to be steeper than the densities that matter.
    with np.errstate(over="ignore", divide="ignore"):
        steepest = min(float((small_values / small_weights).max()), 2.0**16 * small_price)
    value_bits = min(weight_bits - math.frexp(steepest)[1], BITS - 1 - math.frexp(float(small_values @ counts))[1])
    scaled_weights = np.ldexp(weights, weight_bits - weight_unit)
    scaled_values = np.ldexp(values, value_bits - value_unit)
    whole_weights = np.where(leaves, np.maximum(np.ceil(scaled_weights), 1.0), np.floor(scaled_weights))
    whole_values = np.where(leaves, np.floor(scaled_values), np.maximum(np.ceil(scaled_values), 1.0))
    scaled_price = min(1.0, float(Fraction(small_price) * Fraction(2) ** (value_bits - weight_bits)))
    costs = scaled_price * whole_weights
    losses = np.floor(np.where(leaves, 1.0, -1.0) * (whole_values - costs) - ROUNDING * (whole_values + costs))
    sign = np.where(leaves, 1, -1)
    scale = Fraction(2) ** (weight_bits - weight_unit)
    n_roundings = min(MOST_ROUNDINGS, 1 + int(counts[whole_weights != scaled_weights].sum()))
    first_out = int(np.argmin(leaves))
    return _relaxation(
        near,
        sign * whole_weights.astype(np.int64),
        sign * whole_values.astype(np.int64),
        losses.astype(np.int64),
        math.floor(room * scale),
        Fraction(scaled_price),
        0 if exact_sum(problem.weights[near.spare]) * scale > 2 * n_roundings else n_roundings,
        int(whole_weights[first_out]),
        value_bits - value_unit,
    )


def rationals(problem: DeferralProblem, near: Candidates) -> Relaxation:
    """The same without any rounding, in Python's integers: the relaxation is the problem itself."""
    first, room, price = near.items[near.starts], near.room, near.price
    leaves = near.inside[near.starts].tolist()
    whole_weights, weight_bits = whole_multiples(np.append(problem.weights[first], problem.budget))
    whole_values, least_value_bits = whole_multiples(problem.values[first])
    # Room is a difference of such numbers, and may have finer bits where a lighter item of the prefix is no candidate.
    finer = max(0, room.denominator.bit_length() - 1 - weight_bits)
    whole_weights, weight_bits = [weight << finer for weight in whole_weights[:-1]], weight_bits + finer
    value_bits = max(least_value_bits, weight_bits + price.denominator.bit_length() - 1)
    whole_values = [value << (value_bits - least_value_bits) for value in whole_values]
    scaled_price = price * Fraction(2) ** (value_bits - weight_bits)
    # value_bits are enough to make the price of a unit of weight an integer.
    unit_price = int(scaled_price)
    costs = [unit_price * weight for weight in whole_weights]
    signs = [1 if leaving else -1 for leaving in leaves]
    losses = [sign * (value - cost) for sign, value, cost in zip(signs, whole_values, costs, strict=True)]
    return _relaxation(
        near,
        np.array([sign * weight for sign, weight in zip(signs, whole_weights, strict=True)], dtype=object),
        np.array([sign * value for sign, value in zip(signs, whole_values, strict=True)], dtype=object),
        np.array(losses, dtype=object),
        int(room * 2**weight_bits),
        scaled_price,
        0,
        whole_weights[leaves.index(False)],
        value_bits,
    )


def _relaxation(
    near: Candidates,
    moves: NDArray[np.int64],
    gains: NDArray[np.int64],
    losses: NDArray[np.int64],
    room: int,
    price: Fraction,
    safe_room: int,
    modulus: int,
    value_bits: int,
) -> Relaxation:
    """Put together what both arithmetics computed; losses that rounding made negative count as 0, and as allowance.

    What `states` builds on: each loss is at most r_k = +-(value - price weight) of the integers, so that a solution of
    the changes C that leaves s >= 0 unused costs

        sum of gains = (sum of r_k) + price (s - room) >= (sum of the losses, 0 for negative ones) - allowance + price s
                       - price room,

    and `offset` is at least price room + allowance.
    """
    below = losses < 0
    allowance = int((-losses[below] * near.counts[below]).sum()) if below.any() else 0
    offset = max(1, math.ceil(price * room) + allowance)
    losses = np.maximum(losses, 0)
    return Relaxation(
        items=near.items,
        starts=near.starts,
        counts=near.counts,
        moves=moves,
        gains=gains,
        losses=losses,
        seconds=losses,
        room=room,
        offset=offset,
        second_offset=offset,
        safe_room=safe_room,
        modulus=max(1, modulus),
        price=price,
        value_bits=value_bits,
    )


@dataclass(frozen=True, eq=False)
class Chunks:
    """The core's items: `copies` of one item of class `classes` at a time, so that a class takes few of them."""

    classes: NDArray[np.intp]
    copies: NDArray[np.int64]


def build_core(relaxation: Relaxation, classes: NDArray[np.intp], most_loss: int) -> tuple[Chunks, Core]:
    """The core of these classes, for solutions that lose less than `most_loss`.

    A class of m items becomes chunks of 1, 2, 4, ... and the rest, which make every number from 0 to m.
    """
    losses = relaxation.losses[classes]
    affordable = np.where(losses > 0, most_loss // np.maximum(losses, 1) + 1, relaxation.counts[classes])
    left = np.minimum(relaxation.counts[classes], affordable).astype(np.int64)
    which, copies, size = [np.arange(0)], [left[:0]], 1
    while left.any():
        taken = np.minimum(left, size)
        which.append(np.flatnonzero(taken > 0))
        copies.append(taken[taken > 0])
        left, size = left - taken, 2 * size
    chosen, times = classes[np.concatenate(which)], np.concatenate(copies)
    moves, gains = relaxation.moves[chosen] * times, relaxation.gains[chosen] * times
    losses = relaxation.losses[chosen] * times
    seconds = relaxation.seconds[chosen] * times
    slopes = _slopes(losses, np.abs(moves), relaxation.is_exact)
    order = _mixed(np.argsort(slopes, kind="stable"), slopes, moves > 0)
    moves, gains, losses, seconds, slopes = (column[order] for column in (moves, gains, losses, seconds, slopes))
    never, steepest = (NEVER_UNBOUNDED, NEVER_UNBOUNDED) if relaxation.is_exact else (NEVER, STEEPEST)
    leaves = moves > 0
    sloped = interpreted(product)(
        moves, slopes
    )  # at most the losses, and in the order of the slopes however they rounded
    in_items = np.flatnonzero(leaves)
    by_weight = in_items[np.argsort(moves[in_items], kind="stable")]
    columns: list[Any] = [
        moves,
        gains,
        losses,
        seconds,
        np.append(np.cumsum(np.minimum(seconds, 0)[::-1])[::-1], 0),
        _least_from(np.where(leaves, slopes, steepest), steepest),
        _least_from(np.where(leaves, steepest, slopes), steepest),
        _least_from(np.where(leaves, losses, never), never),
        _least_from(np.where(leaves, never, losses), never),
        _least_from(np.where(leaves, never, -moves), never),
        np.append(0, np.cumsum(leaves)),
        in_items,
        *(np.append(0, np.cumsum(column[in_items])) for column in (moves, gains, sloped)),
        by_weight,
        moves[by_weight],
    ]
    chunks = Chunks(chosen[order], times[order])
    if relaxation.is_exact:
        return chunks, Core(*(column.tolist() for column in columns))
    return chunks, Core(*(np.ascontiguousarray(column, dtype=np.int64) for column in columns))


def _slopes(losses: NDArray[np.int64], weights: NDArray[np.int64], is_exact: bool) -> NDArray[np.int64]:
    """Loss per weight in units of 2^-50, rounded down and below 1; 0 where there is no weight, which fills no room."""
    if is_exact:
        pairs = zip(losses.tolist(), weights.tolist(), strict=True)
        return np.array([(loss << SHARE_BITS) // max(1, weight) for loss, weight in pairs], dtype=object)
    quotients = losses / np.maximum(weights, 1) * ((STEEPEST + 1) * (1.0 - ROUNDING))
    return np.where(weights > 0, np.minimum(np.floor(quotients), STEEPEST), 0).astype(np.int64)


def _mixed(order: NDArray[np.intp], slopes: NDArray[np.int64], leaves: NDArray[np.bool_]) -> NDArray[np.intp]:
    """`order`, with removals and additions taking turns among the items that lose nothing per weight.

    Where values are in proportion to weights that is all of them, and no order but this one soon makes sets that fill
    the room: removals alone leave more of it, additions alone overspend it.
    """
    free = order[: int(np.count_nonzero(slopes == 0))]
    turn = np.where(leaves[free], np.cumsum(leaves[free]), np.cumsum(~leaves[free]))
    return np.append(free[np.argsort(turn, kind="stable")], order[free.size :])


def _least_from(column: NDArray[np.int64], at_the_end: int) -> NDArray[np.int64]:
    """The least entry from each place on, and `at_the_end` behind the last."""
    return np.append(np.minimum.accumulate(column[::-1])[::-1], at_the_end)


def changed_items(
    relaxation: Relaxation, chunks: Chunks, changes: list[int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Problem indices that the `changes` (positions in the core) remove from the prefix, and that they add to it."""
    changed: dict[int, int] = {}
    for change in changes:
        index = int(chunks.classes[change])
        changed[index] = changed.get(index, 0) + int(chunks.copies[change])
    removed, added = [relaxation.items[:0]], [relaxation.items[:0]]
    for index, count in changed.items():
        start = relaxation.starts[index]
        if relaxation.moves[index] > 0:
            stop = start + relaxation.counts[index]
            removed.append(relaxation.items[stop - count : stop])
        else:
            added.append(relaxation.items[start : start + count])
    return np.concatenate(removed), np.concatenate(added)
