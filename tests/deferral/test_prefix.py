"""The prefix that fits, found without a full sort, against the sorted definition: always the same set."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_laws import laws

from proxyalign import knapsack
from proxyalign.deferral import prefix
from proxyalign.deferral.likely import DECIDED, SPREAD, UNSURE, prefix_among_likely
from proxyalign.deferral.prefix import longest_prefix
from proxyalign.knapsack.rationals import prefix_that_fits

V = 9_000  # above the size that is sorted outright
BUDGETS = [0.0, 1e-300, 1e-9, 0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 1 - 2**-20, 1 - 2**-53]


def by_sorting(p: torch.Tensor, budget: float) -> np.ndarray:
    """The definition, row by row."""
    deferred = np.zeros(p.shape, dtype=bool)
    for at in np.ndindex(p.shape[:-1]):
        row = p[at].double().numpy()
        order = np.argsort(row, kind="stable")
        deferred[at][order[: prefix_that_fits(row[order], budget)]] = True
    return deferred


def agrees(p: torch.Tensor, budget: float) -> bool:
    return np.array_equal(longest_prefix(p, budget).numpy(), by_sorting(p, budget))


def hard_laws(n_tokens: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Laws (n, V) on which a search may end in the wrong place; what they are stands beside each."""
    draw = np.random.default_rng(4)
    tied = draw.choice([1.0, 2.0, 8.0], n_tokens)
    subnormal = np.where(draw.random(n_tokens) < 0.5, draw.random(n_tokens) * 1e-40, draw.random(n_tokens))
    rows = [
        np.ones(n_tokens),  # all equal
        np.arange(n_tokens) == n_tokens // 2,  # one token is certain
        np.repeat([0.0, 1.0], [n_tokens - 4, 4]),  # four tokens of 1/4: each round budget ends on a prefix
        tied,  # three classes, each larger than what is left of the budget
        np.where(draw.random(n_tokens) < 0.9, 0.0, tied),  # zeros
        subnormal,  # subnormal numbers, the smallest of them zeros in float32
        1 + draw.random(n_tokens) / 64,  # all in one bucket
        np.exp(draw.normal(0, 3, n_tokens)),  # as a language model
        np.exp(draw.normal(0, 12, n_tokens)),  # as a very sure one
        np.exp2(-np.minimum(np.arange(n_tokens), 1000.0)),  # each token as heavy as all lighter ones together
        draw.permutation(np.exp2(-draw.integers(0, 20, n_tokens).astype(float))),  # ties on bucket ends
    ]
    return torch.stack([torch.from_numpy(row / row.sum()) for row in rows]).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_likely_tokens_decide_or_say_that_they_cannot(dtype):
    """Fails when a row is called decided and is not, or when one of the three verdicts is never given."""
    laws = hard_laws(V, dtype)
    deferred, verdict, seen = np.empty(laws.shape, dtype=bool), np.empty(len(laws), dtype=np.uint8), set()
    for budget in BUDGETS[1:]:
        prefix_among_likely(laws.numpy(), budget, deferred, verdict)
        seen |= set(verdict.tolist())
        expected = by_sorting(laws, budget)
        assert np.array_equal(deferred[verdict == DECIDED], expected[verdict == DECIDED])
    assert seen == {DECIDED, UNSURE, SPREAD}


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_hard_laws_in_one_batch(dtype, budget):
    """Fails when rows of one batch are mixed up, or a tie, a zero or a bucket's end is cut in the wrong place."""
    assert agrees(hard_laws(V, dtype), budget)


@pytest.mark.parametrize("at_once", [1, 3 * V, 1 << 26], ids=["row by row", "three rows", "all rows"])
def test_how_many_rows_are_worked_on_together_does_not_matter(monkeypatch, at_once):
    """Fails when the running sum of one row leaks into the next."""
    monkeypatch.setattr(prefix, "_AT_ONCE_ON_CPU", at_once)
    p = hard_laws(V).repeat(2, 1)[torch.randperm(22, generator=torch.Generator().manual_seed(0))]
    assert all(agrees(p, budget) for budget in (0.05, 0.25, 0.9))


