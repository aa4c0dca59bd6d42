"""Statement 18 (stmt:log-loss in paper/theory.tex): the cascade's log loss less the base's, and what it is made of."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import check, law_cases

from proxyalign.deferral import rules
from proxyalign.evaluation.tuning.log_loss import log_loss_terms


@given(case=law_cases(4, 8))
def test_the_loss_rises_by_a_price_on_what_is_deferred_less_a_gain_on_what_is_kept(case):
    """Fails when deferred mass is redrawn from another law than q, or given to the kept tokens."""
    check(18, case)


def expected_loss(truth, law):
    """E[-log law] under the truth."""
    return float(-(truth * np.log(law)).sum())


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.6])
def test_by_the_base_s_own_estimate_deferral_costs_log_loss(alpha):
    """Fails for a text that the base finds likelier than its own: with P = p nothing can be gained."""
    p = torch.tensor([0.5, 0.25, 0.2, 0.05], dtype=torch.float64)
    q = torch.tensor([0.7, 0.1, 0.1, 0.1], dtype=torch.float64)
    assert expected_loss(p.numpy(), rules.Dual(alpha).target(p, q).numpy()) > expected_loss(p.numpy(), p.numpy())


def test_under_the_truth_it_gains_where_the_proxy_knows_better_by_more_than_log_1_over_q_of_s():
    """Shows both signs: a proxy that spreads its mass well on S, and the same with most of its mass elsewhere."""
    truth, p = np.array([0.4, 0.5, 0.1]), torch.tensor([0.6, 0.05, 0.35], dtype=torch.float64)
    on_set = torch.tensor([0.0, 0.85, 0.15], dtype=torch.float64)
    before = expected_loss(truth, p.numpy())
    rises = []
    for share in (1.0, 0.2):
        q = share * on_set + (1.0 - share) * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
        rises.append(expected_loss(truth, rules.Dual(0.5).target(p, q).numpy()) - before)
        deferred = rules.Dual(0.5).defer(p)
        assert rises[-1] == pytest.approx(float(log_loss_terms(truth, p, q, deferred).total), abs=1e-12)
    assert rises[0] < 0.0 < rises[1]


def test_it_is_infinite_where_the_proxy_cannot_write_what_was_deferred():
    """Fails when a floor under q hides that a text of the truth has become impossible."""
    p, q = (torch.tensor(law, dtype=torch.float64) for law in ([0.9, 0.1], [1.0, 0.0]))
    with np.errstate(divide="ignore"):
        assert expected_loss(np.array([0.5, 0.5]), rules.Dual(0.2).target(p, q).numpy()) == math.inf
