"""Each server's way to show tokens is read as what it says, half characters too."""

import math

import pytest

from proxyalign.serving.answers import read
from proxyalign.serving.base import ServerError


def openai(*tokens, text, end=None):
    """A choice in the form of OpenAI's completions: names and probabilities, and the likeliest name with 0.5."""
    return {
        "text": text,
        "finish_reason": end,
        "logprobs": {
            "tokens": [name for name, _ in tokens],
            "token_logprobs": [math.log(p) for _, p in tokens],
            "top_logprobs": [{"best": math.log(0.5), name: math.log(p)} for name, p in tokens],
        },
    }


def llamacpp(token, string, p, text, end=None):
    """A choice in the form of llama.cpp."""
    best = {"id": 1, "token": "best", "bytes": [98], "logprob": math.log(0.5)}
    one = {"id": token, "token": text, "bytes": list(string), "logprob": math.log(p), "top_logprobs": [best]}
    return {"text": text, "finish_reason": end, "logprobs": {"content": [one]}}


def spelt(choices, strings=None, **settings):
    return [(one.string, one.is_end) for one in read(choices, strings, **settings)]


def test_bytes_of_a_character_are_joined_where_the_base_is_read_as_text():
    """Fails when half a character goes to the proxy or back to the server, or a probability is lost."""
    choices = [
        openai(("a", 0.4), text="a"),
        openai(("bytes:\\xe6\\xbc", 0.1), text=""),
        openai(("bytes:\\xa2", 0.9), text="漢"),
        openai(("b", 0.5), text="b", end="length"),
    ]
    assert spelt(choices) == [(b"a", False), ("漢".encode(), False), (b"b", False)]
    joined = list(read(choices, None))[1]
    assert joined.p_y == pytest.approx((0.1, 0.9))
    assert joined.p_max == pytest.approx((0.5, 0.9))


def test_characters_that_stand_for_halves_take_their_bytes_from_the_text():
    """Fails when U+FFFD, which vLLM shows for half a character, becomes part of the text."""
    choices = [
        openai(("\ufffd", 0.1), text=""),
        openai(("\ufffd", 0.9), text="漢"),
        openai(("x", 0.3), ("\ufffd", 0.2), ("\ufffd", 0.8), ("y", 0.4), text="xéy", end="length"),
    ]
    assert spelt(choices) == [("漢".encode(), False), (b"x", False), ("é".encode(), False), (b"y", False)]


def test_a_blank_that_a_name_lacks_is_the_texts():
    """Fails when words run together, as names of SentencePiece's tokens lack the blank before them."""
    assert spelt([openai(("The", 0.4), ("cat", 0.4), text="The cat", end="length")]) == [
        (b"The", False),
        (b" cat", False),
    ]


def test_names_that_do_not_spell_the_text_are_refused():
    """Fails when text is lost without a word."""
    with pytest.raises(ServerError, match="the server's tokens must spell its text"):
        spelt([openai(("The", 0.4), ("dog", 0.4), text="The cat", end="length")])


def test_a_token_without_text_ends_it_only_where_the_server_says_so():
    """Fails when a special token in the middle is taken for the end, or the end for one."""
    ended = [openai(("a", 0.4), text="a"), openai(("</s>", 0.2), text="", end="stop")]
    assert spelt(ended) == [(b"a", False), (None, True)]
    amidst = [openai(("<tool>", 0.2), text=""), openai(("a", 0.4), text="a", end="length")]
    assert spelt(amidst) == [(None, False), (b"a", False)]


def test_ids_are_read_where_the_bases_vocabulary_is_known():
    """Fails when a name such as token_id:2 is taken for text."""
    strings = (None, b"a", b"\xe6\xbc")
    choices = [openai(("token_id:2", 0.4), text=""), openai(("token_id:0", 0.4), text="", end="stop")]
    assert spelt(choices, strings) == [(b"\xe6\xbc", False), (None, True)]
    with pytest.raises(ServerError, match="must tell the ids of its tokens"):
        spelt([openai(("a", 0.4), text="a")], strings)


def test_what_llamacpp_keeps_back_is_known_to_be_missing():
    """Fails when the last token of a character passes for the whole of it."""
    strings = (None, b"a", b"\xe6\xbc", b"\xa2")
    whole = [llamacpp(1, b"a", 0.4, "a"), llamacpp(3, "漢".encode(), 0.9, "漢", end="length")]
    assert [one.is_joined for one in read(whole, strings)] == [False, True]
    assert spelt(whole) == [(b"a", False), ("漢".encode(), False)]
    hidden = [llamacpp(1, b"a", 0.4, "a"), {"text": "", "logprobs": None, "finish_reason": "stop"}]
    assert [one.is_joined for one in read(hidden, strings, keeps_halves_back=True)] == [False, True]


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"text": "a", "logprobs": None, "finish_reason": None}, "must show the log-probability of each token"),
        (openai(("a", 0.4), text="a", end="stop"), "must show the log-probability of the token that ends a text"),
        (openai(("a", 0.4), text="a", end="content_filter"), "must end an answer by its end or its length"),
    ],
)
def test_an_answer_that_cannot_be_judged_is_refused(choice, told):
    """Fails when a token is kept whose probability nobody told."""
    with pytest.raises(ServerError, match=told):
        list(read([choice], None))


def changed(choice, form, **parts):
    """A choice whose log-probabilities, or those of its first token, are changed in these parts."""
    found = choice["logprobs"]["content"][0] if form == "content" else choice["logprobs"]
    found.update(parts)
    return choice


@pytest.mark.parametrize(
    ("form", "parts"),
    [
        ("content", {"logprob": None}),
        ("content", {"logprob": 5.0}),
        ("content", {"logprob": math.nan}),
        ("content", {"top_logprobs": None}),
        ("content", {"bytes": [999]}),
        ("content", {"id": -3}),
        ("content", {"id": "5"}),
        ("names", {"tokens": [5]}),
        ("names", {"token_logprobs": ["low"]}),
        ("names", {"token_logprobs": [math.nan]}),
        ("names", {"token_logprobs": []}),
        ("names", {"top_logprobs": [[1]]}),
        ("names", {"top_logprobs": [{"a": "b"}]}),
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_refused_in_a_sentence(form, parts):
    """Fails when it ends the run with an error from inside, or a token without a probability is kept."""
    choice = llamacpp(1, b"a", 0.4, "a") if form == "content" else openai(("a", 0.4), text="a")
    told = (
        "^ServedBase: the server must show its tokens with log-probabilities as OpenAI's completions do, got .*; take"
    )
    with pytest.raises(ServerError, match=told):
        list(read([changed(choice, form, **parts)], None if form == "names" else [b"", b"a"]))


@pytest.mark.parametrize("choice", [{"text": 5, "logprobs": None}, {"text": "a", "logprobs": [1]}], ids=str)
def test_a_choice_of_another_form_is_refused_in_a_sentence(choice):
    """Fails when it ends the run with an error from inside."""
    with pytest.raises(ServerError, match="must show its tokens with log-probabilities"):
        list(read([choice], None))
