"""Statement 20 (stmt:budget-price in paper/theory.tex): a step budget's price, bounded by how densities differ."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import check, law_cases

from proxyalign.deferral import rules
from proxyalign.knapsack import DeferralProblem, dual, exact, lp_bound, union


@settings(max_examples=60)
@given(case=st.one_of(law_cases(2, 5), law_cases(3, 3), law_cases(5, 2)))
def test_the_price_is_at_most_what_one_multiplier_would_treat_otherwise(case):
    """Fails when a rule skips a lighter token, or its critical density is another item's."""
    check(20, case)


def test_steps_of_one_critical_density_have_no_price():
    """Fails when the primal's prefix ends elsewhere: a law and its permutation share their density, and the dual's."""
    laws = np.array([[0.05, 0.15, 0.3, 0.5], [0.5, 0.3, 0.15, 0.05]])
    steps = [DeferralProblem.from_probs(law, budget=0.2) for law in laws]
    (price,) = {lp_bound(step).price for step in steps}
    by_dual = [dual(step, multiplier=math.nextafter(float(price), math.inf)).deferred.tolist() for step in steps]
    assert rules.Primal(0.2).defer(torch.from_numpy(laws)).tolist() == by_dual


def test_the_bound_is_near_on_steps_whose_densities_differ():
    """Shows that the bound is no trifle: the price of statement 14's example, which is a quarter of log 2."""
    laws = np.array([0.25, 0.25, 0.5]), np.full(8, 0.125)
    steps = [DeferralProblem.from_probs(law, budget=0.25) for law in laws]
    alone = sum(exact(step).value for step in steps)
    price = exact(union(steps, 0.5)).value - alone
    first, second = (float(lp_bound(step).price) for step in steps)
    assert price == pytest.approx(0.25 * (second - first))
    assert price == pytest.approx(0.25 * np.log(2.0))
