"""Statement 10 (stmt:speculative-exactness in paper/theory.tex): a tested draft, or its replacement, has the law pi."""

import torch
from hypothesis import given
from strategies import check, law_cases
from torch_laws import laws

from proxyalign.deferral import policy, rules


@given(case=law_cases(6, 8))
def test_the_emitted_token_has_the_cascades_law_and_the_residual_is_that_of_the_kept_part(case):
    """Fails when a rejected draft is replaced from pi, from p, or from nothing."""
    check(10, case)


@given(q=laws((6, 8), "float64"))
def test_with_acceptance_one_the_residual_is_never_drawn_and_is_still_a_law(q):
    """Fails when equal laws give a residual of zeros, and a draw from nothing."""
    pi = rules.Always().target(q.roll(1, dims=-1), q)
    torch.testing.assert_close(policy.acceptance(pi, q), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-13)
    torch.testing.assert_close(policy.residual(pi, q).sum(-1), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-13)
