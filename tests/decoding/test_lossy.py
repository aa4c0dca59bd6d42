"""With a lossy verifier every token has the verifier's law, whatever the window, and what that costs is told."""

import math

import numpy as np
import pytest
import torch
from pretend_device import on_device
from test_every_rule import laws_after, step_law, with_reference
from test_law import LENGTH, LEVEL, PROMPT, V, p_value
from tiny_models import gpt2, llama, tiny_pair

from proxyalign.decoding import generate
from proxyalign.decoding.backends.reference import Backend
from proxyalign.deferral import policy, rules, verifiers
from proxyalign.errors import InputError

PAIRS = [
    (rules.Never(), verifiers.Cactus(0.3)),
    (rules.Never(), verifiers.Mentored(0.2)),
    (rules.Dual(0.3), verifiers.Cactus(0.1)),
    (rules.Dual(0.3), verifiers.Mentored(0.1)),
    (rules.ConfidenceBet(0.2), verifiers.Mentored(0.1)),
    (rules.Hybrid(0.3, step=1.5), verifiers.Cactus(0.2)),
    (rules.WSD(0.3, window=2), verifiers.Mentored(0.3)),
    (rules.ImplicitReward(), verifiers.Cactus(0.2)),
]
SPECULATIVE = {"mode": "speculative"}
N_DRAWS = 3_000


def step(pair, rule, verifier, answer):
    """The law of the token after an answer, pi, and q: the first as the verifier has it."""
    p, q, q0 = laws_after(pair, answer)
    pi = step_law(rule, p, q, q0, answer)
    return verifier.law(pi, q[-1]), pi, q[-1]


def sequence_law(pair, rule, verifier):
    law = {(): 1.0}
    for _ in range(LENGTH):
        law = {
            (*answer, x): weight * float(of_step[x])
            for answer, weight in law.items()
            for of_step in [step(pair, rule, verifier, answer)[0]]
            for x in range(V)
        }
    return law


@pytest.mark.parametrize(("rule", "verifier"), PAIRS, ids=str)
def test_the_sampled_law_is_the_verifiers(rule, verifier):
    """Fails when a bonus or an owed draft has pi's law, another draft's target is tested, or a state is lost.

    In batches of one and of three the same keys give the same answers, which have the law of the large batch.
    """
    pair = with_reference(llama, V)
    law, exact = sequence_law(pair, rule, verifier), sequence_law(pair, rule, verifiers.Mentored(0.0))
    assert math.isclose(sum(law.values()), 1.0, abs_tol=1e-12)
    for seed, window in enumerate((1, 2, 4)):
        asked = {**SPECULATIVE, "window": window, "max_new_tokens": LENGTH, "seed": seed, "verifier": verifier}
        answers = generate(pair, [PROMPT], rule, num_return_sequences=N_DRAWS, batch_size=N_DRAWS, **asked).token_ids
        assert p_value(law, answers) > LEVEL, window
        assert p_value(exact, answers) < LEVEL  # so that the test would notice pi
        for batch_size in (1, 3):
            few = generate(pair, [PROMPT], rule, num_return_sequences=7, batch_size=batch_size, **asked)
            assert few.token_ids == answers[:7]


@pytest.mark.parametrize(("rule", "verifier"), PAIRS, ids=str)
def test_the_distance_on_the_traces_is_that_of_each_tokens_law(rule, verifier):
    """Fails when a distance stands beside another token, or the mean counts drafts that were thrown away."""
    pair = with_reference(llama, V)
    asked = {**SPECULATIVE, "window": 3, "max_new_tokens": 6, "num_return_sequences": 6, "batch_size": 4}
    out = generate(pair, [PROMPT], rule, verifier=verifier, **asked)
    for trace in out.traces:
        ids = trace.token_ids.tolist()
        for place in range(len(ids)):
            law, pi, _ = step(pair, rule, verifier, tuple(ids[:place]))
            assert trace.distance_from_pi[place] == pytest.approx(float((law - pi).abs().sum() / 2), abs=1e-9)
        assert set(trace.source) <= {"draft", "residual"}
    distances = np.concatenate([trace.distance_from_pi for trace in out.traces])
    assert out.stats.distance_from_pi == pytest.approx(distances.mean())
    assert distances.max() > 0.01


