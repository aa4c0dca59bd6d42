"""The law of a cascade whose base is served is that of the same base here."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from byte_models import byte_model, byte_tokenizer, law
from model_server import ModelServer
from scipy import stats

import proxyalign as pa
from proxyalign.errors import InputError
from proxyalign.models.vocabulary import Vocabulary
from proxyalign.serving.decode import decode_served
from proxyalign.serving.pieces import pieces_of
from proxyalign.serving.proxy import LocalProxy

BASE_TEXTS, PROXY_TEXTS = ["the cat the hat the cat"], ["a hat a bat chat that"]
PROMPT, N_DRAWS = "the c", 700


def p_value(counts: Counter, expected: np.ndarray) -> float:
    """Of a chi-square test of counts by index against expected probabilities, rare ones pooled."""
    n = sum(counts.values())
    observed = np.array([counts[i] for i in range(len(expected))], dtype=float)
    is_common = expected * n >= 5
    observed = np.append(observed[is_common], observed[~is_common].sum())
    wanted = np.append(expected[is_common], expected[~is_common].sum()) * n
    return float(stats.chisquare(observed[wanted > 0], wanted[wanted > 0]).pvalue)


@pytest.fixture(scope="module")
def shared():
    """A base that writes half a character in every sixth token, and a proxy of the same vocabulary."""
    tokenizer = byte_tokenizer(BASE_TEXTS, 6)
    return tokenizer, byte_model(tokenizer, 7), byte_model(tokenizer, 1)


@pytest.mark.parametrize(
    ("rule", "form"),
    [
        (pa.rules.Dual(0.1), "vllm"),
        (pa.rules.Nudging(0.2), "vllm"),
        (pa.rules.MinP(0.3), "vllm"),
        (pa.rules.Dual(0.1), "llamacpp"),  # the form is read before the rule is asked
    ],
    ids=str,
)
def test_the_first_tokens_have_the_law_of_the_cascade(shared, form, rule):
    """Fails when a deferred token is kept, a kept one redrawn, or the second token is read in another context."""
    tokenizer, base, proxy = shared
    ids, n_ids = tokenizer(PROMPT)["input_ids"], len(tokenizer)
    first = rule.target(law(base, ids, n_ids), law(proxy, ids, n_ids)).numpy()
    second = np.zeros(n_ids)
    for token in range(1, n_ids):
        context = [*ids, token]
        second += first[token] * rule.target(law(base, context, n_ids), law(proxy, context, n_ids)).numpy()
    with ModelServer(base, tokenizer, form) as server:
        served = pa.ServedBase(server.url, "base", tokenizer=tokenizer, patience=5)
        out = decode_served(
            served, proxy, tokenizer, [PROMPT], rule, max_new_tokens=2, num_return_sequences=N_DRAWS, seed=3
        )
    went_on = [ids for ids in out.token_ids if len(ids) == 2]
    assert p_value(Counter(ids[0] for ids in out.token_ids), first) > 1e-3
    assert p_value(Counter(ids[1] for ids in went_on), second / second.sum()) > 1e-3
    mass = np.mean([trace.deferral_mass[0] for trace in out.traces])
    p = law(base, ids, n_ids)
    exact = float(p[rule.defer(p)].sum())
    assert abs(mass - exact) < 4 * np.sqrt(max(exact * (1 - exact), 1e-9) / N_DRAWS) + 1e-9


def test_pieces_of_two_vocabularies_have_the_law_of_statement_16(shared):
    """Fails when ids of one vocabulary are read as the other's, or a piece of the proxy's alone is lost on the way."""
    base_tokenizer, base, _ = shared
    proxy_tokenizer = byte_tokenizer(PROXY_TEXTS, 7)
    proxy = byte_model(proxy_tokenizer, 5)
    rule = pa.rules.Dual(0.1)
    vocabulary = Vocabulary(
        {"base": base_tokenizer, "proxy": proxy_tokenizer},
        {"base": (0,), "proxy": (0,)},
        {"base": len(base_tokenizer), "proxy": len(proxy_tokenizer)},
    )
    prompts = {"base": base_tokenizer(PROMPT)["input_ids"], "proxy": proxy_tokenizer(PROMPT)["input_ids"]}

    def target(*pieces):
        laws = []
        for role, model in (("base", base), ("proxy", proxy)):
            side = vocabulary.sides[role]
            ids = [*prompts[role], *(i for piece in pieces for i in side.ids[piece])]
            laws.append(side.logits(law(model, ids, model.config.vocab_size).log()).softmax(-1))
        return rule.target(*laws).numpy()

    first = target()
    second = sum(first[i] * target(i) for i, piece in enumerate(vocabulary.pieces) if piece is not None)
    with ModelServer(base, base_tokenizer) as server:
        served = pa.ServedBase(server.url, "base", tokenizer=base_tokenizer, patience=5)
        out = decode_served(
            served, proxy, proxy_tokenizer, [PROMPT], rule, max_new_tokens=2, num_return_sequences=N_DRAWS, seed=4
        )
    assert p_value(Counter(ids[0] for ids in out.token_ids), first) > 1e-3
    assert p_value(Counter(ids[1] for ids in out.token_ids if len(ids) == 2), second / second.sum()) > 1e-3
    assert {len(vocabulary.pieces)} == {len(out.traces[0].tokenizer)}
    read, pieces = vocabulary.sides["base"].ids, pieces_of(base_tokenizer, proxy, proxy_tokenizer)
    several = [i for i, piece in enumerate(vocabulary.pieces) if piece is not None and len(read[i]) > 1]
    assert several
    assert all(pieces.request([7], [i]) == [7, *read[i]] for i in several)


def test_ids_of_the_base_are_no_prompt_for_a_proxy_of_another_vocabulary(shared):
    """Fails when the proxy reads the base's ids as if they were its own."""
    base = pa.ServedBase("http://localhost:1", "base", tokenizer=shared[0], patience=1)
    other = byte_tokenizer(PROXY_TEXTS, 7)
    with pytest.raises(InputError, match="prompts must be texts where the proxy has another vocabulary"):
        decode_served(base, byte_model(other, 5), other, [[5, 6]], pa.rules.Dual(0.1))
    with pytest.raises(InputError, match="prompts must hold token ids from 0 to"):
        decode_served(base, byte_model(other, 5), other, [[10**6]], pa.rules.Dual(0.1), proxy_prompts=["a"])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_of_the_proxy_that_are_no_numbers_are_told_with_the_step(shared, temperature):
    """Fails when a proxy of broken weights writes a random token into a served base's text."""
    tokenizer, _, proxy = shared
    broken = copy.deepcopy(proxy)
    with torch.no_grad():
        broken.lm_head.weight[3] = np.nan
    text = LocalProxy(broken, pieces_of(tokenizer, broken, tokenizer), temperature).beside([5, 6])
    told = "generate: the proxy must give finite logits, got NaN or infinity in the step from new token 3 on"
    with pytest.raises(InputError, match=told):
        text.write([7, 8], 0.5)


