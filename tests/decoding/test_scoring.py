"""Teacher-forced scores are the law that the decoder draws from: enumerated, batched, and greedy as the decoder is."""

import itertools

import numpy as np
import pytest
import torch
from tiny_models import gpt2, llama, tiny_pair

from proxyalign.decoding import generate, scoring
from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair

V = 3
CONTEXTS = [[1, 2, 0], [1], [0, 0, 2, 1, 1]]
RULES = [
    rules.Never(),
    rules.Always(),
    rules.Dual(0.4),
    rules.Primal(0.5),
    rules.PrimalPooled(0.5),
    rules.ConfidenceBet(0.2),
    rules.Truncated(rules.Dual(0.3)),
    rules.StaticMixture(0.3),
    rules.ImplicitReward(),
    rules.NudgingWords(0.4),
]


def pair_of(n_tokens):
    pair = tiny_pair(llama, n_tokens)
    return ModelPair(pair.base, pair.proxy, pair.tokenizer, reference=gpt2(n_tokens, 7).double())


@pytest.fixture(scope="module")
def laws_after():
    """The three laws after each context and up to two more tokens, from models run whole."""
    pair = pair_of(V)
    models = (pair.base, pair.proxy, pair.reference)
    found = {}
    for context in CONTEXTS:
        for tail in itertools.chain.from_iterable(itertools.product(range(V), repeat=n) for n in range(3)):
            ids = (*context, *tail)
            with torch.no_grad():
                found[ids] = [model(torch.tensor([ids])).logits[0, -1].softmax(-1) for model in models]
    return found


@pytest.mark.parametrize("rule", RULES[:-1], ids=str)
def test_all_continuations_together_have_the_enumerated_law(rule, laws_after):
    """Fails when a place is off by one, padding is read, or pi is not the cascade: 27 texts a context, in one batch."""
    pair = pair_of(V)
    for context in CONTEXTS:
        continuations = list(itertools.product(range(V), repeat=3))
        scores = score(pair, rule, [context] * len(continuations), continuations)
        assert sum(np.exp(one.log_probs.sum()) for one in scores) == pytest.approx(1.0, abs=1e-12)
        for ids, one in zip(continuations, scores, strict=True):
            for n, token in enumerate(ids):
                expected = float(rule.target(*laws_after[(*context, *ids[:n])])[token])
                assert np.exp(one.log_probs[n]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rule", [*RULES, rules.Hybrid(0.5, 0.1)], ids=str)
def test_greedy_answers_are_greedy_whatever_the_neighbours(rule):
    """Fails when greedy means otherwise than in generate, a rule's state is lost, or texts of a batch meet."""
    pair = pair_of(12)
    answers = generate(pair, CONTEXTS, rule, temperature=0, max_new_tokens=8).token_ids
    continuations = [answers[0], answers[1][:3], answers[2][:5]]
    together = score(pair, rule, CONTEXTS, continuations)
    for context, ids, one in zip(CONTEXTS, continuations, together, strict=True):
        assert one.is_greedy.tolist() == [True] * len(ids)
        alone = score(pair, rule, [context], [ids])[0]
        np.testing.assert_allclose(one.log_probs, alone.log_probs, rtol=1e-9)
        other = score(pair, rule, [context], [[*ids[:-1], (ids[-1] + 1) % 12]])[0]
        assert other.is_greedy.tolist() == [True] * (len(ids) - 1) + [False]


@pytest.mark.parametrize("rule", [rules.Dual(0.4), rules.Always(), rules.ImplicitReward()], ids=str)
def test_the_proxy_may_read_another_context(rule):
    """Fails when the base reads it, or the proxy or the reference does not: compared with greedy decoding."""
    pair, own = pair_of(12), [[7, 7, 1], [8], [2, 0, 9]]
    answers = generate(pair, CONTEXTS, rule, temperature=0, max_new_tokens=8, proxy_prompts=own).token_ids
    assert answers != generate(pair, CONTEXTS, rule, temperature=0, max_new_tokens=8).token_ids
    for one in score(pair, rule, CONTEXTS, answers, proxy_contexts=own):
        assert one.is_greedy.all()


def test_an_empty_continuation_has_no_tokens_and_one_may_fill_the_context():
    """Fails when nothing to score breaks a batch, or the last token is counted as read."""
    pair = pair_of(12)
    empty, full = score(pair, rules.Dual(0.4), [[1], [2]], [[], [3] * 64])
    assert (len(empty.log_probs), len(full.log_probs)) == (0, 64)
    assert score(pair, rules.Dual(0.4), [[1]], [[]])[0].is_greedy.tolist() == []


REFUSED = [
    ({"contexts": [[]]}, r"contexts\[0\] must hold at least one token, got none"),
    ({"contexts": [[12]]}, "must hold token ids from 0 to 11, got 12"),
    ({"continuations": [[-1]]}, "must hold token ids from 0 to 11, got -1"),
    ({"continuations": [[3] * 65]}, r"must fit the models' context of 64 tokens, got 1 \+ 65"),
    ({"continuations": []}, "contexts must be as many as continuations, 0, got 1"),
    ({"rule": rules.ImplicitReward()}, "needs a reference"),
    ({"proxy_contexts": []}, "proxy_contexts must be as many as continuations, 1, got 0"),
    ({"proxy_contexts": [[12]]}, "must hold token ids from 0 to 11, got 12"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED)
def test_a_bad_text_is_refused(change, told):
    """Fails when a wrong text reaches the models."""
    arguments = {"rule": rules.Dual(0.4), "contexts": [[1]], "continuations": [[2]]} | change
    with pytest.raises(InputError, match=told):
        score(tiny_pair(llama, 12), **arguments)


@pytest.mark.parametrize("rule", [rules.Hybrid(0.2), rules.Dual(0.4), rules.PrimalPooled(0.4), rules.Always()], ids=str)
def test_a_long_text_may_be_scored_in_parts(rule, monkeypatch):
    """Fails when what is worked on together decides a score, or a rule's state is lost between the parts."""
    pair = pair_of(12)
    texts = [[[1, 2], [3]], [[4, 5, 6, 7, 8, 9, 1], [2, 3, 4]]]
    whole = score(pair, rule, *texts)
    monkeypatch.setattr(scoring, "AT_ONCE", 36)
    for one, other in zip(whole, score(pair, rule, *texts), strict=True):
        np.testing.assert_array_equal(one.log_probs, other.log_probs)
        np.testing.assert_array_equal(one.is_greedy, other.is_greedy)
