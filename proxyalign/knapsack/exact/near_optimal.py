"""A set worth at least 1 - eps of the optimum, at little more than the price of the greedy prefix: statement 21.

In the manner of Lawler (Fast approximation algorithms for knapsack problems, Math. Oper. Res. 4(4), 1979), but for
what cheaper proofs spare. Two greedy sets come first: the prefix, and the critical item, both filled up by density. Let
z be the value of the best set so far, A = eps times the first z, U the bound of the linear relaxation and lambda its
multiplier. Where U - z <= A, as on most rows of a language model, that set is the answer. Else the items that are worth
at most some value l are called light, and the others are searched through for sets worth more than some goal g:

* Sets of heavy items are made from the prefix by changing one item after another, taking it or leaving it, those near
  the critical density first. Of the sets that have decided the same items some stand for others: each has a `worth`, at
  least the value of any heavier set that it stands for, and at most A s / (2 m) above its own after s of the m items.
* A set is dropped where no way to go on is worth more than g: lambda times the budget and the sum of max(0, v - lambda
  w), less |v - lambda w| for each change, bounds those (weak duality, statement 4). An item for which that is so by
  itself is not changed at all; m counts the others.
* Whatever heavy items an optimum has, its light ones are worth no more than the linear relaxation of the light items in
  the room that is left. With the worths, that gives the most that any set is worth which was not dropped: M. The best
  set made is filled up with light items, by density.

So OPT <= max(g, M), and the answer is proved where that is at most z + A; so it is where U - z <= A. Otherwise g is
lowered if it is the larger, or l is. This ends: g stops at z + A, and a set filled up is worth at least its bound in M
less A / 2 and less one light item, at most A / 2 in the end. Then z >= OPT - A >= (1 - eps) OPT. The sets of a list are
each worth A / (2 m) more than the one before it, so that there are never more than 2 m U / A + 1.

The numbers are float64. What rounding can do to values is taken off A; where it may decide whether a set fits, or the
lists grow long, the search ends. Then `exact` is asked for the same gap, and if it does not prove that within its
memory, the search is made again in rationals, and to the end.
"""

import math
from fractions import Fraction

import numpy as np
from numba import types
from numpy.typing import NDArray

from proxyalign.compiled import compiled
from proxyalign.errors import InputError
from proxyalign.knapsack.arguments import real
from proxyalign.knapsack.bounds import lp_bound
from proxyalign.knapsack.exact.solver import exact
from proxyalign.knapsack.exact.states import interpreted
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rationals import exact_sum

GAP = 1e-12  # relative gap below which the set is called optimal, as in `exact`
ROUNDING = 2.0**-50  # of each of n terms, 8 times what a sum of them is off by: several sums go into a comparison
LEAST_EPS = 2.0**-20  # below this, rounding is not small beside what may be lost
EFFORT = 2.0**19  # sets looked at in one search, some 5 ms, after which `exact` is asked
EXACT_MEMORY = 2.0**26  # bytes
NARROW, WIDER = 8.0, 4  # the first goal is A / 8 below the bound, the next ones 4 times as far
FINER = 4  # by which l is divided, at first half the critical item's value
FOUND, UNSURE, OPEN = 0, 1, 2  # how `better` ends: proved; rounding may decide, or it takes long; the rest may change


def near_optimal(problem: DeferralProblem, eps: float = 0.01) -> Solution:
    """A set within the budget that is worth at least (1 - eps) times the optimum (statement 21; Lawler 1979).

    eps: in (0, 1), the share of the optimum that may be lost. The guarantee is one of exact arithmetic, for every
    problem; where the greedy sets do not meet it, time and memory grow as 1 / eps. The upper bound is the lesser of
    value / (1 - eps) and the linear relaxation's, items heavier than the budget left out. Raises InputError for an eps
    outside its range.
    """
    share = real("near_optimal", "eps", eps)
    if not 0.0 < share < 1.0:
        raise InputError(f"near_optimal: eps must be above 0 and below 1, got {share}; pass for example 0.01")
    deferred = np.zeros(len(problem), dtype=np.bool_)
    usable = np.flatnonzero(problem.weights <= problem.budget)
    if not usable.size:
        return problem.solution(deferred, Fraction(0), GAP, "near-optimal")
    inner = DeferralProblem(problem.values[usable], problem.weights[usable], problem.budget)
    relaxed = lp_bound(inner)
    chosen = np.arange(usable.size) < relaxed.n_prefix  # in the order of falling density
    if relaxed.bound - exact_sum(inner.values[inner.order[chosen]]) > Fraction(share) * relaxed.bound:
        chosen = _searched(inner, relaxed.n_prefix, share)
    deferred[usable[inner.order[chosen]]] = True
    proved = exact_sum(problem.values[deferred]) / (1 - Fraction(share))
    return problem.solution(deferred, min(relaxed.bound, proved), GAP, "near-optimal")


