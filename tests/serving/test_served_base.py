"""A served base in use: greedy texts, several at once, rules and arguments that it takes, keys that stay hidden."""

import json
import re

import pytest
from model_server import ModelServer

import proxyalign as pa
from proxyalign.errors import InputError
from proxyalign.serving.answers import ends_in_half
from proxyalign.serving.base import ServerError
from proxyalign.serving.decode import decode_served

RULE = pa.rules.Dual(0.4)


@pytest.fixture(scope="module")
def pair():
    return pa.load_pair("lab")


@pytest.fixture(scope="module")
def prompts():
    return [question.prompt for question in pa.tasks.get("lab-facts").questions(split="test", limit=8)]


@pytest.mark.parametrize("form", ["vllm", "llamacpp"])
@pytest.mark.parametrize("rule", [RULE, pa.rules.Nudging(0.6), pa.rules.Never(), pa.rules.Always()], ids=str)
def test_greedy_texts_are_those_of_the_same_base_here(pair, prompts, form, rule):
    """Fails when a chunk goes on from another context, or several texts at once are mixed up."""
    here = pa.generate(pair, prompts, rule, max_new_tokens=30, temperature=0.0)
    with ModelServer(pair.base, pair.tokenizer, form) as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer)
        out = decode_served(base, pair.proxy, pair.tokenizer, prompts, rule, max_new_tokens=30, temperature=0.0)
    assert out.token_ids == here.token_ids
    assert out.texts == here.texts
    assert [list(trace.source) for trace in out.traces] == [list(trace.source) for trace in here.traces]


@pytest.mark.parametrize("form", ["vllm", "llamacpp", "openai"])
def test_a_base_read_as_text_writes_the_same_greedy_texts_here(pair, prompts, form):
    """Fails when a blank or a byte is lost between the server's text and the proxy's; here both encode alike."""
    here = pa.generate(pair, prompts, RULE, max_new_tokens=30, temperature=0.0)
    with ModelServer(pair.base, pair.tokenizer, form) as server:
        out = decode_served(
            pa.ServedBase(server.url, "base"), pair.proxy, pair.tokenizer, prompts, RULE, max_new_tokens=30,
            temperature=0.0,
        )  # fmt: skip
    assert out.texts == here.texts


def test_a_seed_fixes_the_texts_whatever_else_is_written_at_once(pair):
    """Fails when a draw depends on a clock, on a neighbour, or on where the prompts are cut in parts."""
    prompts = ["The", "In the north", "Once", "A skota", "Every", "Nobody", "It", "When"]
    with ModelServer(pair.base, pair.tokenizer) as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer)

        def ids(some, **settings):
            return decode_served(
                base, pair.proxy, pair.tokenizer, some, pa.rules.Dual(0.1), max_new_tokens=12, **settings
            ).token_ids

        together = ids(prompts, seed=7)
        assert ids(prompts, seed=7, n_concurrent=1) == together
        assert ids(prompts[5:], seed=7, first_index=5) == together[5:]
        assert ids(prompts, seed=8) != together


def test_every_setting_that_changes_a_law_is_named_and_off(pair, prompts):
    """Fails when a server's own defaults, such as llama.cpp's top-k of 40, are left to it."""
    off = {
        "vllm": {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0},
        "llamacpp": {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "samplers": ["temperature"], "mirostat": 0},
        "openai": {"top_p": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0},
    }
    for form, wanted in off.items():
        with ModelServer(pair.base, pair.tokenizer, form) as server:
            base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer if form != "openai" else None)
            decode_served(base, pair.proxy, pair.tokenizer, prompts[:1], RULE, max_new_tokens=5)
        assert all(body.items() >= wanted.items() for body in server.bodies)


