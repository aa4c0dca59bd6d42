"""Text told piece by piece: no half character, no stop string, nothing lost and nothing taken back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from proxyalign.errors import InputError

pytest.importorskip("starlette", reason="starlette and uvicorn are not installed (extra [serve])")

from types import SimpleNamespace

from proxyalign.serving.server.text import Growing, Tokens, shown

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


def byte_tokenizer(**settings):
    """A token for each byte, and an end of text."""
    tokenizer = Tokenizer(models.BPE({**{letter: i for i, letter in enumerate(ALPHABET)}, "<|end|>": 256}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", **settings)


def pair_of(tokenizer, pieces=None):
    vocabulary = SimpleNamespace(pieces=pieces)
    return SimpleNamespace(spelling=tokenizer, vocabulary=vocabulary)


PLAIN = byte_tokenizer()
CLEANING = byte_tokenizer(
    clean_up_tokenization_spaces=True, clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output=True
)


def told(tokenizer, ids, stop, steps):
    """The pieces that come when the tokens do, so many at a time."""
    growing, pieces, at = Growing(pair_of(tokenizer), stop), [], 0
    for step in steps:
        at = min(at + step, len(ids))
        pieces.append(growing.piece(ids[:at], False))
    return [*pieces, growing.piece(ids, True)]


@pytest.mark.parametrize("tokenizer", [PLAIN, CLEANING], ids=["plain", "cleaning"])
@example(text="a ' .", stop=[], steps=[1] * 5, end=False)
@example(text="a n't b", stop=[], steps=[1] * 7, end=False)
@given(
    text=st.text(st.sampled_from("ab .,'nt\N{REPLACEMENT CHARACTER}é漢😀\n"), max_size=30),
    stop=st.lists(st.text(st.sampled_from("ab .é"), min_size=1, max_size=4), max_size=2),
    steps=st.lists(st.integers(0, 5), max_size=60),
    end=st.booleans(),
)
def test_the_pieces_joined_are_the_text_as_shown(tokenizer, text, stop, steps, end):
    """Fails when a character is cut, a piece lost, a stop string told, or a space that is cleaned away was told."""
    ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], *([256] if end else [])]
    pieces = told(tokenizer, ids, stop, steps)
    assert "".join(pieces) == shown(pair_of(tokenizer), ids, stop)


@given(ids=st.lists(st.integers(0, 256), max_size=20), steps=st.lists(st.integers(0, 3), max_size=20))
def test_bytes_that_are_no_text_come_to_the_same_in_pieces(ids, steps):
    """Fails when bytes that never become a character are lost, or told as something else in pieces."""
    assert "".join(told(PLAIN, ids, [], steps)) == shown(pair_of(PLAIN), ids, [])


def test_a_character_comes_when_its_last_byte_does_and_a_stop_string_never():
    """Fails when pieces wait for the end though nothing speaks against telling them."""
    ids = PLAIN("é漢 STOPaSTOP", add_special_tokens=False)["input_ids"]
    assert told(PLAIN, ids[:6], [], [1] * 6) == ["", "é", "", "", "漢", " ", ""]
    assert told(PLAIN, ids, ["STOPa"], [5, 1, 1, 1, 1, 1]) == ["é漢", " ", "", "", "", "", ""]
    assert "".join(told(PLAIN, ids[:-5], ["STOPa"], [1] * 9)) == "é漢 STOP"
    assert shown(pair_of(PLAIN), ids, ["STOP", " S"]) == "é漢"


def test_tokens_are_named_and_placed_by_their_bytes():
    """Fails when half a character is named like another half, or places count bytes where they should characters."""
    pieces = (*(bytes([i]) for i in range(256)), None)
    tokens = Tokens(pair_of(SimpleNamespace(decode=lambda ids: "<|end|>", all_special_ids=[256]), pieces))
    ids = [*"aé漢b".encode(), 256]
    assert [tokens.name(i) for i in ids[:3]] == ["a", "bytes:\\xc3", "bytes:\\xa9"]
    assert tokens.name(256) == "<|end|>"
    assert tokens.bytes_of(256) is None
    assert tokens.offsets(ids, 10) == [10, 11, 11, 12, 12, 12, 13, 14]


def test_a_tokenizer_whose_bytes_are_not_known_is_named_by_what_it_shows():
    """Fails when such a tokenizer cannot be served with log-probabilities."""

    class Unknown:
        spelling = SimpleNamespace(decode=lambda ids: f"t{ids[0]}", all_special_ids=[3])

        @property
        def vocabulary(self):
            raise InputError("its bytes are not known")

    tokens = Tokens(Unknown())
    assert tokens.name(12) == "t12"
    assert tokens.bytes_of(12) is None
    assert tokens.offsets([12, 3, 1], 0) == [0, 3, 3]
