"""Decoding on an accelerator: pretended, so that every machine notices a tensor left on the host, and on a real one."""

import gc
import weakref
from unittest import mock

import numpy as np
import pytest
import torch
from clashing import clashing_pair
from pretend_device import CAPTURE, DEVICE, PASS, UPLOAD, WAIT, on_device
from test_every_rule import RULES, with_reference
from tiny_models import llama, tiny_pair

from proxyalign.decoding import generate
from proxyalign.decoding.backends import backend_for
from proxyalign.decoding.backends.cuda import CudaBackend
from proxyalign.decoding.readers import captured
from proxyalign.decoding.trace import Record
from proxyalign.decoding.window import AdaptiveWindow
from proxyalign.deferral import rules
from proxyalign.models import ModelPair

PROMPTS = [[1, 2, 3], [0, 1], [2, 3, 4, 4, 1, 0], [3], [4, 4, 4, 4]]
SETTINGS = {"max_new_tokens": 9, "batch_size": 3, "window": 3, "seed": 2, "distributions": True}
EVERY = [*RULES, rules.Never(), rules.Always()]


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
@pytest.mark.parametrize("rule", EVERY, ids=str)
def test_every_rule_decodes_on_a_device_as_on_a_processor(rule, mode):
    """Fails when an operation mixes tensors of the device and of the host, or takes one for the other."""
    pair = with_reference(llama, 12, eos_token_id=5)
    expected = generate(pair, PROMPTS, rule, mode=mode, **SETTINGS)
    with on_device(pair):
        assert pair.device.type == "cuda"
        answer = generate(pair, PROMPTS, rule, mode=mode, **SETTINGS)
    assert answer.token_ids == expected.token_ids


@pytest.mark.parametrize("there", [("base",), ("proxy",), ("base", "reference")], ids=str)
@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_the_models_may_lie_on_two_devices(mode, there):
    """Fails when a token, a mask or logits stay where the other model is."""
    pair = with_reference(llama, 12, eos_token_id=5)
    for rule in (
        rules.Dual(0.3),
        rules.Hybrid(0.3),
        rules.Exact(0.5),
        rules.StaticMixture(0.5),
        rules.ImplicitReward(),
    ):
        expected = generate(pair, PROMPTS, rule, mode=mode, **SETTINGS)
        with on_device(pair, there):
            assert {role: pair.device_of(role).type for role in there} == dict.fromkeys(there, "cuda")
            answer = generate(pair, PROMPTS, rule, mode=mode, **SETTINGS)
        assert answer.token_ids == expected.token_ids, rule


@pytest.mark.parametrize("there", [("base", "proxy"), ("base",), ("proxy",)], ids=str)
@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_two_vocabularies_decode_on_a_device(mode, there):
    """Fails when a piece is looked up on the device, or logits over pieces are made on the host."""
    pair, texts = clashing_pair(), ["ab a", "b", "ba ab", "a", " b"]
    for rule, boundaries in [
        (rules.Dual(0.15), "any"), (rules.Dual(0.15), "word"), (rules.Hybrid(0.4), "any"), (rules.Exact(0.5), "word"),
        (rules.StaticMixture(0.5), "any"),
    ]:  # fmt: skip
        settings = SETTINGS | {"mode": mode, "boundaries": boundaries}
        expected = generate(pair, texts, rule, **settings)
        with on_device(pair, there):
            answer = generate(pair, texts, rule, **settings)
        assert answer.token_ids == expected.token_ids, (rule, boundaries)


@pytest.mark.parametrize(("rule", "n_rows"), [*((rule, 3) for rule in EVERY), (rules.Dual(0.3), 1)], ids=str)
def test_a_cycle_waits_once_and_tells_the_device_at_most_two_things(rule, n_rows):
    """Fails when a cycle asks the device twice, which then stands still while the host thinks, or brings more there.

    Held from the first cycle after the prompts on, until a text ends and after.
    """
    pair = with_reference(llama, 12)
    asked = {"max_new_tokens": 18, "window": 3, "batch_size": n_rows, "mode": "speculative"}
    more = {"min_new_tokens": 6, "top_k": 4, "logit_bias": {2: 0.5}, "eos_token_ids": (5,)} if n_rows == 3 else {}
    with on_device(pair) as device:
        answer = generate(pair, PROMPTS[:n_rows], rule, **asked, **more)
    cycles = device.cycles() if rule != rules.Always() else device.cycles("proxy")
    assert len(cycles) == (answer.stats.n_base_passes or answer.stats.n_proxy_passes) > 5
    for events in cycles:
        assert sum(kind == WAIT for kind, _ in events) == 1, events
        assert sum(kind == UPLOAD for kind, _ in events) <= 2, events