@pytest.mark.parametrize("nudge", [-1, 0, 1])
@pytest.mark.parametrize("n", [1, V // 7, V // 2, V - 3])
def test_a_budget_that_is_a_prefix_sum_or_its_neighbour(n, nudge):
    """Fails when rounding decides where the exact sum of the first n tokens is the budget, or one ulp from it."""
    for law in hard_laws(V, torch.float64):
        whole = math.fsum(np.sort(law.numpy())[:n])
        budget = float(np.clip(np.nextafter(whole, whole + nudge), 0, 1 - 2**-53))
        assert agrees(law, budget)


@settings(max_examples=60)
@given(p=laws((3, 9)), budget=st.floats(0, 1, exclude_max=True), data=st.data())
def test_small_laws_by_the_histogram(p, budget, data):
    """Fails when the histogram and the sort, which small laws are given to, disagree."""
    if data.draw(st.booleans()):
        budget = min(math.fsum(np.sort(p[0].double().numpy())[: data.draw(st.integers(1, 8))]), 1 - 2**-53)
    deferred = torch.empty_like(p, dtype=torch.bool)
    for row in prefix._select(deferred, p, budget):
        prefix._settle(deferred[row], p[row], budget)
    assert np.array_equal(deferred.numpy(), by_sorting(p, budget))
    assert torch.equal(deferred, longest_prefix(p, budget))


def test_no_row_in_doubt_goes_unnoticed(monkeypatch):
    """Fails when a float sum is trusted that may be on the wrong side: every wrong cut must be settled."""
    monkeypatch.setattr(prefix, "_settle", lambda deferred, p, budget: settled.append(deferred))
    law = hard_laws(V, torch.float64)[-4]
    sums = np.cumsum(np.sort(law.numpy()))
    for n in range(1, V, 97):
        settled: list[torch.Tensor] = []
        mine = longest_prefix(law, float(sums[n])).numpy()
        assert settled or np.array_equal(mine, by_sorting(law, float(sums[n])))


def test_the_largest_vocabularies():
    """Fails when an index or a rounding allowance is made for one size of vocabulary."""
    p = hard_laws(150_000)
    assert all(agrees(p, budget) for budget in (0.1, 0.25, 0.9))


def test_it_is_the_knapsacks_prefix():
    """Fails when the definition that the tests above use is not that of the theory's side."""
    for law in hard_laws(5_000, torch.float64):
        problem = knapsack.DeferralProblem.from_probs(law.numpy(), budget=0.3)
        assert np.array_equal(longest_prefix(law, 0.3).numpy(), knapsack.primal(problem).deferred)


def test_any_leading_shape_any_strides_and_no_rows():
    """Fails when rows that do not lie one after another in memory are read as if they did."""
    p = hard_laws(V)[:6]
    want = longest_prefix(p, 0.3)
    assert torch.equal(longest_prefix(p.reshape(2, 3, V), 0.3), want.reshape(2, 3, V))
    apart = torch.stack([p, p.flip(0)], dim=-1)[..., 0]
    assert not apart.is_contiguous()
    for laid in (apart, apart.double(), p.T.contiguous().T):
        assert torch.equal(longest_prefix(laid, 0.3), want)
    assert torch.equal(longest_prefix(p[3].expand(4, V), 0.3), want[3].expand(4, V))
    assert longest_prefix(p[:0], 0.3).shape == (0, V)


def test_a_negative_zero_is_a_zero():
    """Fails when the sign bit of -0.0 is read as the largest number."""
    p = hard_laws(V)[4]
    assert torch.equal(longest_prefix(torch.where(p == 0, -0.0, p), 0.3), longest_prefix(p, 0.3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_accelerator_defers_the_same_set():
    """Fails when the order in which an accelerator adds up changes a set."""
    p = hard_laws(V)
    for budget in BUDGETS:
        assert torch.equal(longest_prefix(p.cuda(), budget).cpu(), longest_prefix(p, budget))