def test_a_base_without_its_tokenizer_has_the_same_law_at_the_first_piece(shared):
    """Fails when a text is encoded with more than itself, or a name of a token is taken for other bytes."""
    tokenizer, base, proxy = shared
    rule, ids, n_ids = pa.rules.Dual(0.1), tokenizer(PROMPT)["input_ids"], len(tokenizer)
    expected = rule.target(law(base, ids, n_ids), law(proxy, ids, n_ids)).numpy()
    with ModelServer(base, tokenizer, "openai") as server:
        out = decode_served(
            pa.ServedBase(server.url, "base"), proxy, tokenizer, [PROMPT], rule, max_new_tokens=1,
            num_return_sequences=N_DRAWS, seed=5,
        )  # fmt: skip
    spelt = [out.traces[0].tokenizer.pieces[ids[0]] for ids in out.token_ids]
    is_whole = [i for i, one in enumerate(server.strings) if one and one[0] < 0x80]
    counts = Counter(server.strings.index(one) for one in spelt if one and one[0] < 0x80)
    of_whole = np.where(np.isin(range(n_ids), is_whole), expected, 0.0)
    assert abs(sum(counts.values()) / N_DRAWS - of_whole.sum()) < 4 * np.sqrt(0.25 / N_DRAWS)
    assert p_value(counts, of_whole / of_whole.sum()) > 1e-3


def test_chunks_have_a_length_that_falls_as_more_is_handed_over():
    """Fails when the length ignores the rate, or wastes most of what it asks for."""
    from proxyalign.serving.chunks import chunk_length

    lengths = [chunk_length(n, 100, stops_when_left=False) for n in (0, 1, 5, 10, 30, 60, 100)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] >= 60
    assert lengths[-1] <= 2
    assert 1 < chunk_length(0, 0, stops_when_left=False) < chunk_length(60, 100, stops_when_left=True)
