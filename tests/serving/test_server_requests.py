"""What a server cannot honour it refuses: each malformed request gets a 4xx and a sentence, and harms no other."""

import json

import pytest

pytest.importorskip("starlette", reason="starlette and uvicorn are not installed (extra [serve])")
pytest.importorskip("httpx2", reason="httpx2 is not installed (extra [test])")

from served_here import MODEL, client_of

SAY = [{"role": "user", "content": "Where does the tibdi live?"}]
COMPLETION = {"model": MODEL, "prompt": "Question: Who?\n", "max_tokens": 2, "temperature": 0}
CHAT = {"model": MODEL, "messages": SAY, "max_tokens": 2, "temperature": 0}


class Without:
    """A field that is left out; every process names it alike."""

    def __repr__(self):
        return "nothing"


WITHOUT = Without()


COMPLETIONS = [  # what is changed, the field that is at fault, and a part of the sentence
    ({"model": WITHOUT}, "model", "must be a text, got none"),
    ({"model": 5}, "model", "must be a text"),
    ({"model": "gpt-4"}, "model", "must be 'lab'"),
    ({"prompt": WITHOUT}, "prompt", "must be a text, a list of texts, token ids"),
    ({"prompt": 7}, "prompt", "must be a text"),
    ({"prompt": []}, "prompt", "must be a text"),
    ({"prompt": [[]]}, "prompt", "must be a text"),
    ({"prompt": ["a", 1]}, "prompt", "must be a text"),
    ({"prompt": [1, "a"]}, "prompt", "must be a text"),
    ({"prompt": [1, -1]}, "prompt", "token ids from 0"),
    ({"prompt": [1, 10**9]}, "prompt", "token ids from 0"),
    ({"prompt": [1.5]}, "prompt", "token ids from 0"),
    ({"prompt": [True]}, "prompt", "token ids from 0"),
    ({"prompt": {"text": "a"}}, "prompt", "must be a text"),
    ({"prompt": "\ud800"}, "prompt", "must be Unicode"),
    ({"prompt": "a " * 600}, "prompt", "must fit 512 tokens"),
    ({"prompt": ["a"] * 200}, "n", "at most 128 answers"),
    ({"max_tokens": 0}, "max_tokens", "at least 1"),
    ({"max_tokens": -3}, "max_tokens", "must be a whole number in [0, 511], got -3"),
    ({"max_tokens": 10**6}, "max_tokens", "must be a whole number in [0, 511]"),
    ({"max_tokens": 2.5}, "max_tokens", "must be a whole number"),
    ({"max_tokens": "9"}, "max_tokens", "must be a whole number"),
    ({"max_tokens": 511}, "prompt", "must fit 512 tokens"),
    ({"temperature": -0.1}, "temperature", "must be a number in [0, 2], got -0.1"),
    ({"temperature": 3}, "temperature", "must be a number in [0, 2]"),
    ({"temperature": "hot"}, "temperature", "must be a number in [0, 2], got 'hot'"),
    ({"temperature": True}, "temperature", "must be a number"),
    ({"temperature": [1]}, "temperature", "must be a number"),
    ({"top_p": 1.1}, "top_p", "must be a number in [0, 1]"),
    ({"n": 0}, "n", "must be a whole number in [1, 128]"),
    ({"n": 129}, "n", "must be a whole number in [1, 128]"),
    ({"best_of": 3}, "best_of", "must be as many as n, 1, got 3"),
    ({"seed": -1}, "seed", "must be a whole number"),
    ({"seed": 0.5}, "seed", "must be a whole number"),
    ({"seed": 10**30}, "seed", "must be a whole number"),
    ({"stop": ""}, "stop", "texts that are not empty"),
    ({"stop": 5}, "stop", "a text or a list"),
    ({"stop": ["a", None]}, "stop", "a text or a list"),
    ({"stop": ["a"] * 17}, "stop", "at most 16"),
    ({"stream": "yes"}, "stream", "must be true or false"),
    ({"stream": 1}, "stream", "must be true or false"),
    ({"echo": 0}, "echo", "must be true or false"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "with stream alone"),
    ({"stream": True, "stream_options": {"usage": True}}, "usage", "knows no such field"),
    ({"logprobs": 21}, "logprobs", "must be a whole number in [0, 20]"),
    ({"logprobs": True}, "logprobs", "must be a whole number"),
    ({"logit_bias": [1]}, "logit_bias", "an object of token ids"),
    ({"logit_bias": {"a": 1}}, "logit_bias", "token ids from 0"),
    ({"logit_bias": {"99999999": 1}}, "logit_bias", "token ids from 0"),
    ({"logit_bias": {"5": 101}}, "logit_bias", "in [-100, 100]"),
    ({"logit_bias": {"5": "much"}}, "logit_bias", "in [-100, 100]"),
    ({"frequency_penalty": 0.5}, "frequency_penalty", "must be 0"),
    ({"presence_penalty": -1}, "presence_penalty", "must be 0"),
    ({"suffix": "end"}, "suffix", "must be ''"),
    ({"tools": [{}]}, "tools", "knows no such field"),
    ({"top_k": 4}, "top_k", "knows no such field"),
    ({"ключ": 4}, None, "knows no such field"),
]
CHATS = [
    ({"messages": WITHOUT}, "messages", "a list of one or more messages"),
    ({"messages": []}, "messages", "a list of one or more messages"),
    ({"messages": "hi"}, "messages", "a list of one or more messages"),
    ({"messages": ["hi"]}, "messages[0]", "an object with role and content"),
    ({"messages": [{"content": "hi"}]}, "role", "must be a text"),
    ({"messages": [{"role": "user"}]}, "content", "must be a text"),
    ({"messages": [{"role": "user", "content": 5}]}, "content", "must be a text"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "content", "parts of type text"),
    ({"messages": [{"role": "user", "content": " "}]}, "messages", "one question"),
    ({"messages": [{"role": "judge", "content": "hi"}]}, "messages", "one question"),
    ({"messages": SAY * 2}, "messages", "one question"),
    ({"messages": [{"role": "user", "content": "\udfff"}]}, "messages", "must be Unicode"),
    ({"messages": [{"role": "user", "content": "hi", "tool_calls": [{}]}]}, "tool_calls", "must be []"),
    ({"messages": [{"role": "user", "content": "hi", "mood": "good"}]}, "mood", "knows no such field"),
    ({"max_completion_tokens": 3}, "max_tokens", "must be as max_completion_tokens"),
    ({"max_tokens": 0}, "max_tokens", "must be a whole number in [1, 511]"),
    ({"top_logprobs": 2}, "top_logprobs", "left out without logprobs"),
    ({"logprobs": 2}, "logprobs", "must be true or false"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "must be a whole number in [0, 20]"),
    ({"tools": [{"type": "function"}]}, "tools", "must be []"),
    ({"tool_choice": "required"}, "tool_choice", "must be 'none' or 'auto'"),
    ({"functions": [{}]}, "functions", "must be []"),
    ({"response_format": {"type": "json_object"}}, "response_format", "must be {'type': 'text'}"),
    ({"modalities": ["audio"]}, "modalities", "must be ['text']"),
    ({"echo": True}, "echo", "knows no such field"),
    ({"frequency_penalty": 2}, "frequency_penalty", "must be 0"),
    ({"reasoning_effort": "high"}, "reasoning_effort", "must be left out"),
]
BODIES = [  # content type, body, status, a part of the sentence
    ("application/json", b"", 400, "must be JSON"),
    ("application/json", b"{", 400, "must be JSON"),
    ("application/json", b"[]", 400, "must be a JSON object, got []"),
    ("application/json", b"null", 400, "must be a JSON object, got none"),
    ("application/json", b'"hi"', 400, "must be a JSON object"),
    ("application/json", b'{"temperature": NaN}', 400, "NaN is no number"),
    ("application/json", b'{"temperature": -Infinity}', 400, "no number"),
    ("application/json", b'{"temperature": 1e999}', 400, "no number"),
    ("application/json", b'{"seed": ' + b"9" * 5000 + b"}", 400, "must be JSON"),
    ("application/json", b'{"prompt": "\xff"}', 400, "must be JSON in UTF-8"),
    ("application/json", b"[" * 200_000, 400, "must be JSON"),
    ("application/json", b" " * (5 << 20), 413, "at most 4194304 bytes"),
    ("text/plain", b"{}", 415, "content type must be application/json"),
    ("application/x-www-form-urlencoded", b"model=lab", 415, "content type must be"),
]


