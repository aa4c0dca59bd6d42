"""Statement 8: TV(pi, p) <= D, D <= b for a budgeted rule, and over a sequence TV <= P(a deferral) <= sum of E[D_t]."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch_laws import laws

from proxyalign.deferral import policy, rules

V, LENGTH = 3, 3
CONTEXTS = [prefix for n in range(LENGTH) for prefix in itertools.product(range(V), repeat=n)]


def total_variation(a, b):
    return (a - b).abs().sum(-1) / 2


@given(
    p=laws((6, 8), "float64"),
    q=laws((6, 8), "float64"),
    deferred=hnp.arrays(bool, (6, 8)).map(torch.from_numpy),
)
def test_a_cascade_is_within_its_deferral_mass_of_the_base(p, q, deferred):
    """Fails when redrawn mass is counted twice or kept tokens are touched; holds for every set, not a rule's alone."""
    moved = total_variation(policy.cascade(p, q, deferred), p)
    assert (moved <= policy.deferral_mass(p, deferred) + 1e-15).all()


@given(p=laws((6, 8), "float64"))
def test_the_bound_is_attained_where_the_proxy_writes_what_the_base_cannot(p):
    """Fails for a bound that is true but not the best: D = TV where the proxy writes what the base never does."""
    p = torch.cat([p, torch.zeros_like(p[:, :1])], dim=1)
    q = torch.zeros_like(p)
    q[:, -1] = 1.0
    deferred = rules.Dual(0.3).defer(p)
    moved, mass = total_variation(policy.cascade(p, q, deferred), p), policy.deferral_mass(p, deferred)
    torch.testing.assert_close(moved, mass, rtol=0, atol=1e-15)


@pytest.mark.parametrize("make", [rules.Primal, rules.Exact])
@settings(max_examples=25)
@given(p=laws((4, 8), "float64"), budget=st.floats(0, 0.999))
def test_a_budgeted_rule_stays_within_its_budget(make, p, budget):
    """Fails when a step may overspend, if by one rounding only: the sum is exact."""
    for row, deferred in zip(p, make(budget).defer(p), strict=True):
        assert math.fsum([*row[deferred].tolist(), -budget]) <= 0


def sequence_law(tables):
    """The law (V,) * LENGTH of a sequence whose token after each context is drawn from that context's row."""
    law = torch.ones((V,) * LENGTH, dtype=torch.float64)
    for sequence in itertools.product(range(V), repeat=LENGTH):
        law[sequence] = math.prod(float(tables[CONTEXTS.index(sequence[:n])][sequence[n]]) for n in range(LENGTH))
    return law


@given(
    p=laws((len(CONTEXTS), V), "float64"),
    q=laws((len(CONTEXTS), V), "float64"),
    alpha=st.floats(0, 1),
)
def test_over_a_sequence_the_shift_is_at_most_the_chance_of_a_deferral(p, q, alpha):
    """Fails when the law of a sequence is not the product of the steps' laws."""
    rule = rules.Dual(alpha)
    deferred = rule.defer(p)
    pi, mass = rule.target(p, q), policy.deferral_mass(p, deferred)
    shift = (sequence_law(pi) - sequence_law(p)).abs().sum() / 2
    # Until its first deferral the cascade walks as the base does on kept tokens: what reaches the end kept everything.
    none_deferred = sequence_law(p * ~deferred).sum()
    reached = torch.stack([_reach(pi, context) for context in CONTEXTS])
    expected = float((reached * mass).sum())
    assert float(shift) <= 1 - float(none_deferred) + 1e-12
    assert 1 - float(none_deferred) <= expected + 1e-12


def _reach(pi, context):
    """The probability that a sequence drawn from `pi` begins with `context`."""
    steps = [pi[CONTEXTS.index(context[:n])][context[n]] for n in range(len(context))]
    return torch.stack([torch.ones((), dtype=torch.float64), *steps]).prod()
