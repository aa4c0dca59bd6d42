"""Statement 11: windows of drafts, with the bonus after one accepted whole, give each sequence the cascade's law.

Every path is summed: each window of drafts, each place of a first rejection, each residual token and each bonus.
"""

import itertools
import math
from collections import defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_laws import laws

from proxyalign.deferral import policy, rules

V, LENGTH = 2, 4
CONTEXTS = [prefix for n in range(LENGTH + 1) for prefix in itertools.product(range(V), repeat=n)]
RULES = [rules.Never(), rules.Dual(0.45), rules.Primal(0.4), rules.Nudging(0.7), rules.Always()]
tables = laws((len(CONTEXTS), V), "float64")


class Walk:
    """The law of the first LENGTH tokens of speculative decoding from tables of p and q, one row a context."""

    def __init__(self, rule, p, q, window, bonus_reads_deferral=True):
        self.p, self.q, self.window = p, q, window
        self.deferred = rule.defer(p)
        self.pi = policy.cascade(p, q, self.deferred)
        self.residual = policy.residual(self.pi, q)
        self.bonus_reads_deferral = bonus_reads_deferral
        self.law = defaultdict(float)
        self.cycle((), 1.0, owed=False)

    def cycle(self, prefix, weight, owed):
        if len(prefix) >= LENGTH:
            self.law[prefix[:LENGTH]] += weight
            return
        self.draft(prefix, weight, min(self.window, LENGTH - len(prefix)), untested=owed)

    def draft(self, prefix, weight, left, untested=False):
        if weight == 0.0:
            return
        at = CONTEXTS.index(prefix)
        if left == 0:
            self.bonus(prefix, at, weight)
            return
        rejected = 0.0
        for x in range(V):
            q_x, pi_x = float(self.q[at, x]), float(self.pi[at, x])
            passes = 1.0 if untested or q_x == 0.0 else min(1.0, pi_x / q_x)
            self.draft((*prefix, x), weight * q_x * passes, left - 1)
            rejected += q_x * (1.0 - passes)
        for x in range(V):
            self.cycle((*prefix, x), weight * rejected * float(self.residual[at, x]), owed=False)

    def bonus(self, prefix, at, weight):
        if len(prefix) >= LENGTH:
            self.law[prefix[:LENGTH]] += weight
            return
        owed = 0.0
        for y in range(V):
            p_y = float(self.p[at, y])
            if bool(self.deferred[at, y]) and self.bonus_reads_deferral:
                owed += p_y
            else:
                self.cycle((*prefix, y), weight * p_y, owed=False)
        self.cycle(prefix, weight * owed, owed=True)


def largest_error(walk):
    """The largest difference between a sequence's probability and the product of the cascade's."""
    return max(
        abs(
            walk.law[sequence]
            - math.prod(float(walk.pi[CONTEXTS.index(sequence[:n]), sequence[n]]) for n in range(LENGTH))
        )
        for sequence in itertools.product(range(V), repeat=LENGTH)
    )


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("rule", RULES, ids=str)
@settings(max_examples=15)
@given(p=tables, q=tables)
def test_every_sequence_has_the_cascades_probability(rule, window, p, q):
    """Fails when an owed draft is tested, or the bonus is emitted although it is deferred."""
    assert largest_error(Walk(rule, p, q, window)) < 1e-12


def test_a_bonus_that_ignores_the_deferral_has_another_law():
    """Fails when this file's own enumeration could not tell the difference."""
    p = torch.tensor([[0.6, 0.4]], dtype=torch.float64).expand(len(CONTEXTS), V)
    q = torch.tensor([[0.1, 0.9]], dtype=torch.float64).expand(len(CONTEXTS), V)
    assert largest_error(Walk(rules.Dual(0.45), p, q, 2, bonus_reads_deferral=False)) > 1e-3


@given(p=laws((6, 8), "float64"), alpha=st.floats(0, 1), budget=st.floats(0, 1))
def test_the_rules_that_have_the_bonus_decide_without_the_proxy(p, alpha, budget):
    """Fails when a rule that says it reads p alone needs q."""
    for rule in (rules.Dual(alpha), rules.Nudging(alpha), rules.Primal(budget), rules.Never(), rules.Always()):
        assert rule.needs == "p"
        assert torch.equal(rule.defer(p), rule.defer(p, p.flip(-1)))
