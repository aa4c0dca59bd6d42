"""Statement 10: a draft from q, tested against pi and replaced from the residual where it fails, has the law pi."""

import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp
from torch_laws import laws

from proxyalign.deferral import policy, rules

deferrals = hnp.arrays(bool, (6, 8)).map(torch.from_numpy)


def emitted_law(pi, q):
    """Sum over both paths of one test: the draft accepted, or rejected and replaced."""
    passes = torch.where(q > 0, (pi / q).clamp(max=1), 0.0)
    accepted = q * passes
    return accepted + (1 - accepted.sum(-1, keepdim=True)) * policy.residual(pi, q)


@given(p=laws((6, 8), "float64"), q=laws((6, 8), "float64"), deferred=deferrals)
def test_the_emitted_token_has_the_cascades_law(p, q, deferred):
    """Fails when a rejected draft is replaced from pi, from p, or from nothing."""
    pi = policy.cascade(p, q, deferred)
    torch.testing.assert_close(emitted_law(pi, q), pi, rtol=0, atol=1e-13)


@given(p=laws((6, 8), "float64"), q=laws((6, 8), "float64"), deferred=deferrals)
def test_the_residual_is_that_of_the_kept_part(p, q, deferred):
    """Fails when max(0, pi - q) is not proportional to max(0, (1 - d) p - (1 - D) q)."""
    pi, mass = policy.cascade(p, q, deferred), policy.deferral_mass(p, deferred).unsqueeze(-1)
    kept = (p * ~deferred - (1 - mass) * q).clamp_min(0)
    total = kept.sum(-1, keepdim=True)
    for mine, row, weight in zip(policy.residual(pi, q), kept, total, strict=True):
        if weight > 1e-9:  # else nothing is ever rejected, but by rounding
            torch.testing.assert_close(mine, row / weight, rtol=0, atol=1e-6)


@given(q=laws((6, 8), "float64"))
def test_with_acceptance_one_the_residual_is_never_drawn_and_is_still_a_law(q):
    """Fails when equal laws give a residual of zeros, and a draw from nothing."""
    pi = rules.Always().target(q.roll(1, dims=-1), q)
    torch.testing.assert_close(policy.acceptance(pi, q), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-13)
    torch.testing.assert_close(policy.residual(pi, q).sum(-1), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-13)
