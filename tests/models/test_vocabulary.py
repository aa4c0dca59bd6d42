"""The pieces of two vocabularies: which there are, and each model's logits over them."""

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from clashing import END, OF_BYTES, OF_SIGNS, PIECES, clashing_pair
from test_token_bytes import sentence_piece, whole_byte_level
from tiny_models import llama
from tokenizers import Tokenizer

from proxyalign.errors import InputError
from proxyalign.models import ModelPair
from proxyalign.models.vocabulary import _made


def without_letter(letter):
    """A byte-level tokenizer that lacks one letter."""
    import json

    from transformers import PreTrainedTokenizerFast

    settings = json.loads(whole_byte_level().backend_tokenizer.to_str())
    vocabulary = settings["model"]["vocab"]
    settings["model"]["vocab"] = {token: i for token, i in vocabulary.items() if token != letter}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(settings)), eos_token="<|end|>")


@pytest.mark.parametrize("base", ["bytes", "signs"])
def test_logits_of_pieces_are_sums_over_ids(base):
    """Fails when one id stands for all of a string's, a token without a string keeps its mass, or an end is lost."""
    pair = clashing_pair(base)
    assert set(pair.vocabulary.pieces) == PIECES
    for role, strings in {"base": OF_BYTES, "proxy": OF_SIGNS}.items() if base == "bytes" else {
        "base": OF_SIGNS, "proxy": OF_BYTES,
    }.items():  # fmt: skip
        logits = torch.randn(2, 3, len(strings) + 2)
        found = pair.vocabulary.sides[role].logits(logits).softmax(-1)
        expected = torch.zeros_like(found)
        for i, string in enumerate(strings):
            if i != 0:  # the start token
                expected[..., pair.vocabulary.pieces.index(string)] += logits[..., i].exp()
        assert torch.allclose(found, expected / expected.sum(-1, keepdim=True), atol=1e-6)
        half = pair.vocabulary.sides[role].logits(logits.bfloat16())
        assert half.dtype == torch.float32


def test_a_text_is_not_read_by_an_id_that_ends_one():
    """Fails when a letter with two ids, one of which ends a text, is read as that end."""
    base, proxy = (llama(300, seed, eos_token_id=ends) for seed, ends in enumerate(([0], [1])))
    tokenizer = sentence_piece()
    letter, byte = tokenizer.convert_tokens_to_ids(["t", "<0x74>"])
    proxy.generation_config.eos_token_id = [1, letter]
    pair = ModelPair(base=base, proxy=proxy, tokenizer=whole_byte_level(), proxy_tokenizer=tokenizer)
    assert pair.vocabulary.sides["proxy"].read_as([pair.vocabulary.index[b"t"]]) == [byte]


def test_bytes_that_no_text_holds_may_be_missing():
    """Fails when a tokenizer without the letter of a control character is refused, or one that lacks an ä is not.

    SmolLM2's lacks 21 of the 256.
    """
    models = {"base": llama(300, 0), "proxy": llama(300, 1)}
    pair = ModelPair(**models, tokenizer=sentence_piece(), proxy_tokenizer=without_letter("Ą"))  # of the byte 4
    assert b"\x04" not in pair.vocabulary.pieces
    assert b"\x05" in pair.vocabulary.pieces
    assert pair.vocabulary.sides["base"].logits(torch.zeros(300)).shape == (len(pair.vocabulary),)
    with pytest.raises(InputError, match=r"the proxy's tokenizer must be able to write .* got none .* for b'\\xc3'"):
        ModelPair(**models, tokenizer=sentence_piece(), proxy_tokenizer=without_letter("Ã"))


def test_the_share_of_pieces_that_are_read_otherwise_is_counted():
    """Fails when a piece inside another model's usual token passes for one that it would make."""
    pair = clashing_pair("bytes")
    at = {piece: i for i, piece in enumerate(pair.vocabulary.pieces)}
    usual = [[at[b"ab"], at[b" a"]], [at[END]]]
    assert pair.vocabulary.share_read_otherwise("base", usual) == 0.0
    assert pair.vocabulary.share_read_otherwise("proxy", usual) == 0.0
    cut = [[at[b"a"], at[b"b"], at[b" "], at[b"b"]]]
    assert pair.vocabulary.share_read_otherwise("base", cut) == 0.5  # "ab" is one token of its tokenizer
    assert pair.vocabulary.share_read_otherwise("proxy", cut) == 0.5  # " b" is one of its
    assert pair.vocabulary.share_read_otherwise("proxy", [[at[b"\xc3"]]]) == 0.0  # no text


def test_a_text_is_cut_into_the_bases_pieces():
    """Fails when a text that goes on gets a start token or a dummy blank."""
    for base in ("bytes", "signs"):
        vocabulary = clashing_pair(base).vocabulary
        for text in ("ab a", " b", "ba", "é"):
            assert vocabulary.spells(vocabulary.encode(text)).decode() == text


def test_a_vocabulary_is_made_again_only_where_something_has_changed():
    """Fails when each pair of the same models waits for it, or one that has grown old is given for another's."""
    pair = clashing_pair()
    assert replace(pair, reference=None).vocabulary is pair.vocabulary
    pair.proxy_tokenizer.add_special_tokens({"additional_special_tokens": ["ba"]})
    silent = replace(pair).vocabulary
    assert b"ba" in pair.vocabulary.sides["proxy"].bytes.ids
    assert b"ba" not in silent.sides["proxy"].bytes.ids
    pair.base.generation_config.eos_token_id = 4
    ended = replace(pair).vocabulary
    assert ended.sides["base"].ends != silent.sides["base"].ends
    assert replace(pair, proxy=clashing_pair().proxy).vocabulary is not ended
    assert replace(pair, tokenizer=clashing_pair().tokenizer).vocabulary is not ended


def test_a_vocabulary_goes_with_its_proxy():
    """Fails when what is kept for a proxy keeps it, so that no model of two vocabularies is ever let go."""
    pair = clashing_pair()
    proxy, vocabulary = weakref.ref(pair.proxy), weakref.ref(pair.vocabulary)
    assert pair.proxy in _made
    del pair
    gc.collect()
    assert (proxy(), vocabulary()) == (None, None)
