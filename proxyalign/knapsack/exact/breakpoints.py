"""Every step of the optimum as a function of the budget: the list of undominated sets, in exact rationals."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack.problem import DeferralProblem
from proxyalign.knapsack.rationals import round_up


def breakpoints(problem: DeferralProblem, up_to: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(budgets, values), both (k,) float64 and rising: the optimum reaches values[j] at the budget budgets[j].

    The list of Nemhauser and Ullmann (Management Science 1969): item after item, the sets with and without it, less
    those that another one outdoes in weight and value. Exponential in the number of items at worst. The first budget
    is 0. Budgets are the weights rounded up, values rounded to nearest, so a step that no float64 budget tells from
    the next one is left out. problem: from `from_probs`; up_to: a mass in [0, 1], of which 1 buys every token, also
    where the law sums to a little more than 1: what weighs more is listed there.
    """
    limit = Fraction(problem.at_budget(up_to).budget)
    sets: list[tuple[Fraction, Fraction]] = [(Fraction(0), Fraction(0))]
    for value, weight in zip(
        map(Fraction, problem.values.tolist()), map(Fraction, problem.weights.tolist()), strict=True
    ):
        more = [(w + weight, v + value) for w, v in sets if w + weight <= limit]
        sets = _undominated(sorted([*sets, *more], key=lambda pair: (pair[0], -pair[1])))
    budgets: list[float] = []
    values: list[float] = []
    for weight, value in sets:
        budget = min(1.0, round_up(weight))
        if budgets and budgets[-1] == budget:
            values[-1] = float(value)
        else:
            budgets.append(budget)
            values.append(float(value))
    return np.array(budgets), np.array(values)


def _undominated(sets: list[tuple[Fraction, Fraction]]) -> list[tuple[Fraction, Fraction]]:
    """The sets, by rising weight, that are worth more than every lighter one."""
    kept: list[tuple[Fraction, Fraction]] = []
    for pair in sets:
        if not kept or pair[1] > kept[-1][1]:
            kept.append(pair)
    return kept
