"""Statement 8 (stmt:trust-region in paper/theory.tex): TV(pi, p) <= D <= b, over steps TV <= P(any) <= sum E[D]."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import check, law_cases
from torch_laws import laws

from proxyalign.deferral import policy, rules
from proxyalign.verify.statements.token_laws import CONTEXTS, TOKENS


@given(case=law_cases(CONTEXTS, TOKENS))
def test_a_cascade_and_its_sequences_are_within_the_deferral_mass_of_the_base(case):
    """Fails when redrawn mass is counted twice, kept tokens are touched, or a step's law is not the sequence's."""
    check(8, case)


@given(case=law_cases(6, 8))
def test_so_they_are_over_more_tokens(case):
    """Fails as above, or when a budget is shared among rows."""
    check(8, case)


@given(p=laws((6, 8), "float64"))
def test_the_bound_is_attained_where_the_proxy_writes_what_the_base_cannot(p):
    """Fails for a bound that is true but not the best: D = TV where the proxy writes what the base never does."""
    p = torch.cat([p, torch.zeros_like(p[:, :1])], dim=1)
    q = torch.zeros_like(p)
    q[:, -1] = 1.0
    deferred = rules.Dual(0.3).defer(p)
    moved, mass = (policy.cascade(p, q, deferred) - p).abs().sum(-1) / 2, policy.deferral_mass(p, deferred)
    torch.testing.assert_close(moved, mass, rtol=0, atol=1e-15)


@pytest.mark.parametrize("make", [rules.Primal, rules.Exact])
@settings(max_examples=25)
@given(p=laws((4, 8), "float64"), budget=st.floats(0, 0.999))
def test_a_budgeted_rule_stays_within_its_budget(make, p, budget):
    """Fails when a step may overspend, if by one rounding only: the sum is exact."""
    for row, deferred in zip(p, make(budget).defer(p), strict=True):
        assert math.fsum([*row[deferred].tolist(), -budget]) <= 0
