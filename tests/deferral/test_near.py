"""The near-optimal rule, given a row's likely tokens alone or all of them: what fits, and within eps of the optimum."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_prefix import hard_laws
from torch_laws import laws

from proxyalign import knapsack
from proxyalign.deferral import near, rules
from proxyalign.deferral.likely import DECIDED, LIKELY, SPREAD, UNSURE
from proxyalign.deferral.near import OPEN, near_among_likely, near_optimal_sets


def assert_near(p, deferred, budget, eps):
    """Every set fits the budget exactly and is worth 1 - eps of the optimum, by a bound that `exact` proved."""
    for row, chosen in zip(p.double().numpy(), deferred.numpy(), strict=True):
        problem = knapsack.DeferralProblem.from_probs(row, budget=budget)
        best = knapsack.exact(problem, memory_limit=2.0**24).upper_bound
        assert knapsack.exact_sum(problem.weights[chosen]) <= Fraction(problem.budget)
        assert knapsack.exact_sum(problem.values[chosen]) >= (1 - Fraction(eps)) * Fraction(best) * (
            1 - Fraction(1, 10**12)
        )


def drawn_laws(rng, n, n_tokens, dtype):
    """Laws (n, V) from flat to sure: softmax of normal logits, and powers of the rank."""
    logits = rng.normal(size=(n, n_tokens)) * rng.uniform(0.5, 6.0, (n, 1))
    ranks = -np.log(1 + np.arange(n_tokens)) * rng.uniform(0.8, 3.0, (n, 1))
    return torch.from_numpy(np.where(rng.random((n, 1)) < 0.5, logits, ranks)).softmax(-1).to(dtype)


@settings(max_examples=60)
@given(
    p=laws((3, 9)), budget=st.floats(0, 1, exclude_max=True), eps=st.sampled_from([0.5, 0.1, 0.01, 1e-6]),
)  # fmt: skip
def test_small_laws_lose_no_more_than_eps(p, budget, eps):
    """Fails when rows are mixed up, a tie or a zero is cut in the wrong place, or a sum is taken in float32."""
    assert_near(p, rules.NearOptimal(budget, eps).defer(p), budget, eps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_tokens", [30, 300, 2_000])
@pytest.mark.parametrize("eps", [0.1, 0.01, 0.001])
def test_drawn_laws_lose_no_more_than_eps(dtype, n_tokens, eps):
    """Fails when the unlikely tokens, deferred together, hide a better set, or their worth is taken for more."""
    rng = np.random.default_rng(n_tokens)
    for budget in (0.003, 0.04, 0.2, 0.5, 0.8, 0.95):
        p = drawn_laws(rng, 4, n_tokens, dtype)
        assert_near(p, near_optimal_sets(p, budget, eps), budget, eps)


@pytest.mark.parametrize("budget", [1e-9, 0.05, 0.25, 0.5, 0.9, 1 - 2**-20])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_hard_laws_lose_no_more_than_eps(dtype, budget):
    """Fails when equal tokens, subnormal ones, or a budget that a prefix spends to the last bit upset a row."""
    p = hard_laws(1_000, dtype)
    p = p[(p.double().sum(1) - 1).abs() < 1e-3]
    assert_near(p, near_optimal_sets(p, budget, 0.01), budget, 0.01)


def test_every_way_through_is_taken():
    """Fails when one of the verdicts is never given, and the tests above miss what follows it."""
    rng, seen = np.random.default_rng(1), set()
    for p in (drawn_laws(rng, 40, 9_000, torch.float32), hard_laws(9_000)):
        for budget in (0.02, 0.25, 0.9):
            which, verdict = np.arange(len(p)), np.empty(len(p), dtype=np.uint8)
            near_among_likely(p.numpy(), which, budget, 0.001, LIKELY, np.empty(p.shape, dtype=bool), verdict)
            seen |= set(verdict.tolist())
    assert seen == {DECIDED, UNSURE, SPREAD, OPEN}


def test_what_the_likely_tokens_decide_is_near_optimal_among_all(monkeypatch):
    """Fails when a row is called decided although a set without some unlikely tokens is worth more than is allowed."""
    rng = np.random.default_rng(2)
    monkeypatch.setattr(near, "_of_whole_row", None)  # no row gets there
    monkeypatch.setattr(near, "_LIKELY", (2.0**-3, 2.0**-6, 2.0**-9, 2.0**-40))
    for n_tokens in (12, 40, 200):
        for budget in (0.1, 0.3, 0.6, 0.9):
            p = drawn_laws(rng, 8, n_tokens, torch.float64)
            assert_near(p, near_optimal_sets(p, budget, 0.01), budget, 0.01)


def test_a_batch_is_its_rows_and_other_shapes_are_its_views():
    """Fails when a row is decided by its neighbours, or written to another's place."""
    p = torch.cat([hard_laws(3_000), drawn_laws(np.random.default_rng(3), 13, 3_000, torch.float32)])
    whole = near_optimal_sets(p, 0.3, 0.01)
    assert all(torch.equal(near_optimal_sets(p[at], 0.3, 0.01), whole[at]) for at in range(24))
    assert torch.equal(near_optimal_sets(p.reshape(2, 3, 4, -1), 0.3, 0.01), whole.reshape(2, 3, 4, -1))
    assert torch.equal(near_optimal_sets(p.T.contiguous().T, 0.3, 0.01), whole)
    assert near_optimal_sets(p[:0], 0.3, 0.01).shape == (0, 3_000)


def test_rows_without_numbers_leave_the_others_as_they_are():
    """Fails when the decoder cannot tell which sequence's logits were not finite."""
    p = drawn_laws(np.random.default_rng(5), 3, 50, torch.float32)
    broken = p.clone()
    broken[1] = torch.nan
    assert torch.equal(rules.NearOptimal(0.3).defer(broken)[[0, 2]], rules.NearOptimal(0.3).defer(p)[[0, 2]])


@pytest.mark.parametrize("eps", [0.0, 1e-9, 0.6, float("nan")])
def test_an_eps_outside_its_range_is_refused(eps):
    """Fails when a rule is made whose floats cannot keep its promise."""
    with pytest.raises(rules.InputError, match=r"eps must be a number in \[1e-06, 0.5\]"):
        rules.NearOptimal(0.3, eps)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_accelerator_defers_the_same_set():
    """Fails when the set comes back on another device, or another one does."""
    p = hard_laws(3_000)
    there = near_optimal_sets(p.cuda(), 0.3, 0.01)
    assert there.is_cuda
    assert torch.equal(there.cpu(), near_optimal_sets(p, 0.3, 0.01))
