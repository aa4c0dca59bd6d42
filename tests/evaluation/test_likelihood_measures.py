"""Perplexity and agreement against models that are run whole."""

import pytest
import torch
from tiny_models import gpt2, llama, tiny_pair

from proxyalign.errors import InputError
from proxyalign.evaluation.measures.likelihoods import likelihood_measures

N_TOKENS = 7
CONTEXTS = [[1, 2, 3], [4], [5, 6]]
REPLIES = [[2, 0], [], [3, 3, 1]]


def logits_of(model, context, reply):
    """The logits (n, V) before each token of a reply."""
    with torch.no_grad():
        return model(torch.tensor([[*context, *reply]])).logits[0, len(context) - 1 : -1]


def test_nats_and_agreement_are_those_of_each_model_by_itself():
    """Fails when base and proxy are swapped, a reply reads another's context, or agreement is with the base itself."""
    pair, stronger = tiny_pair(llama, N_TOKENS), gpt2(N_TOKENS, 9).double()
    found = likelihood_measures(pair, CONTEXTS, REPLIES, stronger=stronger, batch_size=2)
    for context, reply, one in zip(CONTEXTS, REPLIES, found, strict=True):
        for role in ("base", "proxy"):
            logs = logits_of(getattr(pair, role), context, reply).log_softmax(-1)
            nats = -sum(float(row[token]) for row, token in zip(logs, reply, strict=True))
            assert one[f"nats-{role}"] == (pytest.approx(nats, abs=1e-12), len(reply))
        best = logits_of(stronger, context, reply).argmax(-1).tolist()
        assert one["agreement"] == (sum(a == b for a, b in zip(best, reply, strict=True)), len(reply))
    assert "agreement" not in likelihood_measures(pair, CONTEXTS, REPLIES)[0]


def test_the_proxy_reads_its_own_contexts():
    """Fails when a proxy that was asked in chat is measured after the base's prompt."""
    pair = tiny_pair(llama, N_TOKENS)
    found = likelihood_measures(pair, CONTEXTS, REPLIES, proxy_contexts=CONTEXTS[::-1])
    own, other = (likelihood_measures(pair, contexts, REPLIES) for contexts in (CONTEXTS, CONTEXTS[::-1]))
    for one, of_base, of_proxy in zip(found, own, other, strict=True):
        assert one["nats-base"] == pytest.approx(of_base["nats-base"])
        assert one["nats-proxy"] == pytest.approx(of_proxy["nats-proxy"])


def test_a_stronger_model_of_another_vocabulary_is_refused():
    """Fails when ids are compared that spell other tokens."""
    pair = tiny_pair(llama, N_TOKENS)
    with pytest.raises(InputError, match="must share the tokenizer's 7 tokens"):
        likelihood_measures(pair, CONTEXTS, REPLIES, stronger=gpt2(5, 9).double())


def test_more_texts_than_contexts_are_refused():
    """Fails when a reply without a context is left out."""
    with pytest.raises(InputError, match="contexts must be as many as continuations"):
        likelihood_measures(tiny_pair(llama, N_TOKENS), CONTEXTS[:2], REPLIES)
