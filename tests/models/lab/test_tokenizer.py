"""The tokenizer: any text survives it, digits stay single, and a prompt starts as a document does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyalign.models.lab import WEIGHTS
from proxyalign.models.lab.recipe import preset
from proxyalign.models.lab.tokenizer import END, train_tokenizer


@pytest.fixture(scope="module")
def shipped_tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(WEIGHTS / "base")


@given(text=st.text(max_size=40))
def test_any_text_survives_the_tokenizer(shipped_tokenizer, text):
    """Fails when a byte has no token, or decoding tidies up spaces."""
    ids = shipped_tokenizer(text.replace(END, ""))["input_ids"]
    assert shipped_tokenizer.decode(ids, skip_special_tokens=True) == text.replace(END, "")


def test_digits_are_single_tokens_and_the_end_token_comes_first(shipped_tokenizer):
    """Fails when numbers are merged, which makes arithmetic harder, or when a prompt lacks its start."""
    tokens = shipped_tokenizer.convert_ids_to_tokens(shipped_tokenizer("12+345=357, 10.")["input_ids"])
    assert tokens[0] == END
    assert [token for token in tokens if token.isdigit()] == list("1234535710")


def test_end_starts_parts_and_ends_texts(shipped_tokenizer):
    """Fails when the id that ends a text differs from the one that documents are parted by."""
    ids = {shipped_tokenizer.bos_token_id, shipped_tokenizer.eos_token_id, shipped_tokenizer.pad_token_id}
    assert ids == {0}
    assert 1000 < len(shipped_tokenizer) <= preset("full").vocabulary  # the corpus may run out of pairs to merge


def test_a_new_tokenizer_has_the_size_asked_for_and_knows_all_bytes():
    """Fails when the alphabet is only what the sample happened to hold."""
    tokenizer = train_tokenizer(["the cat eats the hat"] * 50, vocabulary=262, context=64)
    assert len(tokenizer) == 262
    assert tokenizer.model_max_length == 64
    assert tokenizer.decode(tokenizer("é∑")["input_ids"], skip_special_tokens=True) == "é∑"
