"""A served cascade answers as `generate` does: to OpenAI's own client, to many at once, whole and piece by piece."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

import proxyalign as pa
from proxyalign.decoding.scoring import score
from proxyalign.tasks import get as get_task

openai = pytest.importorskip("openai", reason="openai is not installed (extra [test])")
pytest.importorskip("uvicorn", reason="starlette and uvicorn are not installed (extra [serve])")

from served_here import MODEL, RULE, engine_of, service_of, url_of  # noqa: E402

MODES = {"autoregressive": {}, "speculative": {"mode": "speculative", "window": 3}}
LISTS = ("tokens", "token_logprobs", "text_offset")
GOES_ON = {"0": -100}  # the lab pair's end of text is forbidden, so that an answer is as long as it may be


@pytest.fixture(scope="module")
def prompts():
    facts, problems = (get_task(name).questions(split="test", limit=12) for name in ("lab-facts", "lab-math"))
    return [question.prompt for question in (*facts, *problems)]


@pytest.fixture(scope="module", params=list(MODES))
def served(request, lab):
    """A client of a server in each mode, and what `generate` has to be given to do the same."""
    settings = MODES[request.param]
    with engine_of(lab, batch_size=8, **settings) as engine, url_of(service_of(engine)) as url:
        yield openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120), settings


def complete(served, prompt, **asked):
    return served[0].completions.create(model=MODEL, prompt=prompt, **{"max_tokens": 24, "temperature": 0} | asked)


def alone(lab, served, prompt, **asked):
    settings = {"max_new_tokens": 24, "temperature": 0, **served[1]} | asked
    return pa.generate(lab, [prompt], RULE, **settings)


def test_sixteen_clients_at_once_each_get_the_answer_to_their_own_prompt(lab, served, prompts):
    """Fails when rows are mixed up as they are handed from one request to the next, or neighbours change an answer."""
    asked = [(prompt, 8 + 2 * (i % 8)) for i, prompt in enumerate(prompts + prompts[::-1])]
    with ThreadPoolExecutor(16) as clients:
        found = list(clients.map(lambda one: complete(served, one[0], max_tokens=one[1]).choices[0].text, asked))
    assert found == [alone(lab, served, prompt, max_new_tokens=n).texts[0] for prompt, n in asked]
    assert len(set(found)) > 12


def test_draws_are_those_of_generate_whoever_else_is_decoded(lab, served, prompts):
    """Fails when a seed is not repeated, when a sample has another's stream, or when settings leak between batches."""
    settings = [{"temperature": 1.0}, {"temperature": 0.7, "top_p": 0.9}, {"temperature": 1.0, "logit_bias": GOES_ON}]
    open_ended = [*prompts[:4], "Question:", "In the", "The tibdi"]  # the last ones leave much to the draws
    asked = [(open_ended[i % 7], 5 + i, settings[i % 3]) for i in range(21)]

    def one(what):
        prompt, seed, given = what
        return [choice.text for choice in complete(served, prompt, seed=seed, n=2, **given).choices]

    with ThreadPoolExecutor(16) as clients:
        found = list(clients.map(one, asked))
    for (prompt, seed, given), texts in zip(asked, found, strict=True):
        own = {"temperature": given["temperature"]}
        own |= {name: given["top_p"] for name in ("top_p", "proxy_top_p") if "top_p" in given}
        own |= {"logit_bias": {0: -100}} if "logit_bias" in given else {}
        assert texts == alone(lab, served, prompt, seed=seed, num_return_sequences=2, **own).texts
    assert one(asked[0]) == found[0]


def test_without_a_seed_answers_differ(served):
    """Fails when a request that names no seed gets a fixed one."""
    texts = {complete(served, "Question:", temperature=1).choices[0].text for _ in range(6)}
    assert len(texts) > 1


def test_an_answer_shorter_than_a_window_is_that_of_generate(lab, served):
    """Fails when a short answer draws its numbers as a long one does, so that its seed means something else."""
    for seed, n in itertools.product(range(6), (1, 2, 3)):
        found = complete(served, "Mia", max_tokens=n, temperature=1, seed=seed).choices[0].text
        assert found == alone(lab, served, "Mia", max_new_tokens=n, temperature=1, seed=seed).texts[0]