def test_mass_is_that_of_the_rule_and_drafts_pass_more_often():
    """Fails when a verifier hides what the rule defers, or tests against pi all the same."""
    pair = tiny_pair(llama, 8)
    asked = {**SPECULATIVE, "window": 3, "max_new_tokens": 20, "num_return_sequences": 40, "batch_size": 40}
    exact = generate(pair, [[1, 2, 3]], rules.Dual(0.3), **asked)
    lossy = generate(pair, [[1, 2, 3]], rules.Dual(0.3), verifier=verifiers.Mentored(0.3), **asked)
    assert lossy.stats.acceptance_rate > exact.stats.acceptance_rate + 0.1
    trace = lossy.traces[0]
    for place in range(len(trace)):
        with torch.no_grad():
            p = pair.base(torch.tensor([[1, 2, 3, *trace.token_ids[:place].tolist()]])).logits[0, -1].softmax(-1)
        assert trace.deferral_mass[place] == pytest.approx(float(p[p < 0.3].sum()), abs=1e-9)
        assert trace.p_y[place] == pytest.approx(float(p[trace.token_ids[place]]), abs=1e-9)


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("verifier", [verifiers.Cactus(0.5), verifiers.Mentored(0.5)], ids=str)
def test_greedy_decoding_is_exact(verifier, make):
    """Fails when certain laws are changed, or a window without a bonus is rolled back otherwise than it should."""
    pair = with_reference(make, 12, eos_token_id=5)
    prompts = [[1, 2, 3], [0, 1], [2, 3, 4, 4, 1, 0], [3], [4, 4, 4, 4]]
    asked = {"temperature": 0, "max_new_tokens": 17}
    for rule in (rules.Dual(0.3), rules.WSD(0.2, window=2)):
        expected = generate(pair, prompts, rule, **asked).token_ids
        for window, batch_size in ((1, 3), (2, 1), (4, 3)):
            more = {**SPECULATIVE, "window": window, "batch_size": batch_size, "verifier": verifier}
            assert generate(pair, prompts, rule, **asked, **more).token_ids == expected


def test_draws_are_tempered_before_they_are_verified():
    """Fails when the verifier sees the laws that the rule reads, at temperature 1."""
    pair, verifier, temperature = tiny_pair(llama, V), verifiers.Mentored(0.2), 0.6
    with torch.no_grad():
        logits = [model(torch.tensor([PROMPT])).logits[0, -1] for model in (pair.base, pair.proxy)]
    p, q = ((one / temperature).softmax(-1) for one in logits)
    law = verifier.law(policy.cascade(p, q, logits[0].softmax(-1) < 0.3), q)
    asked = {**SPECULATIVE, "temperature": temperature, "max_new_tokens": 1, "verifier": verifier}
    out = generate(pair, [PROMPT], rules.Dual(0.3), num_return_sequences=10_000, batch_size=10_000, **asked)
    assert p_value({(x,): float(law[x]) for x in range(V)}, out.token_ids) > LEVEL


def test_a_batch_that_is_verified_in_parts_has_the_same_answers(monkeypatch):
    """Fails when a part of a batch loses its verifier or its distances."""
    pair, asked = tiny_pair(llama, 12), {**SPECULATIVE, "window": 3, "max_new_tokens": 9, "num_return_sequences": 7}
    verifier = verifiers.Cactus(0.2)
    whole = generate(pair, [[1, 2]], rules.Dual(0.3), verifier=verifier, **asked)
    monkeypatch.setattr(policy, "AT_ONCE", 100)
    parts = generate(pair, [[1, 2]], rules.Dual(0.3), verifier=verifier, **asked)
    assert parts.token_ids == whole.token_ids
    assert parts.stats.distance_from_pi == pytest.approx(whole.stats.distance_from_pi)


@pytest.mark.parametrize("rule", [rules.Dual(0.3), rules.Exact(0.5)], ids=str)
@pytest.mark.parametrize("verifier", [verifiers.Cactus(0.2), verifiers.Mentored(0.2)], ids=str)
def test_a_device_decodes_as_a_processor(rule, verifier):
    """Fails when the kernels, which know of no verifier, are asked, or a tensor of the host meets one of the device."""
    pair = with_reference(llama, 12, eos_token_id=5)
    asked = {**SPECULATIVE, "window": 3, "max_new_tokens": 9, "batch_size": 3, "seed": 2, "verifier": verifier}
    prompts = [[1, 2, 3], [0, 1], [2, 3, 4], [3]]
    expected = generate(pair, prompts, rule, **asked)
    with on_device(pair):
        found = generate(pair, prompts, rule, **asked)
    assert found.token_ids == expected.token_ids
    assert found.stats.distance_from_pi == pytest.approx(expected.stats.distance_from_pi)


def test_without_a_verifier_nothing_is_measured(monkeypatch):
    """Fails when the exact path pays for laws that only a lossy one needs, or claims a distance."""
    monkeypatch.delattr(Backend, "_test_lossily")
    for owner in verifiers.Cactus, verifiers.Mentored:
        monkeypatch.setattr(owner, "law", None)
    for mode in ("autoregressive", "speculative"):
        out = generate(tiny_pair(llama, 12), [[1, 2]], rules.Dual(0.3), mode=mode, max_new_tokens=9)
        assert out.stats.distance_from_pi is None
        assert out.traces[0].distance_from_pi is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"verifier": "cactus", **SPECULATIVE}, "verifier must be a verifier, got 'cactus'; pass one such as"),
        ({"verifier": verifiers.Cactus, **SPECULATIVE}, "verifier must be a verifier, got <class"),
        ({"verifier": verifiers.Cactus(0.1)}, r'must go with mode="speculative".*got cactus\(delta=0.1\) in mode'),
    ],
)
def test_what_cannot_verify_is_refused(settings, told):
    """Fails when a verifier is dropped in silence, token by token."""
    with pytest.raises(InputError, match=told):
        generate(tiny_pair(llama, 12), [[1, 2]], rules.Dual(0.3), **settings)
