"""Statement 11 (stmt:free-bonus in paper/theory.tex): with the bonus every sequence keeps the cascade's probability.

Every path is summed: each window of drafts, each place of a first rejection, each residual token and each bonus.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import check, law_cases
from torch_laws import laws

from proxyalign.deferral import rules
from proxyalign.verify.statements.token_laws import PREFIXES
from proxyalign.verify.statements.window_outcomes import BACKENDS

RULES = [rules.Never(), rules.Dual(0.45), rules.Primal(0.4), rules.Nudging(0.7), rules.Always()]


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("rule", RULES, ids=str)
@settings(max_examples=15)
@given(case=law_cases(len(PREFIXES), 2))
def test_every_sequence_has_the_cascades_probability(rule, window, case):
    """Fails when an owed draft is tested, or the bonus is emitted although it is deferred."""
    check(11, replace(case, deferred=rule.defer(torch.from_numpy(case.p)).numpy(), window=window))


@given(case=law_cases(len(PREFIXES), 2))
def test_so_it_has_for_any_sets(case):
    """Fails when the law holds for thresholds alone."""
    check(11, case)


def test_every_sequence_is_reached():
    """Fails when the enumeration loses mass and compares nothing with nothing."""
    from proxyalign.verify.cases.generated import laws as drawn
    from proxyalign.verify.statements import statement

    case = replace(drawn(np.random.default_rng(0), len(PREFIXES), 2), p=np.full((len(PREFIXES), 2), 0.5))
    claims = [claim for claim in statement(11).claims(case) if claim.name.startswith("every sequence")]
    assert len(claims) == len(BACKENDS)
    assert all(claim.left > 0.0 for claim in claims)


@given(p=laws((6, 8), "float64"), alpha=st.floats(0, 1), budget=st.floats(0, 1))
def test_the_rules_that_have_the_bonus_decide_without_the_proxy(p, alpha, budget):
    """Fails when a rule that says it reads p alone needs q."""
    for rule in (rules.Dual(alpha), rules.Nudging(alpha), rules.Primal(budget), rules.Never(), rules.Always()):
        assert rule.needs == "p"
        assert torch.equal(rule.defer(p), rule.defer(p, p.flip(-1)))
