"""A server that is busy, dies or stays away: nothing that was written is lost, and what is wrong is told."""

import signal
import threading
from types import SimpleNamespace

import httpx
import pytest
from model_server import ModelServer

import proxyalign as pa
from proxyalign.decoding.generate import Interrupted
from proxyalign.serving import decode
from proxyalign.serving.base import ServerError
from proxyalign.serving.client import Client, Patience, Setback
from proxyalign.serving.decode import decode_served

RULE = pa.rules.Dual(0.4)
N_KILLS = 6


@pytest.fixture(scope="module")
def pair():
    return pa.load_pair("lab")


@pytest.fixture(scope="module")
def prompts():
    return [question.prompt for question in pa.tasks.get("lab-math").questions(split="test", limit=8)]


def greedy(pair, base, prompts, **settings):
    return decode_served(
        base, pair.proxy, pair.tokenizer, prompts, RULE, max_new_tokens=40, temperature=0.0, **settings
    )


@pytest.mark.parametrize("form", ["vllm", "llamacpp"])
def test_kills_of_the_server_lose_no_text(pair, prompts, form):
    """Fails when what came before a connection broke is lost, written twice, or goes on from another place."""
    here = pa.generate(pair, prompts, RULE, max_new_tokens=40, temperature=0.0)
    with ModelServer(pair.base, pair.tokenizer, form) as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer, patience=30)
        greedy(pair, base, prompts[:1])  # the probe is over
        server.n_written, server.deaths = 0, [8] * N_KILLS
        out = greedy(pair, base, prompts, n_concurrent=4)
        assert server.n_deaths == N_KILLS
    assert out.token_ids == here.token_ids


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(pair, prompts, status):
    """Fails when an answer that may be another one the next time ends the run."""
    with ModelServer(pair.base, pair.tokenizer, failures=[status] * 2) as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer, patience=30)
        assert len(greedy(pair, base, prompts[:2]).texts) == 2
        assert not server.failures


@pytest.mark.parametrize("is_known", [True, False], ids=["ids", "text"])
def test_a_server_that_stays_away_leaves_what_was_written_and_it_can_be_gone_on_with(pair, prompts, is_known):
    """Fails when a text that had ended is lost or asked for again, or one that had begun starts anew."""
    here = pa.generate(pair, prompts, RULE, max_new_tokens=40, temperature=0.0)
    with ModelServer(pair.base, pair.tokenizer, away=None) as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer if is_known else None, patience=0.3)
        greedy(pair, base, prompts[:1])
        server.n_written, server.deaths = 0, [70]
        with pytest.raises(ServerError, match=r"^ServedBase: http.* must answer within 0.3 seconds, got .*; ") as gone:
            greedy(pair, base, prompts, n_concurrent=2)
        lost = gone.value
        assert lost.traces
        assert lost.partial
        assert not set(lost.traces) & set(lost.partial)
        for i, trace in (*lost.traces.items(), *lost.partial.items()):
            assert here.texts[i].startswith(trace.tokenizer.decode(trace.token_ids.tolist(), skip_special_tokens=True))
        server.start()
        server.bodies.clear()
        out = greedy(pair, base, prompts, resume=lost)
        first_asked = {len(body["prompt"]) for body in server.bodies}
        begun = {
            len(prompts[i]) + len(trace.tokenizer.decode(trace.token_ids.tolist()))
            if not is_known
            else len(pair.encode(prompts[i])) + len(trace)
            for i, trace in lost.partial.items()
        }
    assert out.texts == here.texts
    assert begun <= first_asked


@pytest.fixture
def heard():
    """Ctrl-C is heard, which a shell's job in the background is told to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_keeps_the_texts_that_had_ended(pair, prompts, monkeypatch):
    """Fails when threads go on, or what they had written is thrown away."""
    here = pa.generate(pair, prompts, RULE, max_new_tokens=40, temperature=0.0)
    third, once, clients = pair.encode(prompts[2]), iter([signal.SIGINT]), []
    monkeypatch.setattr(decode, "Client", lambda *given: clients.append(Client(*given)) or clients[-1])

    class Stopping(ModelServer):
        def tokens(self, body):
            if body["prompt"] == third:  # of two places one is free again, so that a text has ended
                for number in once:
                    signal.pthread_kill(threading.main_thread().ident, number)
                clients[0].stop.wait(60)
            yield from super().tokens(body)

    with Stopping(pair.base, pair.tokenizer) as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer)
        with pytest.raises(Interrupted, match=r"stopped after [12] of 8") as stopped:
            greedy(pair, base, prompts, n_concurrent=2)
        alive = [one for one in threading.enumerate() if one.name.startswith("proxyalign-served")]
    assert not alive
    assert set(stopped.value.traces) <= {0, 1}
    for i, trace in stopped.value.traces.items():
        assert trace.token_ids.tolist() == here.token_ids[i]


def test_an_address_without_a_server_is_told_in_a_sentence(pair, prompts):
    """Fails when the network's own exception reaches the user."""
    base = pa.ServedBase("http://127.0.0.1:9", "base", tokenizer=pair.tokenizer, patience=0.2)
    with pytest.raises(ServerError, match=r"^ServedBase: http://127.0.0.1:9 must answer within 0.2 seconds, got Conn"):
        greedy(pair, base, prompts[:1])


def test_a_request_that_is_refused_is_not_repeated(pair, prompts):
    """Fails when a mistake is retried until patience ends."""
    with ModelServer(pair.base, pair.tokenizer, failures=[404, 404, 404, 404]) as server:
        base = pa.ServedBase(server.url, "base", tokenizer=pair.tokenizer)
        with pytest.raises(ServerError, match=r"got 404 \(overloaded\); check the url"):
            greedy(pair, base, prompts[:1])


def test_pauses_grow_vary_and_heed_the_server():
    """Fails when a server that is overloaded is asked again at once, or by all at the same time."""
    pauses = []
    client = Client(pa.ServedBase("http://localhost", "base", patience=1000.0), 1)
    client.stop = SimpleNamespace(wait=lambda seconds: pauses.append(seconds), is_set=lambda: False)
    patience = Patience(client)
    for _ in range(12):
        patience.wait(Setback("busy"))
    assert pauses[:3] == sorted(pauses[:3])
    assert 0.05 <= pauses[0] <= 0.1
    assert max(pauses) <= 20.0
    assert pauses[-1] != pauses[-2]
    patience.wait(Setback("busy", 33.0))
    assert pauses[-1] == 33.0
    patience.reset()
    patience.wait(Setback("busy"))
    assert pauses[-1] <= 0.1


def test_an_answer_whose_bytes_are_damaged_is_asked_for_again(monkeypatch):
    """Fails when what was cut or changed on its way ends the run with an error of the library's."""
    answers = [httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"none"))]
    answers.append(httpx.Response(200, json={"choices": [{"text": "a"}]}))
    with Client(pa.ServedBase("http://127.0.0.1:9", "base", patience=5), 1) as client:
        monkeypatch.setattr(client, "_http", httpx.Client(transport=httpx.MockTransport(lambda _: answers.pop(0))))
        assert client.complete({}) == [{"text": "a"}]
