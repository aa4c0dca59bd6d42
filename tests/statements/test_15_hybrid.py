"""Statement 15 (stmt:hybrid in paper/theory.tex): the hybrid rule overspends little and loses little."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import check, law_cases

from proxyalign.verify.cases.generated import laws_of
from proxyalign.verify.statements.many_steps import hybrid


@settings(max_examples=60)
@given(case=law_cases(7, 5))
def test_spending_and_loss_are_within_their_bounds(case):
    """Fails when the update has the wrong sign, no floor, or stands still."""
    check(15, case)


@pytest.mark.parametrize("seed", range(3))
def test_over_a_long_run_the_mean_mass_comes_to_the_budget(seed):
    """Fails when the multiplier drifts: over T steps the mean mass exceeds the budget by at most lambda / (eta T)."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(5), 400)
    case = replace(laws_of(rng, p, p, p, "dirichlet"), budget=0.3, rate=0.1, start=0.0)
    claims = {claim.name: claim for claim in hybrid(case)}
    assert all(claim.holds for claim in claims.values())
    spent = float(claims["sum D_t <= T b + (lambda_T+1 - lambda_1) / eta"].left)
    assert spent / 400 == pytest.approx(0.3, abs=0.05)
