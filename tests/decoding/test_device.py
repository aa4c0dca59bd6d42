"""Decoding on an accelerator: pretended, so that every machine notices a tensor left on the host, and on a real one."""

import pytest
import torch
from pretend_device import on_device
from test_every_rule import RULES, with_reference
from tiny_models import llama

from proxyalign.decoding import generate, static
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
