"""Stop strings: found by what tokens spell, at the token that completes them, however many tokens a character takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from proxyalign.decoding.stopping import Stopping


def of_bytes(**special):
    """A tokenizer for which each byte is one token."""
    vocabulary = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    wrapped.add_special_tokens(special)
    return wrapped


def of_words(words, decoder=None, **settings):
    """A tokenizer of these words, one token each."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if decoder is not None:
        tokenizer.decoder = decoder
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **settings)


def length(tokenizer, ids, strings, *, step=1, least=0, before=()):
    """How many of the ids there are once a string ends the text, read `step` at a time; all of them if none does."""
    stopping = Stopping(np.zeros(len(tokenizer), dtype=bool), [strings], tokenizer, least, [before])
    for start in range(0, len(ids), step):
        end = min(start + step, len(ids))
        cut = stopping.n_until_string(0, np.array(ids[:end]), end - start)
        if cut is not None:
            return start + cut
    return len(ids)


BYTES = of_bytes()
LETTERS = st.text("aé🛑 \n", max_size=12)


@given(LETTERS, st.text("aé🛑 \n", min_size=1, max_size=6), LETTERS, st.integers(1, 7))
def test_a_string_is_found_at_the_byte_that_completes_it(head, stop, tail, step):
    """Fails when strings are looked for among too few tokens, as where a character takes four of them."""
    text = head + stop + tail
    whole = text[: text.index(stop) + len(stop)]
    assert length(BYTES, BYTES(text)["input_ids"], [stop], step=step) == len(whole.encode())


@pytest.mark.parametrize("clean", [False, True])
def test_what_a_clean_up_rewrites_is_found_as_spelt_and_as_shown(clean):
    """Fails when a string is looked for in a text from which the tokenizer has taken the blank, or only before that."""
    tokenizer = of_words(["hello", "world", ".", "more"], clean_up_tokenization_spaces=clean)
    assert length(tokenizer, [0, 1, 2, 3], [" ."]) == 3
    assert length(tokenizer, [0, 1, 2, 3], ["world."]) == (3 if clean else 4)


@pytest.mark.parametrize("step", [1, 64])
def test_tokens_that_show_nothing_do_not_hide_a_string(step):
    """Fails when special tokens within a string use up the tokens that are looked at."""
    tokenizer = of_bytes(additional_special_tokens=["<pad>"])
    pad, ids = tokenizer.convert_tokens_to_ids("<pad>"), tokenizer("one stop")["input_ids"]
    assert length(tokenizer, [*ids[:6], *[pad] * 50, *ids[6:], pad, pad], ["stop"], step=step) == 58


def test_a_blank_before_the_first_token_counts():
    """Fails when the first token is spelt as at the beginning of a text, though it follows the prompt."""
    tokenizer = of_words(["▁of", "▁a", "b", "▁c"], decoders.Metaspace())
    assert length(tokenizer, [1, 2, 3], [" ab"], before=[0]) == 2
    assert length(tokenizer, [1, 2, 3], ["of a"], before=[0]) == 3  # the prompt's own text does not count


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_string_ends_no_text_before_the_least_length(step):
    """Fails when a string that was complete too soon ends the text later, or one that comes in time does not."""
    ids = BYTES("ab cd ab cd")["input_ids"]
    assert length(BYTES, ids, ["ab"], least=2, step=step) == 2
    assert length(BYTES, ids, ["ab"], least=3, step=step) == 8
    assert length(BYTES, ids, ["ab", "d a"], least=5, step=step) == 7
    assert length(BYTES, ids, ["ab"], least=9, step=step) == len(ids)