@pytest.mark.parametrize("rule", EVERY, ids=str)
def test_a_step_waits_once_or_twice_where_the_proxy_is_asked_after_it(rule):
    """Fails when a step of one token asks the device once more: a rule that reads p alone asks the proxy after that."""
    pair = with_reference(llama, 12)
    with on_device(pair) as device:
        answer = generate(pair, PROMPTS[:3], rule, max_new_tokens=10, batch_size=3, eos_token_ids=(5,))
    cycles = device.cycles() if rule != rules.Always() else device.cycles("proxy")
    assert len(cycles) == (answer.stats.n_base_passes or answer.stats.n_proxy_passes) > 5
    for events in cycles:
        asks_again = not rule.reads("q") and (PASS, "proxy") in events
        assert sum(kind == WAIT for kind, _ in events) == 1 + asks_again, events
        assert sum(kind == UPLOAD for kind, _ in events) <= 2, events


@pytest.mark.parametrize("rule", [rules.Dual(0.3), rules.ConfidenceBet(0.1)], ids=str)
def test_twenty_calls_capture_what_the_first_one_did(rule):
    """Fails when a reader, its cache or a graph ends with the call, or a shape depends on what became of a window."""
    pair = with_reference(llama, 12)
    rng, captured, answers = np.random.default_rng(0), [], []
    with on_device(pair) as device:
        for call in range(20):
            prompts = [rng.integers(5, size=rng.integers(2, 9)).tolist() for _ in range(2)]
            asked = {"max_new_tokens": 20 if call == 0 else 7, "seed": call, "mode": "speculative", "window": 3}
            answers.append((generate(pair, prompts, rule, **asked).token_ids, prompts, asked))
            captured.append(device.count(CAPTURE))
    # The base's window, and the proxy's last token, after the last draft where a window is accepted and closed.
    assert captured == [3 if rule.has_bonus else 2] * 20
    for found, prompts, asked in answers:
        assert found == generate(pair, prompts, rule, **asked).token_ids


def test_an_adaptive_window_captures_a_few_sizes_and_is_not_told_how_long_that_took(monkeypatch):
    """Fails when each size has a graph of its own, or a cycle that captured counts as a slow one."""
    pair, seconds = tiny_pair(llama, 12, context=256), []
    monkeypatch.setattr(AdaptiveWindow, "observe", lambda self, *observed: seconds.append(observed[-1]))
    monkeypatch.setattr(AdaptiveWindow, "next", lambda self: 1 + len(seconds) % 16)
    with on_device(pair, seconds_of_a_capture=100.0) as device:
        asked = {"max_new_tokens": 150, "mode": "speculative", "window": "auto", "eos_token_ids": ()}
        answer = generate(pair, [[1, 2]], rules.Dual(0.3), **asked)
    assert len(seconds) > 16
    assert device.count(CAPTURE) <= len(AdaptiveWindow().sizes) + 2
    assert answer.stats.seconds_capturing > 100.0 * device.count(CAPTURE)
    assert max(seconds) < 50.0
    assert answer.stats.seconds < 50.0


