"""Statement 14 (stmt:one-budget in paper/theory.tex): dual(alpha) at every step is optimal for all steps together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import check, law_cases

from proxyalign.knapsack import DeferralProblem, dual, exact


@settings(max_examples=60)
@given(case=st.one_of(law_cases(2, 5), law_cases(3, 3), law_cases(5, 2)))
def test_no_rule_of_the_same_mass_collects_more_than_the_dual(case):
    """Fails when the dual goes by value, or a set per step is worth more than the best set of the union."""
    check(14, case)


def test_a_budget_per_step_has_a_price():
    """Shows that it can be large: a flat step and a certain one, where one budget goes to the flat step alone."""
    flat, certain = np.full(4, 0.25), np.array([1.0, 0.0, 0.0, 0.0])
    alone = sum(exact(DeferralProblem.from_probs(p, budget=0.4)).value for p in (flat, certain))
    shared = dual(DeferralProblem.from_probs(flat, budget=1.0), alpha=0.3)
    assert shared.mass == 1.0
    together = exact(DeferralProblem(shared_values(flat, certain), np.concatenate([flat, certain]), budget=0.8))
    assert together.value == pytest.approx(3 * alone)


def shared_values(*laws):
    """The values of several steps' tokens in a row."""
    return np.concatenate([DeferralProblem.from_probs(p, budget=1.0).values for p in laws])
