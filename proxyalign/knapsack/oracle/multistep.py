"""One budget for many steps (statement 14): the larger knapsack as a cvxpy model, a part a step, and its Lagrangian."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.bounds import dual_function, worth_more
from proxyalign.knapsack.oracle.linear import SCALE, solve_linear
from proxyalign.knapsack.oracle.milp import check_limit, modelling, usable_items
from proxyalign.knapsack.oracle.solvers import answered
from proxyalign.knapsack.problem import DeferralProblem, Solution

Sets = tuple[NDArray[np.bool_], ...]


@dataclass(frozen=True, eq=False)
class MultiStep:
    """What to defer at each of T steps that share a budget.

    solution: of the union of their items, one step after the other; deferred: the same set, (V_t,) bool for each step.
    """

    solution: Solution
    deferred: Sets


@dataclass(frozen=True, eq=False)
class Lagrangian:
    """The bound that one price for the mass of all steps proves, and the sets that it pays for (Everett on the union).

    multiplier: lambda, the price that makes the bound least; bound: L(lambda) = lambda B + the sum of `surplus`, from
    rationals and rounded up; surplus: for each step max over d of (v - lambda w) @ d, which no other step changes;
    deferred: (V_t,) bool for each step, v > lambda w, an optimum at the mass that it spends, which may exceed B.
    """

    multiplier: float
    bound: float
    surplus: tuple[float, ...]
    deferred: Sets


def union(steps: Sequence[DeferralProblem], budget: float) -> DeferralProblem:
    """The knapsack of all items of all steps, in their order, with one budget; the steps' own budgets are not read."""
    if len(steps) == 0:
        raise InputError("multistep: steps must hold at least one problem, got none; pass one for each step")
    values = np.concatenate([step.values for step in steps])
    return DeferralProblem(values, np.concatenate([step.weights for step in steps]), budget)


def multistep_oracle(
    steps: Sequence[DeferralProblem], budget: float, solver: str = "HIGHS", *, time_limit: float | None = None
) -> MultiStep:
    """Maximise the sum over t of v_t @ d_t subject to the sum over t of w_t @ d_t <= budget, by a general solver.

    steps: one problem a step, whose own budgets are not read; budget: for the mass of all of them together, at least 0.
    The model has a vector of booleans for each step; the answer is judged and its errors raised as those of `oracle`.
    """
    check_limit("multistep_oracle", time_limit)
    together = union(steps, budget)
    usable = usable_items(together)
    ends = np.cumsum([len(step) for step in steps])[:-1]
    parts = np.split(usable, np.searchsorted(usable, ends))
    solution = answered(together, parts, solver, time_limit, "multistep_oracle")
    return MultiStep(solution, tuple(np.split(solution.deferred, ends)))


def multistep_lagrangian(steps: Sequence[DeferralProblem], budget: float) -> Lagrangian:
    """Minimise L(lambda) = lambda B + the sum over t of 1 @ max(0, v_t - lambda w_t) over lambda >= 0, with cvxpy.

    By statement 4 on the union, the least value is Dantzig's bound there, at the density of its critical item.
    """
    cvxpy = modelling("multistep_lagrangian", "HIGHS")
    together = union(steps, budget)
    unit = max(together.budget, float(together.weights.max())) or 1.0
    worth = float(together.values.max()) or 1.0
    price = cvxpy.Variable(nonneg=True)  # in units of worth / unit
    surpluses = [
        cvxpy.sum(cvxpy.pos(step.values / worth * SCALE - price * (step.weights / unit * SCALE))) for step in steps
    ]
    programme = cvxpy.Problem(cvxpy.Minimize(price * (together.budget / unit * SCALE) + sum(surpluses)))
    solve_linear("multistep_lagrangian", programme)
    multiplier = max(0.0, float(price.value) * worth / unit)
    # What a step adds to L(lambda) is its own dual function without a budget.
    alone = [DeferralProblem(step.values, step.weights, 0.0) for step in steps]
    return Lagrangian(
        multiplier=multiplier,
        bound=dual_function(together, multiplier),
        surplus=tuple(dual_function(step, multiplier) for step in alone),
        deferred=tuple(worth_more(step, Fraction(multiplier)) for step in steps),
    )
