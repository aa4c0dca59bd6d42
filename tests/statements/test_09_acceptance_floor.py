"""Statement 9 (stmt:acceptance-floor in paper/theory.tex): A = sum min(pi, q) = 1 - TV(pi, q) >= D, in three forms."""

import torch
from hypothesis import given
from strategies import check, law_cases
from torch_laws import laws

from proxyalign.deferral import policy


@given(case=law_cases(6, 8))
def test_the_three_forms_of_the_acceptance_agree_and_are_at_least_the_deferral_mass(case):
    """Fails when the acceptance is that of the base's law, or D is left out of either minimum."""
    check(9, case)


@given(q=laws((6, 8), "float64"))
def test_the_floor_is_attained_where_base_and_proxy_share_nothing(q):
    """Fails for a floor that is true but not the best."""
    q = torch.cat([q, torch.zeros_like(q)], dim=1)
    p = q.flip(-1)
    deferred = torch.zeros_like(p, dtype=torch.bool)
    deferred[:, ::2] = True
    mass = policy.deferral_mass(p, deferred)
    torch.testing.assert_close(policy.acceptance(policy.cascade(p, q, deferred), q), mass, rtol=0, atol=1e-13)
