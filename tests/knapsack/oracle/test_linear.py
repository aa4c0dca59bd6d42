"""The linear relaxation by a general solver: its primal and dual values are Dantzig's bound, its price is lambda*."""

import numpy as np
import pytest
from hypothesis import given, settings

from proxyalign.knapsack import DeferralProblem, dual_function, lp_bound
from proxyalign.knapsack.oracle.linear import lp_relaxation
from tests.strategies import laws

pytest.importorskip("cvxpy")


def check(problem):
    """Both values are U, no multiplier beats the dual's, and at most one item is split where densities differ."""
    relaxed, bound = lp_relaxation(problem), lp_bound(problem)
    scale = max(1e-300, float(problem.values.sum()))
    assert relaxed.value == pytest.approx(bound.value, rel=1e-9, abs=1e-9 * scale)
    assert relaxed.dual_value == pytest.approx(bound.value, rel=1e-9, abs=1e-9 * scale)
    assert relaxed.dual_value >= bound.bound
    return relaxed, bound


@pytest.mark.parametrize("budget", [0.05, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("size", [3, 50, 2000])
def test_primal_and_dual_values_are_dantzigs_bound_and_the_price_is_lambda_star(size, budget):
    """Fails when `lp_bound` takes another critical item than the solver's basis, or sums up wrongly."""
    law = np.random.default_rng(size).dirichlet(np.full(size, 0.5))
    relaxed, bound = check(DeferralProblem.from_probs(law, budget))
    assert relaxed.multiplier == pytest.approx(bound.multiplier, rel=1e-9, abs=1e-12)
    split = (relaxed.fractions > 1e-6) & (relaxed.fractions < 1 - 1e-6)
    assert split.sum() <= 1
    if bound.critical is not None:
        assert np.flatnonzero(split).tolist() in ([], [bound.critical])


@settings(max_examples=30)
@given(law=laws())
def test_the_values_agree_on_laws_that_break_things(law):
    """Fails on ties, zeros, peaks and subnormal tokens; the multiplier is not unique there, its value is."""
    relaxed, _ = check(DeferralProblem.from_probs(law, 0.3))
    assert relaxed.multiplier >= 0.0


def test_values_of_any_unit_and_no_budget_at_all():
    """Fails when scaling for the solver divides by nothing, or is not undone in the multiplier."""
    problem = DeferralProblem(values=[6e6, 1e6, 4e6, 0.0], weights=[2e-6, 1e-6, 4e-6, 0.0], budget=3e-6)
    relaxed, bound = check(problem)
    assert relaxed.multiplier == pytest.approx(bound.multiplier, rel=1e-6)
    broke = DeferralProblem(values=[1.0, 2.0, 5.0], weights=[0.5, 0.5, 0.0], budget=0.0)
    relaxed, _ = check(broke)
    assert relaxed.dual_value == pytest.approx(dual_function(broke, relaxed.multiplier))
    check(DeferralProblem(values=[0.0, 0.0], weights=[0.0, 0.0], budget=0.0))
