"""Statement 9: A = sum min(pi, q) = 1 - TV(pi, q) = D + sum min((1 - d) p, (1 - D) q), and so at least D."""

import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp
from torch_laws import laws

from proxyalign.deferral import policy

deferrals = hnp.arrays(bool, (6, 8)).map(torch.from_numpy)


@given(p=laws((6, 8), "float64"), q=laws((6, 8), "float64"), deferred=deferrals)
def test_the_three_forms_of_the_acceptance_agree(p, q, deferred):
    """Fails when the acceptance is that of the base's law, or D is left out of either minimum."""
    pi, mass = policy.cascade(p, q, deferred), policy.deferral_mass(p, deferred)
    accepted = policy.acceptance(pi, q)
    torch.testing.assert_close(accepted, 1 - (pi - q).abs().sum(-1) / 2, rtol=0, atol=1e-13)
    kept = torch.minimum(p * ~deferred, (1 - mass).unsqueeze(-1) * q).sum(-1)
    torch.testing.assert_close(accepted, mass + kept, rtol=0, atol=1e-13)


@given(p=laws((6, 8), "float64"), q=laws((6, 8), "float64"), deferred=deferrals)
def test_acceptance_is_at_least_the_deferral_mass(p, q, deferred):
    """Fails when drafts are tested against a law without the redrawn part."""
    pi = policy.cascade(p, q, deferred)
    assert (policy.acceptance(pi, q) >= policy.deferral_mass(p, deferred) - 1e-13).all()


@given(q=laws((6, 8), "float64"))
def test_the_floor_is_attained_where_base_and_proxy_share_nothing(q):
    """Fails for a floor that is true but not the best."""
    q = torch.cat([q, torch.zeros_like(q)], dim=1)
    p = q.flip(-1)
    deferred = torch.zeros_like(p, dtype=torch.bool)
    deferred[:, ::2] = True
    mass = policy.deferral_mass(p, deferred)
    torch.testing.assert_close(policy.acceptance(policy.cascade(p, q, deferred), q), mass, rtol=0, atol=1e-13)
