"""A set worth at least 1 - eps of the optimum, at little more than the price of the greedy prefix: statement 21.

In the manner of Lawler (Fast approximation algorithms for knapsack problems, Math. Oper. Res. 4(4), 1979), but for
what a cheaper proof spares. Two greedy sets come first: the prefix, and the critical item, both filled up by
density. Let z be the better one's value, U the bound of the linear relaxation and A = eps z. Where U - z <= A, as on
most rows of a language model, that set is the answer. Else the items that are light, worth at most A / 2, are filled
in by density, and the others are searched through:

* A heavy item whose reduced cost |v - lambda w| is at least U - z - A / 2 keeps its place in the relaxation: no set
  without that is worth more than z + A / 2 (weak duality, statement 4). The rest, m items, are the core.
* Sets are made one core item after another. Of those that have decided the same items, one is dropped where its
  Lagrangian bound is at most z + A / 2, or where a lighter one is worth no less than its value less A / (2 m).
* Whatever heavy items an optimum takes, its light ones are worth no more than the relaxation of the light items
  in the room that is left; filling them in by density misses that by less than one of them, A / 2 at most.

So the heavy items of an optimum either meet a bound, and OPT <= z + A, or lose at most m times A / (2 m) until they
are a set that is kept, and A / 2 in the filling. Either way the answer is worth at least OPT - A >= (1 - eps) OPT. Each
set in a list is worth A / (2 m) more than the one before: there are never more than 2 m U / A + 1.

The numbers are float64. What rounding can do to values is taken off A; where it may decide whether a set fits, the
search ends, and is made again in Python's integers.
"""

from fractions import Fraction

import numpy as np
from numba import types
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.bounds import lp_bound
from proxyalign.knapsack.checks import real
from proxyalign.knapsack.compiled import compiled
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rational import exact_sum, whole_multiples
from proxyalign.knapsack.search import interpreted

GAP = 1e-12  # relative gap below which the set is called optimal, as in `exact`
ROUNDING = 2.0**-50  # of each of n terms, 8 times what a sum of them is off by: several sums go into a comparison
LEAST_EPS = 2.0**-20  # below this, rounding is not small beside what may be lost
FOUND, UNSURE, OPEN = 0, 1, 2  # how a search ends: with a proof; rounding may have decided; the rest may have to change


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
        chosen, ending = better(values, weights, n_prefix, budget, price, eps, 0.0, 0.0, rounding * budget, rounding)
        if ending == FOUND:
            return chosen
    worths, _ = whole_multiples(problem.values[problem.order])
    masses, _ = whole_multiples(np.append(problem.weights[problem.order], problem.budget))
    # In units of value in which lambda, the critical item's quotient, is an integer too.
    room, price, unit = masses.pop(), worths[n_prefix], masses[n_prefix]
    worths = [worth * unit for worth in worths]
    found: NDArray[np.bool_] = interpreted(better)(worths, masses, n_prefix, room, price, Fraction(eps), 0, 0, 0, 0)[0]
    return found


@compiled()
def fill(chosen: NDArray[np.bool_], weights: NDArray[np.float64], room: float, slack: float) -> None:
    """Add to `chosen` (n,) every item, in the order given, that is sure to fit what is left of the room."""
    for i in range(len(weights)):
        if not chosen[i] and weights[i] <= room - slack:
            chosen[i] = True
            room -= weights[i]