def test_a_reader_goes_when_its_model_has_changed_or_room_is_short_or_an_error_came():
    """Fails when a graph reads weights where they no longer lie, or keeps memory that others need."""
    pair = tiny_pair(llama, 12)
    asked = {"max_new_tokens": 6, "mode": "speculative", "window": 3, "eos_token_ids": ()}

    def captures(batch_size=1):
        before = device.count(CAPTURE)
        answer = generate(pair, PROMPTS[:batch_size], rules.Dual(0.3), batch_size=batch_size, **asked)
        return device.count(CAPTURE) - before, answer.token_ids

    with on_device(pair) as device:
        first = captures()
        assert first[0]
        assert captures() == (0, first[1])
        assert captures(3)[0]  # another size has a reader of its own
        assert captures(3)[0] == captures()[0] == 0
        with torch.no_grad():
            pair.base.lm_head.weight.mul_(2.0)  # in place: what lies there is read as it is
        assert captures()[0] == 0
        pair.base.lm_head.weight = torch.nn.Parameter((-pair.base.lm_head.weight).detach())  # lies elsewhere
        n, changed = captures()
        assert n
        assert changed != first[1]
        pair.proxy.config._attn_implementation = "eager"
        assert captures()[0]
        with mock.patch.object(Record, "emit", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            captures()
        assert captures()[0]


def test_readers_are_the_models_and_end_with_them():
    """Fails when another pair of the same models, as each call of transformers' generate makes one, captures anew, or
    what waits for a next call keeps weights from being freed.
    """
    pair, n_before = tiny_pair(llama, 12), len(backend_for(DEVICE)._idle)
    asked = {"max_new_tokens": 6, "mode": "speculative", "window": 3, "eos_token_ids": ()}
    with on_device(pair) as device:
        first = generate(pair, PROMPTS[:1], rules.Dual(0.3), **asked)
        n = device.count(CAPTURE)
        again = generate(ModelPair(pair.base, pair.proxy, pair.tokenizer), PROMPTS[:1], rules.Dual(0.3), **asked)
        assert (device.count(CAPTURE), again.token_ids) == (n, first.token_ids)
    assert len(backend_for(DEVICE)._idle) == n_before + 2
    base = weakref.ref(pair.base)
    del pair
    gc.collect()
    assert base() is None
    assert len(backend_for(DEVICE)._idle) == n_before


def test_idle_readers_make_room_where_the_device_is_half_full():
    """Fails when caches of batches gone by fill a device that has no room for the next one."""
    pair = tiny_pair(llama, 12)
    asked = {"max_new_tokens": 6, "mode": "speculative", "window": 3, "eos_token_ids": ()}
    with on_device(pair, is_half_full=True) as device:
        for batch_size, captures_again in ((1, True), (1, False), (3, True), (1, True)):
            before = device.count(CAPTURE)
            generate(pair, PROMPTS[:batch_size], rules.Dual(0.3), batch_size=batch_size, **asked)
            assert (device.count(CAPTURE) > before) == captures_again


FUSED = [rules.Dual(0.3), rules.Nudging(0.4), rules.Gap(0.2), rules.Never(), rules.Always()]
SHAPES = [{}, {"temperature": 0.7, "rule_temperature": 1.3}, {"temperature": 0.0}, {"min_new_tokens": 4, "top_k": 3}]


@pytest.mark.skipif(torch.cuda.is_available(), reason="kernels are compiled here, and what is pretended is no device")
@pytest.mark.parametrize("settings", SHAPES, ids=str)
def test_threshold_rules_are_verified_in_kernels_with_the_same_answers(settings, monkeypatch):
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
        with on_device(pair) as device:
            answer = generate(pair, PROMPTS, rule, **asked)
        assert answer.token_ids == expected.token_ids
        for found, known in zip(answer.traces, expected.traces, strict=True):
            np.testing.assert_array_equal(found.source, known.source)
            np.testing.assert_allclose(found.p_y, known.p_y, rtol=0, atol=1e-5)
            np.testing.assert_allclose(found.deferral_mass, known.deferral_mass, rtol=0, atol=1e-5)
        assert (len(seen) > 0) == (rule != rules.Always())  # which asks the proxy alone
        assert device.count(WAIT) <= (answer.stats.n_base_passes or answer.stats.n_proxy_passes)
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_accelerator_captures_once_and_answers_as_before(monkeypatch):
    """Fails when a graph that is kept reads what a later batch, of another size or after it, left somewhere else."""
    pair, captures, whole = tiny_pair(llama, 12), [], captured.recorded
    monkeypatch.setattr(captured, "recorded", lambda *given: captures.append(1) or whole(*given))
    calls = [({"batch_size": 1 + 2 * (seed % 2), "seed": seed, "mode": "speculative"}) for seed in range(10)]
    expected = [generate(pair, PROMPTS, rules.Dual(0.3), **asked, max_new_tokens=9).token_ids for asked in calls]
    pair.base.cuda()
    pair.proxy.cuda()
    counts = []
    for asked, answer in zip(2 * calls, 2 * expected, strict=True):
        assert generate(pair, PROMPTS, rules.Dual(0.3), **asked, max_new_tokens=9).token_ids == answer
        counts.append(len(captures))
    assert counts[len(calls)] == counts[-1] > 0