@pytest.fixture(scope="module")
def client(lab):
    with client_of(lab, batch_size=4) as client:
        yield client


def is_told(answer, status, param, told):
    """Whether it is a refusal in the shape of OpenAI's errors, in one sentence."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert told in error["message"]
    assert "\n" not in error["message"]
    assert len(error["message"]) < 400
    if param is not None:
        assert error["param"] == param
    return True


def asked(usual, change):
    fields = {name: value for name, value in {**usual, **change}.items() if value is not WITHOUT}
    return json.dumps(fields).encode()  # which writes half a surrogate pair as an escape, as a client might


@pytest.mark.parametrize(
    ("path", "usual", "change", "param", "told"),
    [("completions", COMPLETION, *row) for row in COMPLETIONS] + [("chat/completions", CHAT, *row) for row in CHATS],
    ids=lambda one: str(one)[:50] if isinstance(one, dict) and len(one) < 3 else None,
)
def test_a_malformed_field_is_refused_with_a_sentence(client, path, usual, change, param, told):
    """Fails when a wrong value is taken for another, ignored, or ends in a 500."""
    body = asked(usual, change)
    answer = client.post(f"/v1/{path}", content=body, headers={"Content-Type": "application/json"})
    assert is_told(answer, 404 if change == {"model": "gpt-4"} else 400, param, told)


@pytest.mark.parametrize(("kind", "body", "status", "told"), BODIES, ids=lambda one: str(one)[:30])
@pytest.mark.parametrize("path", ["completions", "chat/completions"])
def test_a_body_that_is_no_object_of_json_is_refused(client, path, kind, body, status, told):
    """Fails when a body breaks the reader, or is read whole however long it is."""
    answer = client.post(f"/v1/{path}", content=body, headers={"Content-Type": kind})
    assert is_told(answer, status, None, told)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/completions", 405), ("POST", "/v1/models", 405), ("POST", "/v1/embeddings", 404), ("GET", "/", 404),
     ("GET", "/v1/models/other", 404)],
)  # fmt: skip
def test_other_paths_and_methods_are_told_in_the_same_shape(client, method, path, status):
    """Fails when a client that looks for an error object finds a page."""
    assert is_told(client.request(method, path, json={}), status, None, "got ")


def test_what_asks_for_nothing_is_no_mistake(client):
    """Fails when a client is refused for the defaults that it spells out, or for labels of its own."""
    idle = {"frequency_penalty": 0, "presence_penalty": 0.0, "user": "me", "n": 1, "stop": None, "logit_bias": {}}
    for path, usual, more in (
        ("completions", COMPLETION, {"best_of": 1, "suffix": None, "logprobs": None, "echo": False, "top_p": 1}),
        ("chat/completions", CHAT, {"tools": [], "response_format": {"type": "text"}, "max_completion_tokens": 2}),
    ):
        answer = client.post(f"/v1/{path}", json={**usual, **idle, **more})
        assert answer.status_code == 200, answer.text
    parts = [{"type": "text", "text": "Where does "}, {"type": "text", "text": "the tibdi live?"}]
    again = client.post("/v1/chat/completions", json={**CHAT, "messages": [{"role": "user", "content": parts}]})
    whole = client.post("/v1/chat/completions", json=CHAT)
    assert again.json()["choices"] == whole.json()["choices"]


def test_an_answer_is_never_longer_than_the_server_allows(lab):
    """Fails when a request that names no limit gets more than one that names the largest may have."""
    with client_of(lab, batch_size=1, max_tokens=5) as client:
        long = {**COMPLETION, "logit_bias": {"0": -100}}
        refused = client.post("/v1/completions", json={**long, "max_tokens": 6})
        assert is_told(refused, 400, "max_tokens", "must be a whole number in [0, 5], got 6")
        for path, usual in (("completions", long), ("chat/completions", {**CHAT, "logit_bias": {"0": -100}})):
            answer = client.post(f"/v1/{path}", json={**usual, "max_tokens": None})
            assert answer.json()["usage"]["completion_tokens"] == 5


def test_a_key_is_asked_of_every_request_but_for_the_servers_health(lab):
    """Fails when a request without the key is answered, or the key is compared by its beginning."""
    with client_of(lab, key="secret") as client:
        for headers in ({}, {"Authorization": "Bearer secre"}, {"Authorization": "Basic secret"}):
            for answer in (client.post("/v1/completions", json=COMPLETION, headers=headers),
                           client.get("/v1/models", headers=headers)):  # fmt: skip
                assert answer.status_code == 401
                assert "must bring the server's key" in answer.json()["error"]["message"]
                assert "secret" not in answer.text
        right = {"Authorization": "Bearer secret"}
        assert client.post("/v1/completions", json=COMPLETION, headers=right).status_code == 200
        assert client.get("/health").json() == {"status": "ok", "running": 0, "waiting": 0}
