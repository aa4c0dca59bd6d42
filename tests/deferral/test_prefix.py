"""The prefix that fits, found without a full sort or without waiting, against the sorted definition: the same set."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import DEVICE, OnDevice, PretendDevice
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
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


def in_fractions(p: torch.Tensor, budget: float) -> list[list[bool]]:
    """The definition for p (n, V), number by number."""
    deferred = []
    for row in p.tolist():
        order = sorted(range(len(row)), key=row.__getitem__)  # which is stable
        sums = itertools.accumulate(Fraction(row[y]) for y in order)
        fits = {y for y, spent in zip(order, sums, strict=True) if spent <= Fraction(budget)}
        deferred.append([y in fits for y in range(len(row))])
    return deferred


def near_a_prefix(draw, p: torch.Tensor) -> float:
    """A budget in [0, 1) that is the sum of the first few numbers of a row (n, V), or within an ulp of it."""
    row = sorted(draw(st.sampled_from(p.tolist())))
    whole = float(sum(map(Fraction, row[: draw(st.integers(0, len(row)))])))
    return min(max(draw(st.sampled_from([whole, math.nextafter(whole, 0), math.nextafter(whole, 1)])), 0.0), 1 - 2**-53)


@st.composite
def hard_numbers(draw, dtype):
    """Rows (n, V) of non-negative numbers of all exponents, with ties, zeros of both signs and subnormal numbers."""
    size = draw(st.integers(1, 8))
    width, least = (32, 149) if dtype == torch.float32 else (64, 1074)
    few = st.floats(0.0, 1.0, width=width).flatmap(lambda x: st.sampled_from([x, x, x / 2, 1 - x]))
    units = st.integers(0, 12).map(lambda k: k * 2.0**-least)
    powers = st.integers(0, least).map(lambda k: 2.0**-k)
    dyadic = st.integers(0, 2**20).map(lambda k: k * 2.0**-23)
    zeros = st.sampled_from([0.0, -0.0])
    kind = draw(st.sampled_from([few, units, powers, dyadic, st.one_of(zeros, few, units, powers, dyadic)]))
    tied = st.lists(kind, min_size=1, max_size=3).flatmap(st.sampled_from)
    numbers = draw(st.sampled_from([kind, tied]))
    rows = draw(st.lists(st.lists(numbers, min_size=size, max_size=size), min_size=1, max_size=3))
    return torch.tensor(rows, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_three_tokens_by_the_exact_sums(dtype):
    """Fails when a number is cut up wrongly, a budget that is met is refused, or a tie is not cut by the index.

    All rows of three numbers from the ends and the middle of the dtype's range, at all budgets that are a sum of them.
    """
    info = torch.finfo(dtype)
    numbers = [0.0, -0.0, info.smallest_normal * info.eps, info.smallest_normal * (1 - info.eps), info.smallest_normal]
    numbers += [0.25, 0.25 + info.eps / 4, 0.5, 1 - info.eps / 2, 1.0, 2.0]
    p = torch.tensor(list(itertools.product(numbers, repeat=3)), dtype=dtype)
    assert p.unique().tolist() == sorted({*numbers})
    sums = {float(sum(map(Fraction, some))) for n in range(4) for some in itertools.combinations(numbers, n)}
    for budget in sorted({math.nextafter(x, to) for x in sums for to in (0.0, x, 1.0)}):
        if budget < 1.0:
            assert prefix._on_device(p, budget).tolist() == in_fractions(p, budget)


@settings(max_examples=300)
@given(dtype=st.sampled_from([torch.float32, torch.float64]), data=st.data())
def test_any_numbers_by_the_exact_sums(dtype, data):
    """Fails when a limb loses a bit or what it carries, or when rounding decides where a budget is a sum of numbers.

    On a processor, where a row in doubt is settled by the same sums, the likely tokens and the histogram must agree.
    """
    p = data.draw(hard_numbers(dtype))
    budget = data.draw(st.one_of(st.floats(0, 1, exclude_max=True), st.just(1 - 2**-53)))
    if data.draw(st.booleans()):
        budget = near_a_prefix(data.draw, p)
    expected = in_fractions(p, budget)
    assert prefix._on_device(p, budget).tolist() == expected
    assert longest_prefix(p, budget).tolist() == expected


@pytest.mark.parametrize("at_once", [1, 20 * V, 1 << 26], ids=["row by row", "a few rows", "all rows"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hard_laws_by_the_exact_sums(monkeypatch, dtype, at_once):
    """Fails when what one row adds up to leaks into the next, or a carry is lost among thousands of tokens."""
    monkeypatch.setattr(prefix, "_AT_ONCE", at_once)
    p = hard_laws(V, dtype)
    tokens = np.sort(p.double().numpy())
    on_a_prefix = [min(math.fsum(row[: V // 2]), 1 - 2**-53) for row in tokens[[0, 5, 7]]]
    for budget in [*BUDGETS, *on_a_prefix]:
        assert np.array_equal(prefix._on_device(p, budget).numpy(), by_sorting(p, budget))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_number_that_is_missing_or_far_too_large_spoils_no_other_row(dtype):
    """Fails when a number that is none raises or reaches past its own row, or when one has no place among the limbs."""
    p = torch.tensor([[0.25, 0.5, 0.125], [0.25, math.nan, 0.125], [0.25, math.inf, 0.5]] * 2, dtype=dtype)
    found = prefix._on_device(p, 0.75)
    assert found[[0, 2, 3, 5]].tolist() == [[True, False, True], [True, False, True]] * 2
    large = torch.tensor([[2.0**70, 0.0, 2.0**90], [2.0**100, 2.0**70, 2.0**70]], dtype=dtype)
    for decide in (prefix._on_device, longest_prefix):
        assert decide(large, 1e-300).tolist() == [[False, True, False], [False] * 3]


class ByItself(TorchDispatchMode):
    """Refuses what a device cannot do by itself: to make or read a tensor elsewhere, or to read one that was sent."""

    def __init__(self, given: torch.Tensor):
        super().__init__()
        self.there = {id(given): given}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        read, made = ([x for x in tree_leaves(some) if isinstance(x, torch.Tensor)] for some in ((args, kwargs), out))
        assert all(id(x) in self.there for x in read), f"{func} reads what comes from the host"
        assert all(x.device.type == "meta" for x in made), f"{func} answers on the host"
        self.there |= {id(x): x for x in made}
        return out


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_device_is_neither_waited_for_nor_sent_anything(dtype, budget):
    """Fails when a result is asked for, which tensors without data cannot give, or a tensor comes from the host."""
    p = hard_laws(V, dtype)
    with PretendDevice():
        found = longest_prefix(p.as_subclass(OnDevice), budget)
        assert found.device == DEVICE
    assert torch.equal(found.as_subclass(torch.Tensor), longest_prefix(p, budget))
    p = p.to("meta")
    with ByItself(p):
        assert longest_prefix(p.view(1, *p.shape), budget).shape == (1, *p.shape)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_accelerator_defers_the_same_set_unwatched(dtype):
    """Fails when an accelerator sorts or adds up otherwise, or when the host waits for it."""
    p = hard_laws(V, dtype)
    there = p.cuda()
    for budget in BUDGETS:
        torch.cuda.set_sync_debug_mode("error")
        try:
            found = longest_prefix(there, budget)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert torch.equal(found.cpu(), longest_prefix(p, budget))
