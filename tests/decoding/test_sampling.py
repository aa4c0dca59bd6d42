"""Draws by inverse CDF and the streams that feed them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_laws import laws

from proxyalign.decoding.backends import cuda
from proxyalign.decoding.backends.cuda import CudaBackend
from proxyalign.decoding.backends.processor import ProcessorBackend
from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.readers.contract import Both
from proxyalign.decoding.sampling import Uniforms
from proxyalign.deferral.law import Law

LARGEST = 1 - 2**-52
each = pytest.mark.parametrize(
    "backend", [Backend(), ProcessorBackend(), CudaBackend()], ids=lambda one: type(one).__name__
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So that short laws have several, where a device draws."""
    monkeypatch.setattr(cuda, "BLOCK", 256)


@each
@given(p=laws((4, 9)), u=st.lists(st.floats(0, LARGEST), min_size=4, max_size=4))
def test_a_draw_is_the_inverse_of_the_cumulated_law(backend, p, u):
    """Fails when a token without weight is drawn, or the draw runs off the end."""
    tokens = backend.draw(p, torch.tensor(u, dtype=torch.float64))
    for row, at, token in zip(p.double().numpy(), u, tokens.tolist(), strict=True):
        sums = row.cumsum()
        assert row[token] > 0
        assert sums[token] > at * sums[-1] >= (sums[token - 1] if token else 0)


@each
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(250, 1100), u=st.sampled_from([0.0, 0.25, 0.5, LARGEST]))
def test_a_draw_from_a_long_law_is_one_from_its_blocks(backend, seed, n, u):
    """Fails where blocks meet, at a short last one, or in one whose weights all are 0; sums are exact here."""
    weights = torch.from_numpy(np.random.default_rng(seed).choice([0.0, 0.0, 0.0, 1.0, 4.0], n))
    weights[: n // 3] = weights[2 * n // 3 :] = 0.0
    weights[n // 2] = 1.0
    sums = weights.cumsum(0)
    token = backend.draw(weights[None, None], torch.full((1, 1), u, dtype=torch.float64)).item()
    assert weights[token] > 0
    assert sums[token] > u * sums[-1] >= sums[token - 1]


@each
@pytest.mark.parametrize("u", [0.0, 0.5, LARGEST])
def test_a_certain_token_is_drawn_whatever_the_number(backend, u):
    """Fails at either end of the unit interval."""
    certain = torch.zeros(3, 6).scatter_(1, torch.tensor([[0], [3], [5]]), 1.0)
    assert backend.draw(certain, torch.full((3,), u, dtype=torch.float64)).tolist() == [0, 3, 5]


@each
def test_weights_need_not_sum_to_one(backend):
    """Fails when a residual's or a float32 law's sum is taken for 1."""
    weights = torch.tensor([[1e-30, 3e-30]])
    assert backend.draw(weights, torch.tensor([0.2], dtype=torch.float64)).item() == 0
    assert backend.draw(weights, torch.tensor([0.3], dtype=torch.float64)).item() == 1


@each
def test_a_law_of_no_numbers_gives_any_token(backend):
    """Fails with an index out of its range, which ends a device's process, before it is told whose logits were bad."""
    weights = torch.full((2, 700), torch.nan)
    weights[1, :400] = 0.1
    assert all(0 <= token < 700 for token in backend.draw(weights, torch.tensor([0.3, 0.9], dtype=torch.float64)))


def test_temperature_changes_the_drawn_law_alone():
    """Fails when a rule would read a tempered law; 0 is the first argmax, and its neighbourhood agrees."""
    logits = torch.tensor([[1.0, 3.0, 3.0, -torch.inf, 2.0]])
    for temperature in (0.0, 1e-30, 0.5, 1.0, 2.0):
        found = Law.of(logits, temperature)
        assert torch.equal(found.own, logits.softmax(-1))
        assert found.drawn.sum().item() == pytest.approx(1)
    assert Law.of(logits, 0.0).drawn.tolist() == [[0, 1, 0, 0, 0]]
    assert Law.of(logits, 1e-30).drawn.tolist() == [[0, 0.5, 0.5, 0, 0]]
    torch.testing.assert_close(Law.of(logits, 2.0).drawn, (logits / 2).softmax(-1))


def test_a_stream_depends_on_its_key_alone():
    """Fails when rows share a generator, blocks repeat, or dropping a row shifts the others."""
    keys = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    together = Uniforms(keys, 3, torch.device("cpu"))
    alone = [Uniforms([key], 3, torch.device("cpu")) for key in keys]
    drawn = [together.take() for _ in range(40)]
    for row, stream in enumerate(alone[:3]):
        assert torch.equal(torch.cat([stream.take() for _ in range(40)]), torch.stack([u[row] for u in drawn]))
    assert len({float(x) for u in drawn for x in u.flatten()}) == 4 * 3 * 40
    together.keep(Both.of(np.array([1, 2]), torch.device("cpu")))
    for _ in range(20):
        assert torch.equal(together.take(), torch.cat([alone[1].take(), alone[2].take()]))
