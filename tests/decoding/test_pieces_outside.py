"""Pieces on their way out: to transformers' own generate, and to what shows a text as it comes."""

import copy

import pytest
import torch
from clashing import bytes_tokenizer, clashing_pair
from tiny_models import llama

from proxyalign.decoding import generate
from proxyalign.deferral import rules
from proxyalign.models import ModelPair
from proxyalign.models.vocabulary import Vocabulary


def test_a_models_own_generate_decodes_the_pair():
    """Fails when pieces are handed back as ids of the base, or an end of one model does not end the text."""
    from proxyalign.decoding.custom_generate import generate_kad

    pair = clashing_pair()
    ids = torch.tensor([pair.encode("ab a")])
    settings = {"proxy": pair.proxy, "rule": rules.Dual(0.15), "pair_tokenizer": pair.tokenizer}
    found = pair.base.generate(
        ids, custom_generate=generate_kad, proxy_tokenizer=pair.proxy_tokenizer, do_sample=False, max_new_tokens=9,
        pad_token_id=0,
        attention_mask=torch.ones_like(ids), **settings,
    )  # fmt: skip
    (expected,) = generate(pair, ["ab a"], rules.Dual(0.15), temperature=0, max_new_tokens=9).token_ids
    own = [i for piece in expected for i in pair.vocabulary.sides["base"].ids[piece]]
    assert found[0].tolist() == ids[0].tolist() + own
    letter = pair.base.generate(
        ids, custom_generate=generate_kad, proxy_tokenizer=pair.proxy_tokenizer, do_sample=False, max_new_tokens=9,
        eos_token_id=[1, own[0]], pad_token_id=0,
        attention_mask=torch.ones_like(ids), **settings,
    )  # fmt: skip
    assert letter[0].tolist() == ids[0].tolist() + own[:1]
    silent = pair.base.generate(
        ids, custom_generate=generate_kad, proxy_tokenizer=pair.proxy_tokenizer, do_sample=False, max_new_tokens=9,
        suppress_tokens=[0, 9], pad_token_id=0,  # a start of text and a column without a token
        attention_mask=torch.ones_like(ids), **settings,
    )  # fmt: skip
    assert silent.tolist() == found.tolist()


def test_a_models_own_generate_makes_the_pieces_once(monkeypatch):
    """Fails when each call waits for the pair's vocabulary, which takes seconds where models are real."""
    from proxyalign.decoding.custom_generate import generate_kad

    pair, made, make = clashing_pair(), [], Vocabulary.__init__
    own = {"proxy": copy.deepcopy(pair.proxy), "pair_tokenizer": pair.tokenizer}  # a proxy of no pair so far
    monkeypatch.setattr(Vocabulary, "__init__", lambda self, *parts: (made.append(self), make(self, *parts))[1])
    ids = torch.tensor([pair.encode("ab a")])
    for _ in range(3):
        pair.base.generate(
            ids, custom_generate=generate_kad, proxy_tokenizer=pair.proxy_tokenizer, do_sample=False, max_new_tokens=1,
            rule=rules.Dual(0.15), pad_token_id=0, attention_mask=torch.ones_like(ids), **own,
        )  # fmt: skip
    assert len(made) == 1


def test_a_streamer_is_given_the_bases_ids():
    """Fails when pieces reach a streamer, which shows ids by the base's tokenizer."""
    pair, seen = clashing_pair(), []

    class Streamer:
        def put(self, ids):
            seen.append(ids.tolist())

        def end(self):
            seen.append("end")

    (ids,) = generate(pair, ["ab"], rules.Dual(0.15), max_new_tokens=8, streamer=Streamer(), seed=4).token_ids
    assert seen[0] == pair.encode("ab")
    assert seen[-1] == "end"
    own = [i for piece in ids for i in pair.vocabulary.sides["base"].ids[piece]]
    assert [i for part in seen[1:-1] for i in part] == own


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_a_base_without_an_end_shows_none(mode):
    """Fails when a text goes on after the proxy has ended it, or ends with an id that the base has for something."""
    from proxyalign.decoding.custom_generate import generate_kad

    tokenizer, of_proxy, shown = bytes_tokenizer(), clashing_pair(), []
    tokenizer.eos_token = None
    pair = ModelPair(llama(9, 0).double(), of_proxy.proxy, tokenizer, proxy_tokenizer=of_proxy.proxy_tokenizer)
    (end,) = pair.eos_token_ids
    ids = torch.tensor([pair.encode("ab a")]).repeat(20, 1)
    torch.manual_seed(0)
    settings = {"proxy": pair.proxy, "rule": rules.Dual(0.3), "pair_tokenizer": tokenizer, "mode": mode}
    found = pair.base.generate(
        ids, custom_generate=generate_kad, proxy_tokenizer=pair.proxy_tokenizer, do_sample=True, top_k=0,
        max_new_tokens=9, pad_token_id=8, attention_mask=torch.ones_like(ids), **settings,
    )  # fmt: skip
    torch.manual_seed(0)
    asked = {"num_return_sequences": 1, "max_new_tokens": 9, "mode": mode, "seed": int(torch.randint(2**62, ()))}
    answers = generate(pair, ids.tolist(), rules.Dual(0.3), **asked).token_ids
    assert any(answer[-1] == end for answer in answers)
    for row, answer in zip(found[:, ids.shape[1] :].tolist(), answers, strict=True):
        own = pair.vocabulary.sides["base"].read_as([piece for piece in answer if piece != end])
        assert row == own + [8] * (len(row) - len(own))

    class Streamer:
        def put(self, new):
            shown.extend(new.tolist())

        def end(self):
            pass

    for seed in range(9):
        shown.clear()
        (answer,) = generate(pair, ["ab"], rules.Dual(0.3), max_new_tokens=9, streamer=Streamer(), seed=seed).token_ids
        assert shown == pair.encode("ab") + pair.vocabulary.sides["base"].read_as([i for i in answer if i != end])
