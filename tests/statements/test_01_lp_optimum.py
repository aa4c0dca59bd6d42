"""Statement 1 (Dantzig): U = G + (b - W) e_c is the optimum of the linear relaxation; one item is fractional."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from scipy.optimize import linprog
from strategies import general_problems, law_problems, problems

from proxyalign.knapsack import DeferralProblem, lp_bound


def by_hand(problem):
    """(G, prefix size, critical item or None, its density, U), in rationals, whatever `order` says."""
    values, weights = (list(map(Fraction, numbers.tolist())) for numbers in (problem.values, problem.weights))
    items = range(len(problem))
    paid = sorted((k for k in items if weights[k] > 0), key=lambda k: (-values[k] / weights[k], k))
    total, room = sum((values[k] for k in items if weights[k] == 0), Fraction(0)), Fraction(problem.budget)
    n_prefix = len(problem) - len(paid)
    for item in paid:
        if weights[item] > room:
            density = values[item] / weights[item]
            return total, n_prefix, item, density, total + room * density
        total, room, n_prefix = total + values[item], room - weights[item], n_prefix + 1
    return total, n_prefix, None, Fraction(0), total


def check(problem):
    """Every field of the bound against `by_hand`."""
    bound = lp_bound(problem)
    prefix_value, n_prefix, critical, density, optimum = by_hand(problem)
    assert (bound.n_prefix, bound.critical, bound.price, bound.bound) == (n_prefix, critical, density, optimum)
    assert bound.prefix_value == float(prefix_value)
    assert Fraction(math.nextafter(bound.value, -1)) < optimum <= Fraction(bound.value)


@given(problem=problems())
def test_the_bound_is_prefix_value_and_a_part_of_the_critical_item(problem):
    """Fails when rounded densities decide the order, or the critical item is forgotten or off by one."""
    check(problem)


@pytest.mark.parametrize("probability", [5e-324, 0.03, 0.05])
def test_the_bound_is_right_among_neighbours_that_rounding_swaps(probability):
    """Fails when an item that rounding moved across the critical one stays on the side where `p` has it."""
    for ulps in itertools.product(range(5), repeat=4):
        law = [probability + n * math.ulp(probability) for n in ulps]
        for n_taken in range(4):
            check(DeferralProblem.from_probs([*law, 1.0 - sum(law)], budget=(n_taken + 0.5) * probability))


@pytest.mark.parametrize("seed", range(20))
def test_a_linear_programming_solver_finds_the_same_optimum(seed):
    """Fails for any prefix that is not the best fractional one; the solver knows nothing of densities."""
    rng = np.random.default_rng(seed)
    problem = DeferralProblem.from_probs(rng.dirichlet(np.full(30, 0.3)), budget=float(rng.random()))
    solved = linprog(-problem.values, A_ub=problem.weights[None], b_ub=[problem.budget], bounds=(0, 1), method="highs")
    assert lp_bound(problem).value == pytest.approx(-solved.fun, rel=1e-9)


@given(problem=general_problems())
def test_densities_fall_and_ties_rise_in_index(problem):
    """Fails when the sort is unstable, or the order is that of the values or of rounded quotients."""
    densities = [
        Fraction(problem.values[item]) / Fraction(problem.weights[item]) if problem.weights[item] > 0 else math.inf
        for item in problem.order.tolist()
    ]
    places = list(zip(densities, problem.order.tolist(), strict=True))
    assert places == sorted(places, key=lambda place: (-place[0], place[1]))


@given(problem=law_problems())
def test_for_surprisal_values_the_least_likely_tokens_come_first(problem):
    """Fails when rounding of the logarithm may change the order of two tokens."""
    assume(len(problem) > 1)
    law = problem.weights[problem.order]
    assert np.all(law[:-1] <= law[1:])
