"""Statement 22 (stmt:owed-drafts in paper/theory.tex): tokens a cycle in the long run, with drafts that are owed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import check, law_cases

from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.readers.contract import Both
from proxyalign.decoding.window import tokens_per_cycle
from proxyalign.deferral import policy, rules
from proxyalign.deferral.law import Law

P = torch.tensor([0.45, 0.3, 0.15, 0.1], dtype=torch.float64)
Q = torch.tensor([0.3, 0.2, 0.1, 0.4], dtype=torch.float64)


@given(case=law_cases(1, 6))
def test_the_long_run_mean_is_s_g_less_what_owed_drafts_cost(case):
    """Fails when a deferred bonus counts as a token, is forgotten, or a draft is owed after a rejection."""
    check(22, case)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("alpha", [0.2, 0.35])
def test_windows_that_are_tested_yield_that_many(window, alpha):
    """Fails when the engine's test takes an owed draft for one that may be rejected. Sampled: five standard errors."""
    rule, n_rows, n_cycles = rules.Dual(alpha), 1000, 60
    pi, mass = rule.target(P, Q), float(policy.deferral_mass(P, rule.defer(P)))
    accepted = float(policy.acceptance(pi, Q))
    f = mass * accepted**window / (1 - mass * accepted ** (window - 1) * (1 - accepted))
    p, q = P.expand(n_rows, window + 1, -1), Q.expand(n_rows, window, -1)
    generator, nothing = torch.Generator().manual_seed(window), Both.zeros(n_rows, torch.int64, p.device)
    owed, n_new = Both.zeros(n_rows, torch.bool, p.device), np.zeros((n_cycles, n_rows))
    for cycle in range(n_cycles):
        u = torch.rand(n_rows, 2 * window + 1, generator=generator, dtype=torch.float64)
        drafts = Backend().draw(q, u[:, 0 : 2 * window : 2])
        found, _ = Backend().examine(rule, Law(p, p), Law(q, q), None, None, drafts, owed, u, nothing)
        owed, n_new[cycle] = Both.of(found.is_owed, p.device), found.n_new
    late = n_new[10:].mean(0)  # the chance of an owed draft has settled by then
    expected = tokens_per_cycle(accepted, window) - f * accepted**window
    assert abs(late.mean() - expected) < 5 * late.std() / math.sqrt(n_rows)
    assert owed.host.any()


def test_a_cycle_that_opens_with_an_owed_draft_can_yield_more_than_s_g():
    """Shows why statement 12's number bounds the long run and not a cycle: one draft of two is sure."""
    accepted, mass, window = 0.5, 0.25, 2
    after = 1 + tokens_per_cycle(accepted, window - 1) - mass * accepted ** (window - 1)
    assert after > tokens_per_cycle(accepted, window)
