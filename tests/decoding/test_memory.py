"""Memory: nothing of the size of the new tokens times the vocabulary is held, unless its laws were asked for."""

import pytest
import torch
from tiny_models import llama, tiny_pair

from proxyalign.bench.decoding_speed import Contestant
from proxyalign.bench.memory_growth import growth
from proxyalign.deferral import rules

V, N_NEW = 30_000, 40
SPARSE = torch.eye(2).to_sparse()  # somebody else's, which has no storage to ask about


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("distributions", [False, True])
def test_laws_are_not_kept(window, distributions):
    """Fails when the laws of all steps are kept; and, with laws asked for, when this test could not notice."""
    pair = tiny_pair(llama, V, double=False, width=8)
    one = Contestant(rules.Dual(0.3), "speculative" if window else "autoregressive", window)
    growth(pair, "t1 t2", one, n_tokens=N_NEW)  # what is loaded at a first call
    held = growth(pair, "t1 t2", one, n_tokens=N_NEW, distributions=distributions)
    assert held["law_bytes"] == 4 * V
    assert abs(held["other_bytes"] - distributions * 4 * V) < 0.1 * 4 * V
    assert 4 * V <= held["largest_bytes"] <= 4 * V * (1 + (window or 0))
    of_a_token = 2 * 4 * 4 * (3 + 1)  # a key and a value of 4 float32 in each of four layers
    assert held["cache_bytes"] == pytest.approx(of_a_token, abs=0.5 * of_a_token)