@compiled(
    types.Tuple([types.boolean[::1], types.int64])(
        types.float64[::1], types.float64[::1], types.int64, *[types.float64] * 7
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
) -> tuple[NDArray[np.bool_], int]:
    """The set (n,) bool that the head of this file describes, and how its search ended.

    values, weights: (n,) by falling density, no weight above the budget; n_prefix: how many of the first fit, less
    than n; price: lambda, the density of the item after them. slack: by how much a sum of weights may be off;
    rounding: by what share of U values may be off, less than half of eps. Both are 0 for integers.

    rest: what other items are worth at least, which are in every set here and outside of the arrays and the budget,
    light and of a density of at least rest_price, above that of all items in the arrays. Where a set without some of
    them may be worth more than is allowed, the search is `OPEN`: heavy items that weigh x more than the budget leave no
    room for those of the arrays that are light, and cost rest_price x at least.
    """
    n = len(values)
    chosen, other = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    bound, room = rest, budget
    for i in range(n_prefix):
        chosen[i] = True
        bound += values[i]
        room -= weights[i]
    bound += price * room
    fill(chosen, weights, room, slack)
    other[n_prefix] = True
    fill(other, weights, budget - weights[n_prefix], slack)
    best, rival = rest, rest
    for i in range(n):
        if chosen[i]:
            best += values[i]
        if other[i]:
            rival += values[i]
    if rival > best:
        chosen, best = other, rival
    loss = eps * best - rounding * bound  # that is allowed: A
    if bound - best <= loss:
        return chosen, FOUND

    goal = best + loss / 2  # what is bounded by this is of no interest
    taken = np.zeros(n, np.bool_)
    core, light = [n for _ in range(0)], [n for _ in range(0)]
    weight, value = 0 * budget, rest
    light_weights, light_values = [weight], [weight]  # of the first so many, together
    surplus = 0 * bound  # of what is undecided, over its price
    beyond = best  # what a set without some of the rest is worth at most
    for i in range(n):
        reduced = values[i] - price * weights[i]
        if 2 * values[i] <= loss:
            light.append(i)
            light_weights.append(light_weights[-1] + weights[i])
            light_values.append(light_values[-1] + values[i])
            surplus += max(reduced, 0)
        elif abs(reduced) < bound - goal:
            core.append(i)
            surplus += max(reduced, 0)
        elif i < n_prefix:
            taken[i] = True
            weight += weights[i]
            value += values[i]
    grain = loss / (2 * max(len(core), 1))
    parents, items = [0], [0]  # of each set that was made by adding an item, the one before and that item
    sets = [(weight, value, 0)]  # lightest first, and ever more valuable
    for i in core:
        surplus -= max(values[i] - price * weights[i], 0)
        more = [sets[0] for _ in range(0)]
        a, b = 0, 0
        while a < len(sets) or b < len(sets):
            # Merge the sets as they are with those that take the item, lightest first.
            takes = a == len(sets) or (b < len(sets) and sets[b][0] + weights[i] < sets[a][0])
            if takes:
                weight, value, node = sets[b][0] + weights[i], sets[b][1] + values[i], sets[b][2]
                b += 1
            else:
                weight, value, node = sets[a]
                a += 1
            if len(more) and value <= more[-1][1] + grain:
                continue
            if value + price * (budget - weight) + surplus <= goal:
                continue
            if weight > budget + slack:
                beyond = max(beyond, value - rest_price * (weight - budget))
                continue
            if weight > budget - slack:
                return chosen, UNSURE
            if takes:
                parents.append(node)
                items.append(i)
                node = len(items) - 1
            more.append((weight, value, node))
        sets = more
    last, n_light, k = -1, 0, len(light)
    for weight, value, node in sets:
        while k > 0 and light_weights[k] > budget - weight:
            k -= 1
        # The first k light items fit, and the next one does not.
        if k > 0 and light_weights[k] > budget - weight - slack:
            return chosen, UNSURE
        if k < len(light) and light_weights[k + 1] <= budget - weight + slack:
            return chosen, UNSURE
        if value + light_values[k] > best:
            best, last, n_light = value + light_values[k], node, k
    if last >= 0:
        while last > 0:
            taken[items[last]] = True
            last = parents[last]
        for i in light[:n_light]:
            taken[i] = True
        for i in range(n):
            if taken[i]:
                budget -= weights[i]
        fill(taken, weights, budget, slack)
        chosen = taken
    return chosen, OPEN if rest > 0 and beyond > best + loss / 2 else FOUND
