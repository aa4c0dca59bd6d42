"""Statement 19 (stmt:base-texts in paper/theory.tex): a threshold from the base's texts alone keeps TV within eps."""

import math

import numpy as np
import torch
from hypothesis import given
from strategies import check, law_cases

from proxyalign.deferral import rules
from proxyalign.evaluation.tuning.guarantees import trust_rank, trust_region
from proxyalign.verify.statements.token_laws import CONTEXTS, TOKENS


@given(case=law_cases(CONTEXTS, TOKENS))
def test_over_calibrations_the_cascade_s_texts_are_within_eps_of_the_base_s(case):
    """Fails when a token of probability alpha itself is deferred, or one below it hands over more than itself."""
    check(19, case)


def test_one_token_a_text_moves_by_just_the_mass_below_the_threshold():
    """Fails for k off by one: flat texts of one token, twenty of them, and eps = 0.1 make alpha the second least M."""
    rng = np.random.default_rng(0)
    n, n_tokens, eps = 20, 1000, 0.1
    p = torch.from_numpy(rng.permutation(np.arange(1.0, n_tokens + 1)))
    p, q = p / p.sum(), torch.zeros(n_tokens + 1, dtype=torch.float64)
    p, q[-1] = torch.cat([p, torch.zeros(1, dtype=torch.float64)]), 1.0
    k = trust_rank(n, eps)
    assert k == 2
    moved = []
    for _ in range(400):
        alpha = trust_region(rng.choice(p.numpy(), n, p=p.numpy()), eps)
        moved.append(float((rules.Dual(alpha).target(p, q) - p).abs().sum()) / 2)
    # The mean is below k / (n + 1) = 0.0952, and by little, since M has a thousand values: four standard errors.
    error = np.std(moved) / math.sqrt(len(moved))
    assert abs(np.mean(moved) - k / (n + 1)) < 4 * error + 1e-3