def test_several_prompts_in_one_request_are_answered_as_one_call_answers_them(lab, served, prompts):
    """Fails when choices come in another order, or texts and token ids are not read alike."""
    some = prompts[:3]
    wanted = pa.generate(
        lab, some, RULE, max_new_tokens=12, temperature=1.0, seed=9, num_return_sequences=2, **served[1]
    ).texts
    of_texts = complete(served, some, max_tokens=12, temperature=1, seed=9, n=2)
    of_ids = complete(served, [lab.encode(text) for text in some], max_tokens=12, temperature=1, seed=9, n=2)
    for found in (of_texts, of_ids):
        assert [choice.index for choice in found.choices] == list(range(6))
        assert [choice.text for choice in found.choices] == wanted
        assert found.usage.prompt_tokens == sum(len(lab.encode(text)) for text in some)
    assert complete(served, lab.encode(some[0])).choices[0].text == alone(lab, served, some[0]).texts[0]


@pytest.mark.parametrize("more", [{}, {"logprobs": 2}, {"echo": True}, {"stop": [", ", "zz"]}, {"n": 3}], ids=str)
def test_pieces_of_a_stream_joined_are_the_whole_answer(served, prompts, more):
    """Fails when a piece is lost, told twice, or held back for good, and when its tokens are not the answer's."""
    asked = {"temperature": 1, "seed": 2, "logit_bias": GOES_ON, "max_tokens": 30, **more}
    whole = complete(served, prompts[3], **asked)
    chunks = list(complete(served, prompts[3], stream=True, stream_options={"include_usage": True}, **asked))
    assert chunks[-1].usage == whole.usage
    assert not chunks[-1].choices
    pieces = [chunk.choices[0] for chunk in chunks[:-1]]
    for choice in whole.choices:
        own = [piece for piece in pieces if piece.index == choice.index]
        assert "".join(piece.text for piece in own) == choice.text
        assert [piece.finish_reason for piece in own] == [None] * (len(own) - 1) + [choice.finish_reason]
        if "logprobs" in more:
            told = {name: [one for piece in own for one in getattr(piece.logprobs, name)] for name in LISTS}
            assert told["token_logprobs"] == pytest.approx(choice.logprobs.token_logprobs, abs=1e-5)
            assert told["text_offset"] == choice.logprobs.text_offset
            assert told["tokens"] == choice.logprobs.tokens


def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(lab, served, prompts):
    """Fails when the string is told, when an answer runs on, or when the reason is not the string."""
    long = alone(lab, served, prompts[0], logit_bias={0: -100}).texts[0]
    word = long.split()[3]
    for stop in (word, ["no such thing", word]):
        choice = complete(served, prompts[0], stop=stop, logit_bias=GOES_ON).choices[0]
        assert choice.text == long.split(word)[0]
        assert choice.finish_reason == "stop"
    assert complete(served, prompts[0], logit_bias=GOES_ON).choices[0].finish_reason == "length"
    assert complete(served, prompts[0]).choices[0].finish_reason == "stop"  # its end of text


def test_a_chat_is_put_as_the_tasks_put_a_question(lab, served):
    """Fails when the chat's words reach the models in another form, or counts are of something else."""
    question = "Where does the tibdi live?"
    asked = {"model": MODEL, "messages": [{"role": "user", "content": question}], "temperature": 0}
    found = served[0].chat.completions.create(**asked, max_completion_tokens=24)
    wanted = alone(lab, served, f"Question: {question}\n")
    assert found.choices[0].message.content == wanted.texts[0]
    assert found.usage.completion_tokens == len(wanted.token_ids[0])
    pieces = served[0].chat.completions.create(**asked, stream=True)
    assert "".join(chunk.choices[0].delta.content for chunk in pieces) == wanted.texts[0]


