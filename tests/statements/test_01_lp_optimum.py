"""Statement 1 (Dantzig; stmt:lp-optimum in paper/theory.tex): U = G + (b - W) e_c is the optimum of the relaxation."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from scipy.optimize import linprog
from strategies import check, general_problems, knapsacks, law_problems

from proxyalign.knapsack import DeferralProblem, lp_bound
from proxyalign.verify.cases.generated import knapsack_of


@given(case=knapsacks())
def test_the_bound_is_prefix_value_and_a_part_of_the_critical_item(case):
    """Fails when rounded densities decide the order, or the critical item is forgotten or off by one."""
    check(1, case)


@pytest.mark.parametrize("probability", [5e-324, 0.03, 0.05])
def test_the_bound_is_right_among_neighbours_that_rounding_swaps(probability):
    """Fails when an item that rounding moved across the critical one stays on the side where `p` has it."""
    rng = np.random.default_rng(0)
    for ulps in itertools.product(range(5), repeat=4):
        law = [probability + n * math.ulp(probability) for n in ulps]
        p = np.array([*law, 1.0 - sum(law)])
        for n_taken in range(4):
            check(1, knapsack_of(rng, p, p, "neighbours", budget=(n_taken + 0.5) * probability))


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
