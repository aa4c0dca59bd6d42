"""The cascade, its acceptance and its residual, on cases small enough to be done by hand."""

import torch

from proxyalign.deferral import policy

P = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
Q = torch.tensor([0.1, 0.1, 0.4, 0.4], dtype=torch.float64)
DEFERRED = torch.tensor([False, True, True, True])


def close(mine, by_hand):
    torch.testing.assert_close(mine, torch.tensor(by_hand, dtype=torch.float64), rtol=0, atol=1e-15)


def test_the_cascade_by_hand():
    """Fails when deferred mass is dropped, or handed to the kept tokens."""
    close(policy.deferral_mass(P, DEFERRED), 0.5)
    close(policy.cascade(P, Q, DEFERRED), [0.55, 0.05, 0.2, 0.2])


def test_acceptance_and_residual_by_hand():
    """Fails when p and q change places."""
    pi = policy.cascade(P, Q, DEFERRED)
    close(policy.acceptance(pi, Q), 0.1 + 0.05 + 0.2 + 0.2)
    close(policy.residual(pi, Q), [1.0, 0.0, 0.0, 0.0])


def test_the_residual_of_equal_laws_is_the_law_itself():
    """Fails when an empty residual is divided by its sum of zero."""
    close(policy.residual(Q, Q), Q.tolist())


def test_leading_axes_are_rows():
    """Fails when a sum runs over more than the last axis."""
    p, q, deferred = P.expand(2, 3, 4), Q.expand(2, 3, 4), DEFERRED.expand(2, 3, 4)
    pi = policy.cascade(p, q, deferred)
    assert torch.equal(pi, policy.cascade(P, Q, DEFERRED).expand(2, 3, 4))
    assert policy.acceptance(pi, q).shape == policy.deferral_mass(p, deferred).shape == (2, 3)
    assert torch.equal(policy.residual(pi, q), policy.residual(pi[0, 0], Q).expand(2, 3, 4))
    assert torch.equal(policy.restrict(p, ~deferred), policy.restrict(P, ~DEFERRED).expand(2, 3, 4))