def test_log_probabilities_are_those_of_the_law(lab, served, prompts):
    """Fails when they are the base's, another token's, or of a law that no token was drawn from."""
    prompt, ids = prompts[5], lab.encode(prompts[5])
    asked = {"temperature": 1, "seed": 3, "logprobs": 3, "echo": True}
    found = complete(served, prompt, **asked).choices[0]
    answer = alone(lab, served, prompt, temperature=1, seed=3).token_ids[0]
    before, after = score(lab, RULE, [ids[:1], ids], [ids[1:], answer], n_top=3)
    assert found.logprobs.token_logprobs[0] is None
    assert found.logprobs.token_logprobs[1:] == pytest.approx([*before.log_probs, *after.log_probs], abs=1e-5)
    for tops, row in zip(found.logprobs.top_logprobs[len(ids) :], after.top_log_probs, strict=True):
        assert sorted(tops.values())[-3:] == pytest.approx(sorted(row), abs=1e-5)
    starts = [*found.logprobs.text_offset, len(found.text)]
    for name, first, last in zip(found.logprobs.tokens, starts[:-1], starts[1:], strict=True):
        assert found.text[first:last] in (name, "")  # a special token is no text
    chat = {"messages": [{"role": "user", "content": "Who?"}], "logprobs": True, "top_logprobs": 2, "temperature": 0}
    entries = served[0].chat.completions.create(model=MODEL, **chat, max_tokens=8).choices[0].logprobs.content
    own = alone(lab, served, "Question: Who?\n", max_new_tokens=8).token_ids[0]
    scored = score(lab, RULE, [lab.encode("Question: Who?\n")], [own])[0]
    assert [entry.logprob for entry in entries] == pytest.approx(scored.log_probs, abs=1e-5)
    assert all(len(entry.top_logprobs) == 2 for entry in entries)
    assert bytes(entries[0].bytes).decode() == entries[0].token


def test_log_probabilities_are_shaped_as_the_draws_are(lab, served):
    """Fails when temperature, top_p or a bias changes what is drawn and not what is told."""
    ids, (second,) = lab.encode("Question:"), lab.encode(" Where")[1:]
    shaped = {"temperature": 0.5, "top_p": 0.9}
    found = complete(served, ids, max_tokens=1, logit_bias={str(second): 0.5}, logprobs=20, **shaped)
    told = found.choices[0].logprobs.top_logprobs[0]
    draws = pa.generate(
        lab, [ids], RULE, max_new_tokens=1, **shaped, proxy_top_p=0.9, logit_bias={second: 0.5},
        num_return_sequences=900, seed=1, batch_size=900, **served[1],
    )  # fmt: skip
    names = [lab.tokenizer.decode(one) for one in draws.token_ids]
    for name in sorted(told, key=told.get)[-3:]:
        p = math.exp(told[name])
        assert abs(names.count(name) / len(names) - p) < 5 * (p * (1 - p) / len(names)) ** 0.5 + 1e-9
    plain = complete(served, ids, max_tokens=1, logprobs=20).choices[0].logprobs.top_logprobs[0]
    assert max(abs(plain[name] - told[name]) for name in told if name in plain) > 0.2


def test_a_prompt_alone_is_scored_and_echoed(lab, served, prompts):
    """Fails when max_tokens=0 writes a token, or a prompt's own log-probabilities need an answer."""
    ids = lab.encode(prompts[0])
    found = complete(served, ids, max_tokens=0, echo=True, logprobs=0)
    assert found.choices[0].text == prompts[0]
    assert found.usage.completion_tokens == 0
    wanted = score(lab, RULE, [ids[:1]], [ids[1:]])[0].log_probs
    assert found.choices[0].logprobs.token_logprobs[1:] == pytest.approx(wanted, abs=1e-5)


def test_models_are_listed(served):
    """Fails when a client that looks for a model finds none, or one that it cannot ask."""
    (card,) = served[0].models.list().data
    assert card.id == MODEL == served[0].models.retrieve(MODEL).id
    with pytest.raises(openai.NotFoundError, match="model must be 'lab'"):
        served[0].models.retrieve("gpt-4")