def test_a_text_ends_with_a_string_that_is_to_stop_it(pair, prompts):
    """Fails when a string that lies across tokens is missed, or one in the prompt counts."""
    with ModelServer(pair.base, pair.tokenizer) as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer)
        whole = decode_served(base, pair.proxy, pair.tokenizer, prompts[:1], RULE, temperature=0.0).texts[0]
        middle = whole[len(whole) // 2 - 2 : len(whole) // 2 + 2]
        cut = decode_served(
            base, pair.proxy, pair.tokenizer, prompts[:1], RULE, temperature=0.0, stop=[middle, "no such"]
        ).texts[0]
    assert whole.startswith(cut)
    assert middle in cut
    assert cut != whole


def test_the_key_is_sent_and_never_shown(pair, prompts, monkeypatch):
    """Fails when the key gets into a record, a representation, or the message of a server that repeats it."""
    monkeypatch.setenv("MY_KEY", "secret-123")
    with ModelServer(pair.base, pair.tokenizer, key="secret-123") as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer, api_key_env="MY_KEY")
        out = decode_served(base, pair.proxy, pair.tokenizer, prompts[:1], RULE, max_new_tokens=5)
        assert "secret" not in repr(base) + repr(out) + repr(vars(base)) + json.dumps(server.bodies)
        server.key = "another"
        with pytest.raises(ServerError, match=r"got 401 .*MY_KEY") as refused:
            decode_served(base, pair.proxy, pair.tokenizer, prompts[:1], RULE, max_new_tokens=5)
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("MY_KEY", " secret-123\n")  # as files hold keys
    assert base.api_key == "secret-123"
    monkeypatch.setenv("MY_KEY", "secret\u2013123")
    with pytest.raises(InputError, match="variable MY_KEY must hold a key of printable ASCII, got other") as refused:
        decode_served(base, pair.proxy, pair.tokenizer, prompts[:1], RULE, max_new_tokens=5)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "rule",
    [
        pa.rules.Primal(0.5),
        pa.rules.EntropyGate(1.0),
        pa.rules.ProxyVeto(0.1),
        pa.rules.Hybrid(0.1),
        pa.rules.NudgingWords(0.5),
        pa.rules.TopK(5),
        pa.rules.StaticMixture(0.5),
    ],
    ids=str,
)
def test_a_rule_that_asks_more_of_the_base_is_refused(pair, rule):
    """Fails when such a rule decides from numbers that no server shows."""
    base = pa.ServedBase("http://localhost:1", "base", patience=1)
    with pytest.raises(InputError, match=r"^generate: with a served base the rule must decide by .*; take one"):
        decode_served(base, pair.proxy, pair.tokenizer, ["a"], rule)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"url": "localhost:8000"}, "url must be that of a server"),
        ({"url": "http://localhost:abc/v1"}, "url must be that of a server"),
        ({"url": "http://localhost:99999"}, "url must be that of a server"),
        ({"url": "http://[::1"}, "url must be that of a server"),
        ({"url": "http://local\nhost/v1"}, "url must be that of a server"),
        ({"url": "http://me:secret@localhost"}, "url must carry no user or password, got one for localhost"),
        ({"url": "http://localhost", "model": ""}, "model must be a name"),
        ({"url": "http://localhost", "patience": -1}, "patience must be a number in"),
        ({"url": "http://localhost", "timeout": float("nan")}, "timeout must be a number in"),
    ],
)
def test_what_is_no_server_is_refused_in_a_sentence(arguments, told):
    """Fails when a mistake shows only at the first request."""
    with pytest.raises(InputError, match=f"^ServedBase: {told}.*; ") as refused:
        pa.ServedBase(**{"model": "base"} | arguments)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("prompts", "settings", "told"),
    [
        ("a", {}, "prompts must be a list"),
        ([], {}, "prompts must be a list"),
        ([[1, 2]], {}, "prompts must be texts for a served base without its tokenizer"),
        (["a"], {"proxy_prompts": ["a", "b"]}, "proxy_prompts must be as many as prompts, 1, got 2"),
        (["a"], {"n_concurrent": 0}, "n_concurrent must be a whole number"),
        (["a"], {"temperature": -1.0}, "temperature must be a finite number"),
        (["a"], {"stop": "x"}, "stop must be a list of strings"),
        (["a\ud800"], {}, "a text must be Unicode"),
    ],
)
def test_arguments_out_of_range_are_refused_before_any_request(pair, prompts, settings, told):
    """Fails when a server is asked first: there is none at this address."""
    base = pa.ServedBase("http://localhost:1", "base", patience=1)
    with pytest.raises(InputError, match=f"^generate: {re.escape(told)}"):
        decode_served(base, pair.proxy, pair.tokenizer, prompts, RULE, **settings)


def test_the_end_of_a_character_is_known_from_its_bytes():
    """Fails for a lead byte with too few followers, or for one too many."""
    for text in ("a", "é", "漢", "👩‍🚀", "é" * 3):
        whole = text.encode()
        assert not ends_in_half(whole)
        last = text[-1].encode()
        assert all(ends_in_half(whole[: len(whole) - n]) for n in range(1, len(last)))
    assert not ends_in_half(b"")
    assert not ends_in_half(b"\x80\x80\x80")