def _searched(problem: DeferralProblem, n_prefix: int, eps: float) -> NDArray[np.bool_]:
    """(n,) bool: the set that `better` finds, by falling density, in floats where they can tell."""
    values, weights, budget = problem.values[problem.order], problem.weights[problem.order], problem.budget
    if eps >= LEAST_EPS:
        # Powers of two change no digit but of what is too small to count.
        values = np.ldexp(values, -np.frexp(values.max())[1])
        weights, budget = (np.ldexp(number, -np.frexp(problem.budget)[1]) for number in (weights, budget))
        price, rounding = values[n_prefix] / weights[n_prefix], ROUNDING * (values.size + 64)
        chosen, ending = better(
            values, weights, n_prefix, budget, price, eps, 0.0, 0.0, rounding * budget, rounding, EFFORT
        )
        if ending == FOUND:
            return chosen
    solved = exact(problem, gap=eps, memory_limit=EXACT_MEMORY)
    if solved.is_optimal:
        return solved.deferred[problem.order]
    worths, masses = (list(map(Fraction, row[problem.order].tolist())) for row in (problem.values, problem.weights))
    price, room, nothing = worths[n_prefix] / masses[n_prefix], Fraction(problem.budget), Fraction(0)
    found: NDArray[np.bool_]
    found, _ = interpreted(better)(
        worths, masses, n_prefix, room, price, Fraction(eps), nothing, nothing, nothing, nothing, math.inf
    )
    return found


@compiled()
def filled(
    chosen: NDArray[np.bool_],
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    budget: float,
    slack: float,
) -> float:
    """Add to `chosen` (n,), a set that fits, every item that is sure to fit too, in order; what all are worth then."""
    room = budget
    value: float = 0 * values[0]
    for i in range(len(weights)):
        if chosen[i]:
            room -= weights[i]
    for i in range(len(weights)):
        if not chosen[i] and weights[i] <= room - slack:
            chosen[i] = True
            room -= weights[i]
        if chosen[i]:
            value += values[i]
    return value


@compiled()
def search(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_prefix: int,
    budget: float,
    price: float,
    goal: float,
    enough: float,
    most_light: float,
    spare: float,
    rest: float,
    rest_price: float,
    slack: float,
    effort: float,
) -> tuple[NDArray[np.bool_], float, float, int]:
    """The best set (n,) bool found; what any set that may be worth more than the goal is worth at most, if it has all
    of the rest and if it has not; and how the search ended: `FOUND` a set worth enough, `OPEN`, or `UNSURE`.

    enough: value at which the search ends at once, and its bounds mean nothing. most_light: l; spare: A / 2. The other
    arguments are those of `better`.
    """
    n = len(values)
    chosen = np.zeros(n, np.bool_)
    heavy, light = [n for _ in range(0)], [n for _ in range(0)]
    nothing = 0 * budget
    weight, value, bound = nothing, rest, rest + price * budget
    light_weights, light_values = [nothing], [nothing]  # of the first so many, together
    for i in range(n):
        bound += max(values[i] - price * weights[i], 0)
        if values[i] <= most_light:
            light.append(i)
            light_weights.append(light_weights[-1] + weights[i])
            light_values.append(light_values[-1] + values[i])
        elif i < n_prefix:
            chosen[i] = True
            weight += weights[i]
            value += values[i]
    # The heavy items, the nearest to the critical one first.
    before, after = n_prefix - 1, n_prefix
    while before >= 0 or after < n:
        for i in (after, before):
            if 0 <= i < n and values[i] > most_light and abs(values[i] - price * weights[i]) < bound - goal:
                heavy.append(i)  # noqa: PERF401, numba has no generators
        before, after = before - 1, after + 1
    base = bound - value - price * (budget - weight)  # what light items add to a set's bound
    parents, items = [0], [0]  # of each set that was made by a change, the one before and the item
    # Sets, lightest first: weight, value, worth, and the last change made to each.
    sets = [(weight, value, value, 0)]
    best, last, n_light, k, most, beyond = rest, 0, 0, 0, rest, rest
    looked_at, ending = 0, OPEN
    for step in range(len(heavy) + 1):
        is_last = step == len(heavy)
        # What the light items add to each: the first k of them fit, and the next one does not.
        most = beyond = rest
        for weight, value, worth, node in sets:
            room = budget - weight
            if room < -slack:
                beyond = max(beyond, worth + rest_price * room)
                continue
            is_sure = room >= slack
            room = max(room, nothing)
            while k < len(light) and light_weights[k + 1] <= room:
                k += 1
            while k > 0 and light_weights[k] > room:
                k -= 1
            is_sure = is_sure and (k == 0 or light_weights[k] <= room - slack)
            if is_sure and value + light_values[k] > best:
                best, last, n_light = value + light_values[k], node, k
            if is_last and not (is_sure and (k == len(light) or light_weights[k + 1] > room + slack)):
                return chosen, most, beyond, UNSURE
            worth += light_values[k]
            if k < len(light):
                worth += (room - light_weights[k]) * (values[light[k]] / weights[light[k]])
            most = max(most, worth)
        if is_last or best >= enough:
            ending = FOUND if best >= enough else OPEN
            break
        looked_at += 2 * len(sets)
        if looked_at > effort:
            return chosen, most, beyond, UNSURE
        i = heavy[step]
        sign = -1 if i < n_prefix else 1
        allowed = spare * (step + 1) / len(heavy)
        more = [sets[0] for _ in range(0)]
        a, b = 0, 0
        while a < len(sets) or b < len(sets):
            # Merge the sets as they are with those that are changed, lightest first.
            changed = a == len(sets) or (b < len(sets) and sets[b][0] + sign * weights[i] < sets[a][0])
            weight, value, worth, node = sets[b if changed else a]
            if changed:
                weight, value, worth = weight + sign * weights[i], value + sign * values[i], worth + sign * values[i]
                b += 1
            else:
                a += 1
            if worth + price * (budget - weight) + base <= goal:
                continue
            if len(more):
                lighter = more[-1]
                if worth <= max(lighter[2], lighter[1] + allowed):
                    more[-1] = (lighter[0], lighter[1], max(lighter[2], worth), lighter[3])
                    continue
            if changed:
                parents.append(node)
                items.append(i)
                node = len(items) - 1
            more.append((weight, value, worth, node))
        sets = more
    while last > 0:
        chosen[items[last]] = not chosen[items[last]]
        last = parents[last]
    for i in light[:n_light]:
        chosen[i] = True
    return chosen, most, beyond, ending


