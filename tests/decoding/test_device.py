"""Decoding on an accelerator: pretended, so that every machine notices a tensor left on the host, and on a real one."""

import numpy as np
import pytest
import torch
from pretend_device import on_device
from test_every_rule import RULES, with_reference
from tiny_models import llama, tiny_pair

from proxyalign.decoding import generate
from proxyalign.decoding.backends.cuda import CudaBackend
from proxyalign.decoding.readers import static
from proxyalign.deferral import rules

PROMPTS = [[1, 2, 3], [0, 1], [2, 3, 4, 4, 1, 0], [3], [4, 4, 4, 4]]
SETTINGS = {"max_new_tokens": 9, "batch_size": 3, "window": 3, "seed": 2, "distributions": True}


@pytest.fixture
def without_graphs(monkeypatch):
    """Steps run as they are: what is pretended cannot be captured."""
    monkeypatch.setattr(static, "captures", lambda model: False)


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
@pytest.mark.parametrize("rule", [*RULES, rules.Never(), rules.Always()], ids=str)
def test_every_rule_decodes_on_a_device_as_on_a_processor(rule, mode, without_graphs):
    """Fails when an operation mixes tensors of the device and of the host, or takes one for the other."""
    pair = with_reference(llama, 12, eos_token_id=5)
    expected = generate(pair, PROMPTS, rule, mode=mode, **SETTINGS)
    with on_device(pair.base, pair.proxy, pair.reference):
        assert pair.device.type == "cuda"
        answer = generate(pair, PROMPTS, rule, mode=mode, **SETTINGS)
    assert answer.token_ids == expected.token_ids


@pytest.mark.parametrize("n_rows", [1, 3])
@pytest.mark.parametrize(
    "rule", [rules.Dual(0.3), rules.Never(), rules.ConfidenceBet(0.1), rules.StaticMixture(0.5)], ids=str
)
def test_the_host_waits_once_a_cycle(rule, n_rows, without_graphs):
    """Fails when a cycle asks the device twice: it then stands still while the host thinks.

    Token by token a rule that reads p alone asks once more where a token is deferred, since the proxy waits for that.
    """
    pair = with_reference(llama, 12)
    settings = {"max_new_tokens": 20, "window": 3, "batch_size": n_rows, "eos_token_ids": ()}
    for mode in ("speculative", "autoregressive"):
        with on_device(pair.base, pair.proxy, pair.reference) as device:
            answer = generate(pair, PROMPTS[:n_rows], rule, mode=mode, **settings)
        waits, n = sum(device.waits.values()), answer.stats.n_base_passes
        n_deferrals = 0 if mode == "speculative" else min(n, sum((t.source == "proxy").sum() for t in answer.traces))
        assert n <= waits <= n + n_deferrals


FUSED = [rules.Dual(0.3), rules.Nudging(0.4), rules.Gap(0.2), rules.Never(), rules.Always()]
SHAPES = [{}, {"temperature": 0.7, "rule_temperature": 1.3}, {"temperature": 0.0}, {"min_new_tokens": 4, "top_k": 3}]


@pytest.mark.skipif(torch.cuda.is_available(), reason="kernels are compiled here, and what is pretended is no device")
@pytest.mark.parametrize("settings", SHAPES, ids=str)
def test_threshold_rules_are_verified_in_kernels_with_the_same_answers(settings, without_graphs, monkeypatch):
    """Fails when decoding goes past the kernels, or they are not told of temperature, forbidden tokens or what is owed.

    They run in Triton's interpreter, on a device that is pretended.
    """
    pytest.importorskip("triton")
    pair = tiny_pair(llama, 12, double=False, eos_token_id=5)
    whole, seen = CudaBackend.examine_fused, []
    monkeypatch.setattr(CudaBackend, "examine_fused", lambda *given: seen.append(1) or whole(*given))
    for rule in FUSED:
        asked = {"max_new_tokens": 7, "batch_size": 3, "window": 3, "seed": 2, "mode": "speculative", **settings}
        expected = generate(pair, PROMPTS, rule, **asked)
        assert not seen
        with on_device(pair.base, pair.proxy) as device:
            answer = generate(pair, PROMPTS, rule, **asked)
        assert answer.token_ids == expected.token_ids
        for found, known in zip(answer.traces, expected.traces, strict=True):
            np.testing.assert_array_equal(found.source, known.source)
            np.testing.assert_allclose(found.p_y, known.p_y, rtol=0, atol=1e-5)
            np.testing.assert_allclose(found.deferral_mass, known.deferral_mass, rtol=0, atol=1e-5)
        assert (len(seen) > 0) == (rule != rules.Always())  # which asks the proxy alone
        assert sum(device.waits.values()) <= (answer.stats.n_base_passes or answer.stats.n_proxy_passes)
        seen.clear()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
@pytest.mark.parametrize("rule", [*RULES, rules.Never(), rules.Always()], ids=str)
def test_every_rule_decodes_on_an_accelerator_as_on_a_processor(rule, mode):
    """Fails when a captured step reads or writes what it was not meant to; in float64, so that ties do not decide."""
    pair = with_reference(llama, 12, eos_token_id=5)
    expected = generate(pair, PROMPTS, rule, mode=mode, **SETTINGS)
    for model in (pair.base, pair.proxy, pair.reference):
        model.cuda()
    assert generate(pair, PROMPTS, rule, mode=mode, **SETTINGS).token_ids == expected.token_ids
