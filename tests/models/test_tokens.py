"""Prompts: what a tokenizer writes before a text stays, what closes it does not, and what is no text is told."""

import pytest
import transformers
from tiny_models import llama, word_tokenizer
from tokenizers.processors import BertProcessing, TemplateProcessing

from proxyalign.errors import InputError
from proxyalign.models import ModelPair

FIRST, LAST = ("t8", 8), ("t9", 9)


def pair_with(template=None, n_tokens=12, **special):
    tokenizer = word_tokenizer(n_tokens, **special)
    if template is not None:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=[FIRST, LAST])
    return ModelPair(llama(n_tokens, 0), llama(n_tokens, 1), tokenizer)


@pytest.mark.parametrize(
    ("template", "before"),
    [("$A t9", []), ("t8 $A t9", [8]), ("t8 t9 $A", [8, 9]), ("t9 $A t9", [9]), ("t8 t8 $A t9 t9", [8, 8]), (None, [])],
)
@pytest.mark.parametrize("text", ["t1 t2", "t1", "", "t1 t9", "t1 t9 t9", "t2 t8 t8"])
def test_a_prompt_keeps_what_is_written_before_it_and_loses_what_would_close_it(template, before, text):
    """Fails when the prompt ends with a token that the text does not, loses one that it does, or lacks its first."""
    pair = pair_with(template, bos_token="t8", eos_token="t9")
    assert pair.encode(text) == before + [int(word[1:]) for word in text.split()]


@pytest.mark.parametrize("text", ["t8", "t8 t8", "t8 t1 t9"])
def test_a_text_that_begins_with_the_first_token_is_taken_as_it_is(text):
    """Fails when it gets a second one, also where the tokenizer calls it neither first token nor special."""
    for special in ({"bos_token": "t8", "eos_token": "t9"}, {"cls_token": "t8", "sep_token": "t9"}, {}):
        assert pair_with("t8 $A t9", **special).encode(text) == [int(word[1:]) for word in text.split()]


def test_each_of_many_texts_is_read_as_it_is_alone():
    """Fails when a text that brings its own first token decides for the others, or they for it."""
    pair = pair_with("t8 $A t9", bos_token="t8", eos_token="t9")
    assert pair.encode_all(["t1", "t8 t1", "", "t2 t9"]) == [[8, 1], [8, 1], [8], [8, 2, 9]]
    assert pair.encode_all([]) == []
    with pytest.raises(InputError, match="must be Unicode"):
        pair.encode_all(["t1", "\ud800"])


def test_tokenizers_that_close_texts_by_other_means_are_opened():
    """Fails for bytes closed in Python, for BERT's way, and for an end that is switched on after the pair was made."""
    in_bytes = ModelPair(llama(384, 0), llama(384, 1), transformers.ByT5Tokenizer())
    assert in_bytes.encode("é!") == [0xC3 + 3, 0xA9 + 3, ord("!") + 3]
    pair = pair_with(cls_token="t8", sep_token="t9")
    assert pair.encode("t3 t4") == [3, 4]
    pair.tokenizer.backend_tokenizer.post_processor = BertProcessing(LAST, FIRST)
    assert pair.tokenizer("t3 t4")["input_ids"] == [8, 3, 4, 9]
    assert pair.encode("t3 t4") == [8, 3, 4]


class Chatty:
    """A pair with a template that writes what is said, beside the plain texts of `encode`."""

    def __init__(self):
        self.pair = pair_with()
        self.pair.tokenizer.chat_template = "{{ messages[0].content }}"

    def __call__(self, way, text):
        return getattr(self.pair, way)(text)


@pytest.mark.parametrize("way", ["encode", "chat", "chat_text"])
@pytest.mark.parametrize(("text", "at"), [("t1 \ud83d t2", 3), ("\udce9", 0), ("t1 " * 99 + "\udfff", 297)])
def test_half_a_surrogate_pair_is_told_with_its_place(way, text, at):
    """Fails when the tokenizer's own error reaches the caller, or the message could not be printed."""
    with pytest.raises(InputError, match=rf"must be Unicode.* at character {at}; decode") as told:
        Chatty()(way, text)
    assert len(str(told.value).encode()) < 250


def test_a_whole_pair_is_text_and_nested_messages_are_searched():
    """Fails when characters beyond the first plane are refused, or a message's parts pass unseen."""
    chatty = Chatty()
    assert chatty("encode", "t1 \U0001f600") == [1, 0]
    with pytest.raises(InputError, match="chat: a text must be Unicode"):
        chatty("chat", [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}])
