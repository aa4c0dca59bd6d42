"""What each model reads of a chat: the proxy's template for both, or plain text for the base; ids that are no text."""

import pytest
from tiny_models import gpt2, llama, word_tokenizer

import proxyalign as pa
from proxyalign.decoding.scoring import score
from proxyalign.errors import InputError
from proxyalign.models import ModelPair

pytest.importorskip("starlette", reason="starlette and uvicorn are not installed (extra [serve])")
pytest.importorskip("httpx2", reason="httpx2 is not installed (extra [test])")

from served_here import MODEL, RULE, client_of

N_TOKENS = 12
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'judge' %}{{ raise_exception('no judge') }}{% endif %}"
    "t7 {{ m.content }} {% endfor %}t8"
)
TALK = [
    {"role": "system", "content": "t1 t2"},
    {"role": "user", "content": "t3"},
    {"role": "assistant", "content": "t4"},
    {"role": "user", "content": "t5"},
]


@pytest.fixture(scope="module")
def pair():
    base, proxy = llama(N_TOKENS, 0, layers=3).double(), gpt2(N_TOKENS, 1).double()
    own = word_tokenizer(N_TOKENS)
    own.chat_template = TEMPLATE
    return ModelPair(base, proxy, word_tokenizer(N_TOKENS), proxy_tokenizer=own)


def answer(client, path="chat/completions", **asked):
    found = client.post(f"/v1/{path}", json={"model": MODEL, "temperature": 0, "max_tokens": 6, **asked})
    return found.json()["choices"][0] if found.status_code == 200 else found.json()["error"]


def alone(pair, prompt, **own):
    return pa.generate(pair, [prompt], RULE, temperature=0, max_new_tokens=6, **own).texts[0]


def test_a_chat_is_read_in_the_proxys_template(pair):
    """Fails when a message is lost, or the models read different texts unasked."""
    with client_of(pair, wrap=None, batch_size=2) as client:
        found = answer(client, messages=TALK)["message"]["content"]
        assert found == alone(pair, "t7 t1 t2 t7 t3 t7 t4 t7 t5 t8")
        assert "no judge" in answer(client, messages=[{"role": "judge", "content": "t1"}])["message"]
        assert "must be a whole number in [1, 63]" in answer(client, messages=TALK, max_tokens=64)["message"]
        long = answer(client, messages=TALK, max_tokens=None, logit_bias={"3": 100})
        assert len(long["message"]["content"].split()) == 64 - 10  # all that the context leaves


def test_the_base_may_read_plain_text_while_the_proxy_reads_the_template(pair):
    """Fails when the base reads the template, or the proxy the plain text, in a chat, a completion or a score."""
    with client_of(pair, proxy_chat=True, wrap=None, batch_size=2) as client:
        one = [{"role": "user", "content": "t3 t4"}]
        wanted = alone(pair, "t3 t4", proxy_prompts=["t7 t3 t4 t8"])
        assert wanted != alone(pair, "t3 t4")
        assert answer(client, messages=one)["message"]["content"] == wanted
        assert answer(client, "completions", prompt="t3 t4")["text"] == wanted
        assert answer(client, "completions", prompt=[3, 4])["text"] == wanted
        plain = "System: t1 t2\n\nUser: t3\n\nAssistant: t4\n\nUser: t5\n\nAssistant:"
        found = answer(client, messages=TALK)["message"]["content"]
        assert found == alone(pair, plain, proxy_prompts=["t7 t1 t2 t7 t3 t7 t4 t7 t5 t8"])
        told = answer(client, "completions", prompt="t3 t4", logprobs=1)["logprobs"]["token_logprobs"]
        ids = pair.encode(wanted)
        assert told == pytest.approx(score(pair, RULE, [[3, 4]], [ids], proxy_contexts=[[7, 3, 4, 8]])[0].log_probs)
        refused = answer(client, "completions", prompt="t3", echo=True, logprobs=1)
        assert "echo must be false with logprobs where base and proxy read a prompt differently" in refused["message"]
        assert answer(client, "completions", prompt="t3", echo=True)["text"].startswith("t3")


def test_a_pair_without_a_template_is_told_of(pair):
    """Fails when a chat with such a pair is answered from some other text."""
    bare = ModelPair(pair.base, pair.proxy, word_tokenizer(N_TOKENS))
    with client_of(bare, wrap=None, batch_size=2) as client:
        refused = answer(client, messages=TALK)
        assert refused["param"] == "messages"
        assert "must have a chat template" in refused["message"]
    with pytest.raises(InputError, match="must have a chat template"), client_of(bare, proxy_chat=True, wrap=None):
        pass
