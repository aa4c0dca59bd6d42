"""The compiled test of a window says what the reference says."""

import pytest
import torch
from windows import assert_same, window

from proxyalign.decoding.backends.processor import ProcessorBackend
from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.readers.contract import Both
from proxyalign.deferral import rules
from proxyalign.deferral.law import Law

RULES = [
    rules.Dual(0.02), rules.Dual(0.3), rules.Primal(0.6), rules.Nudging(0.3), rules.Never(), rules.Always(),
    rules.ConfidenceBet(0.1), rules.StaticMixture(0.5),
]  # fmt: skip
SHAPES = [(3, 2, 37), (1, 5, 300), (2, 1, 256), (2, 3, 1030)]


def both(rule, logits, q, drafts, owed, u, n_before, rule_temperature=1.0):
    """The cycle that each of the two finds."""
    p = Law.of(logits, q.temperature, rule_temperature)
    given = (rule, p, q, None, None, drafts, owed, u, n_before)
    return [backend.examine(*given)[0] for backend in (ProcessorBackend(), Backend())]


@pytest.mark.parametrize("temperatures", [(1.0, 1.0), (0.7, 1.0), (0.0, 1.0), (0.7, 0.7)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_both_find_the_same(rule, dtype, temperatures):
    """Fails when test, residual, bonus, masses or the block of a draw differ in any kind of window."""
    kinds = set()
    for seed, shape in enumerate(4 * SHAPES):
        given = window(shape, seed, temperatures[0], dtype, spread=1.0 + seed % 3)
        found, expected = both(rule, *given, rule_temperature=temperatures[1])
        assert_same(found, expected)
        kinds |= {(bool(rejected), n > 0) for n, rejected in zip(found.n_passed, found.rejected, strict=True)}
    assert len(kinds) > 1 or rule == rules.Always()  # which accepts all


def test_a_rejection_by_rounding_draws_from_pi():
    """Fails when a residual without any mass gives an arbitrary token: here q is above p everywhere, a little."""
    logits, _, _, _, u, n_before = window((3, 1, 300), 9)
    above = logits[:, :1].softmax(-1) * 1.001
    u[:, 1] = 1 - 2**-52
    for rule in (rules.Never(), rules.Dual(1e-9)):
        nobody = Both.zeros(3, torch.bool, u.device)
        found, expected = both(rule, logits, Law(above, above), above.argmax(-1), nobody, u, n_before)
        assert found.rejected.all()
        assert_same(found, expected)


def test_laws_that_do_not_lie_side_by_side_are_read_as_they_are():
    """Fails when strides are taken for the shape's: laws may be slices of wider ones, or one row seen many times."""
    logits, q, drafts, owed, u, n_before = window((2, 3, 300), 7)
    wide = torch.full((2, 9, 330), torch.nan)
    wide[:, -3:, :300] = q.own
    law = wide[:, -3:, :300]
    narrow = both(rules.Dual(0.1), logits, q, drafts, owed, u, n_before)[0]
    assert_same(both(rules.Dual(0.1), logits, Law(law, law), drafts, owed, u, n_before)[0], narrow)
    one = q.own[:1].expand(2, -1, -1)
    for found in both(rules.Dual(0.1), logits, Law(one, one), drafts, owed, u, n_before):
        assert_same(found, both(rules.Dual(0.1), logits, Law(one.clone(), one.clone()), drafts, owed, u, n_before)[0])
