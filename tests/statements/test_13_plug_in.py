"""Statement 13 (stmt:plug-in in paper/theory.tex): under the true law P the deferral mass is within TV(P, p) of D."""

import numpy as np
import torch
from hypothesis import given
from strategies import check, law_cases

from proxyalign.deferral import policy


@given(case=law_cases(6, 8))
def test_the_error_of_the_deferral_mass_is_at_most_the_total_variation(case):
    """Fails when the mass is that of the kept tokens, or counts tokens."""
    check(13, case)


@given(case=law_cases(6, 8))
def test_the_bound_is_attained_by_the_tokens_that_the_truth_likes_more(case):
    """Fails for a bound that is true but not the best."""
    deferred = torch.from_numpy(case.truth > case.p)
    p, truth = torch.from_numpy(case.p), torch.from_numpy(case.truth)
    error = policy.deferral_mass(truth, deferred) - policy.deferral_mass(p, deferred)
    np.testing.assert_allclose(error, np.abs(case.truth - case.p).sum(-1) / 2, rtol=0, atol=1e-13)
