"""Statement 1 (Dantzig): U = G + (b - W) e_c is the optimum of the linear relaxation; one item is fractional."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from scipy.optimize import linprog
from strategies import general_problems, law_problems, mass, problems, value

from proxyalign.knapsack import lp_bound


@given(problem=problems())
def test_the_bound_is_prefix_value_and_a_part_of_the_critical_item(problem):
    """Fails when the critical item is forgotten, or when it is the item before or after."""
    bound = lp_bound(problem)
    prefix = problem.order[: bound.n_prefix]
    room = Fraction(problem.budget) - mass(problem, prefix)
    assert room >= 0
    expected = value(problem, prefix)
    if bound.critical is None:
        assert bound.n_prefix == len(problem)
    else:
        assert bound.critical == problem.order[bound.n_prefix]
        weight = Fraction(problem.weights[bound.critical])
        assert room < weight
        expected += room * Fraction(problem.values[bound.critical]) / weight
    assert Fraction(bound.value) >= expected
    assert bound.value <= float(expected) * (1 + 1e-15) + 5e-324


@pytest.mark.parametrize("seed", range(20))
def test_a_linear_programming_solver_finds_the_same_optimum(seed):
    """Fails for any prefix that is not the best fractional one; the solver knows nothing of densities."""
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.full(30, 0.3))
    from proxyalign.knapsack import DeferralProblem

    problem = DeferralProblem.from_probs(law, budget=float(rng.random()))
    solved = linprog(-problem.values, A_ub=problem.weights[None], b_ub=[problem.budget], bounds=(0, 1), method="highs")
    assert lp_bound(problem).value == pytest.approx(-solved.fun, rel=1e-9)


@given(problem=general_problems())
def test_densities_fall_and_ties_rise_in_index(problem):
    """Fails when the sort is unstable or the order is that of the values."""
    densities = problem.densities[problem.order]
    assert np.all(densities[:-1] >= densities[1:])
    tied = densities[:-1] == densities[1:]
    assert np.all(problem.order[:-1][tied] < problem.order[1:][tied])


@given(problem=law_problems())
def test_for_surprisal_values_the_least_likely_tokens_come_first(problem):
    """Fails when rounding of the logarithm may change the order of two tokens."""
    assume(len(problem) > 1)
    law = problem.weights[problem.order]
    assert np.all(law[:-1] <= law[1:])
