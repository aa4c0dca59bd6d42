"""A pair over two vocabularies is served as it decodes: answers are pieces, prompts are each model's own tokens."""

import json

import pytest
from clashing import clashing_pair

import proxyalign as pa
from proxyalign.decoding.scoring import score

pytest.importorskip("starlette", reason="starlette and uvicorn are not installed (extra [serve])")
pytest.importorskip("httpx2", reason="httpx2 is not installed (extra [test])")

from served_here import MODEL, RULE, client_of

TEXTS = ["ab a", "b", "ba ab", "a", "aab b"]


@pytest.fixture(scope="module")
def pair():
    return clashing_pair()


@pytest.mark.parametrize("settings", [{}, {"mode": "speculative", "window": 3}, {"boundaries": "word"}], ids=str)
def test_answers_and_their_log_probabilities_are_those_of_pieces(pair, settings):
    """Fails when the proxy reads the base's ids, a piece is taken for a token, or a full context breaks a batch."""
    with client_of(pair, batch_size=2, wrap=None, **settings) as client:
        for seed, text in enumerate(TEXTS):
            asked = {"model": MODEL, "max_tokens": 9, "temperature": 1, "seed": seed, "n": 3}
            wanted = pa.generate(pair, [text], RULE, max_new_tokens=9, seed=seed, num_return_sequences=3, **settings)
            for prompt in (text, pair.encode(text)):
                found = client.post("/v1/completions", json={**asked, "prompt": prompt, "logprobs": 1}).json()[
                    "choices"
                ]
                assert [choice["text"] for choice in found] == wanted.texts
            known = {name: value for name, value in settings.items() if name == "boundaries"}
            contexts = [pair.encode(text)] * 3
            scores = score(pair, RULE, contexts, wanted.token_ids, **known)
            for choice, one in zip(found, scores, strict=True):
                assert choice["logprobs"]["token_logprobs"] == pytest.approx(one.log_probs, abs=1e-9)
        streamed = client.post("/v1/completions", json={**asked, "prompt": text, "n": 1, "stream": True}).text
        events = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
        assert "".join(event["choices"][0]["text"] for event in events) == wanted.texts[0]
        refused = client.post("/v1/completions", json={**asked, "prompt": text, "echo": True, "logprobs": 1})
        assert refused.status_code == 400


def test_an_answer_ends_where_a_models_context_does(pair):
    """Fails when a piece of several tokens runs over the context, or what ends there is not told as cut off."""
    room = pair.context_length
    with client_of(pair, batch_size=2, wrap=None) as client:
        asked = {"model": MODEL, "prompt": "ab", "max_tokens": room - 8, "seed": 1, "logit_bias": {}}
        ends = {str(i): -100 for i in pair.eos_token_ids}
        found = client.post("/v1/completions", json={**asked, "logit_bias": ends}).json()["choices"][0]
        assert found["finish_reason"] == "length"