@compiled(
    types.Tuple([types.boolean[::1], types.int64])(
        types.float64[::1], types.float64[::1], types.int64, *[types.float64] * 8
    )
)
def better(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_prefix: int,
    budget: float,
    price: float,
    eps: float,
    rest: float,
    rest_price: float,
    slack: float,
    rounding: float,
    effort: float,
) -> tuple[NDArray[np.bool_], int]:
    """The set (n,) bool that the head of this file describes, and how its search ended.

    values, weights: (n,) by falling density; n_prefix: how many of the first fit, less than n; price: lambda, the
    density of the item after them. slack: by how much a sum of weights may be off; rounding: by what share of U values
    may be off, less than half of eps; both are 0 for rationals. effort: sets that a search may look at.

    rest: what further items are worth at least, which are in every set here, and neither in the arrays nor in the
    budget; rest_price: a density that is no item's of the arrays above, and no item's of the rest below. Heavy items
    that weigh x more than the budget leave no room for the light ones of the arrays, and cost the rest rest_price x at
    least. Where a set may be worth more than is allowed even so, the search is `OPEN`.
    """
    chosen, other = np.zeros(len(values), np.bool_), np.zeros(len(values), np.bool_)
    bound, room = rest, budget
    for i in range(n_prefix):
        chosen[i] = True
        bound += values[i]
        room -= weights[i]
    bound += price * room
    best = rest + filled(chosen, values, weights, budget, slack)
    if weights[n_prefix] <= budget - slack:
        other[n_prefix] = True
        rival = rest + filled(other, values, weights, budget, slack)
        if rival > best:
            chosen, best = other, rival
    loss = eps * best - rounding * bound
    if loss <= rounding * bound:
        return chosen, UNSURE
    width, most_light = loss / NARROW, values[n_prefix] / 2
    while bound - best > loss:
        goal = max(bound - width, best + loss)
        other, most, beyond, ending = search(
            values,
            weights,
            n_prefix,
            budget,
            price,
            goal,
            bound - loss,
            most_light,
            loss / 2,
            rest,
            rest_price,
            slack,
            effort,
        )
        if ending == UNSURE:
            return chosen, UNSURE
        rival = rest + filled(other, values, weights, budget, slack)
        if ending == FOUND:
            return other, FOUND
        if rival > best:
            chosen, best = other, rival
        if max(goal, most) <= best + loss:
            return chosen, OPEN if rest > 0 and beyond > best + loss else FOUND
        if most > goal:
            most_light /= FINER
        else:
            width *= WIDER
    return chosen, FOUND
