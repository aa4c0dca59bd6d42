"""The engine's thread: whose turn it is, what ends a sequence early, and an error that stays one's own."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from tiny_models import llama, word_tokenizer

import proxyalign as pa
from proxyalign.decoding.stopping import Stopping
from proxyalign.deferral import rules
from proxyalign.models import ModelPair

pytest.importorskip("starlette", reason="starlette and uvicorn are not installed (extra [serve])")

from served_here import engine_of

from proxyalign.serving.server import engine as engine_module
from proxyalign.serving.server.asked import Asked, Shape
from proxyalign.serving.server.engine import Reading
from proxyalign.serving.server.refusal import Refusal
from proxyalign.serving.server.rows import LiveRecord, Rows

N_TOKENS, POISON = 12, 11
MODES = [{}, {"mode": "speculative", "window": 3}]


@pytest.fixture(scope="module")
def pair():
    base, proxy = (llama(N_TOKENS, seed, layers=2, context=64).double() for seed in (0, 1))
    return ModelPair(base, proxy, word_tokenizer(N_TOKENS))


class Client:
    """Asks the engine for sequences, and hears what becomes of them; `ended` in the order in which they end."""

    def __init__(self, engine):
        self.engine, self.ended, self.changed = engine, [], threading.Condition()
        self.news = {}

    def ask(self, name, prompt=(1, 2), *, n=6, temperature=0.0, stop=(), seed=0, bias=None):
        self.news[name] = []
        shape = self.engine.shape(temperature, None, bias or {}, n)
        asked = Asked(list(prompt), list(prompt), (seed, 0, 0), n, stop, shape, lambda news: self.hear(name, news))
        self.engine.submit([asked])
        return asked

    def hear(self, name, news):
        with self.changed:
            self.news[name].append(news)
            if news.is_last:
                self.ended.append(name)
            self.changed.notify_all()

    def wait(self, *names):
        with self.changed:
            assert self.changed.wait_for(lambda: set(names) <= set(self.ended), 120)

    def ids(self, name):
        return [token for news in self.news[name] for token in news.ids]


@contextmanager
def before_each_pass(model, act):
    """Call act(input_ids) before the model reads."""
    handle = model.register_forward_pre_hook(lambda _, __, given: act(given["input_ids"]), with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def held(model):
    """The model waits in its first pass: `begun` is set by then, and it goes on when `gate` is."""
    gate, begun = threading.Event(), threading.Event()

    def act(_):
        begun.set()
        assert gate.wait(120)

    with before_each_pass(model, act):
        try:
            yield gate, begun
        finally:
            gate.set()


def alone(pair, prompt, n=6, **settings):
    given = {"max_new_tokens": n, "temperature": 0.0, **settings}
    return pa.generate(pair, [list(prompt)], rules.Dual(0.4), **given).token_ids[0]


def test_the_queue_has_an_end(pair):
    """Fails when sequences pile up without bound, or when places that fell free are not given again."""
    with engine_of(pair, batch_size=1, queue=2) as engine, held(pair.base) as (gate, begun):
        client = Client(engine)
        client.ask("running")
        assert begun.wait(60)
        client.ask("first")
        client.ask("second")
        with pytest.raises(Refusal, match="at most 2 sequences may wait, got 1 beside 2") as told:
            client.ask("third")
        assert (told.value.status, told.value.retry_after) == (429, 1)
        reading = Reading([[1]], [[2]], [[1]], engine.shape(0.0, None, {}, 1), 0)
        with pytest.raises(Refusal, match="may wait"):
            engine.read(reading)
        gate.set()
        client.wait("running", "first", "second")
        client.ask("third")
        client.wait("third")


@pytest.mark.parametrize("settings", MODES, ids=str)
def test_who_is_cancelled_leaves_the_batch_and_the_queue(pair, settings):
    """Fails when a row is decoded to its end for nobody, or its neighbours and heirs get something of it."""
    n_passes = []
    with engine_of(pair, batch_size=2, **settings) as engine, held(pair.base) as (gate, begun):
        client = Client(engine)
        gone, stays = client.ask("gone", n=60), client.ask("stays", (3, 4), n=8)
        assert begun.wait(60)
        waits = client.ask("waits", (5, 6), n=60)
        client.ask("heir", (7, 8), n=8)
        engine.cancel([gone, waits])
        with before_each_pass(pair.base, n_passes.append):
            gate.set()
            client.wait("stays", "heir")
            n_then = len(n_passes)
            while engine.n_running:  # the one that has gone would take some fifty more steps
                pass
            assert len(n_passes) < n_then + 5
        assert engine.n_waiting == 0
        assert client.ids("stays") == alone(pair, stays.prompt, 8, **settings)
        assert client.ids("heir") == alone(pair, (7, 8), 8, **settings)
        assert client.news["waits"] == []
        assert len(client.ids("gone")) < 10


@pytest.mark.parametrize(("patience", "order"), [(0.0, ["a", "b", "c"]), (1e9, ["a", "c", "b"])])
def test_other_settings_wait_for_their_turn_and_not_for_ever(pair, monkeypatch, patience, order):
    """Fails when a stream of equal requests keeps others out for good, or each change of settings ends a batch."""
    monkeypatch.setattr(engine_module, "PATIENCE", patience)
    with engine_of(pair, batch_size=1) as engine, held(pair.base) as (gate, begun):
        client = Client(engine)
        client.ask("a")
        assert begun.wait(60)
        client.ask("b", temperature=1.0)
        client.ask("c")
        gate.set()
        client.wait("a", "b", "c")
        assert client.ended == order


@pytest.mark.parametrize("settings", MODES, ids=str)
def test_an_error_is_told_to_who_caused_it_and_the_others_get_their_answers(pair, settings):
    """Fails when one request that breaks a batch takes the others with it, or the engine's thread."""

    def act(ids):
        if (ids == POISON).any():
            raise RuntimeError("poison")

    bias = {POISON: -100}  # nobody writes it, and so only one prompt has it
    prompts = [(i, i + 1) for i in range(9)]
    lengths = {prompt: 6 + 3 * i for i, prompt in enumerate(prompts)}
    wanted = {prompt: alone(pair, prompt, n, logit_bias=bias, **settings) for prompt, n in lengths.items()}
    with engine_of(pair, batch_size=4, **settings) as engine, before_each_pass(pair.base, act):
        client = Client(engine)
        for i, prompt in enumerate(prompts):
            client.ask(prompt, prompt, n=lengths[prompt], bias=bias)
            if i == 5:  # it joins a batch that runs, of which something was told already
                client.ask("bad", (1, POISON), n=8, bias=bias)
        client.wait("bad", *prompts)
        assert [name for name, news in client.news.items() if news[-1].error is not None] == ["bad"]
        for prompt in prompts:
            assert client.ids(prompt) == wanted[prompt]
        client.ask("after", prompts[0], n=6, bias=bias)
        client.wait("after")
        assert client.ids("after") == wanted[prompts[0]]


def test_texts_are_scored_while_a_batch_runs(pair):
    """Fails when who asks for log-probabilities waits until the batch has ended."""
    with engine_of(pair, batch_size=1) as engine, held(pair.base) as (gate, begun):
        client = Client(engine)
        client.ask("running", n=60)
        assert begun.wait(60)
        readings = [Reading([[1]], [[2, 3]], [[1]], engine.shape(0.0, None, {}, 1), 0) for _ in range(2)]
        for reading in readings:
            engine.read(reading)
        readings[0].scores.cancel()
        gate.set()
        scores = readings[1].scores.result(60)
        assert "running" not in client.ended or len(client.news["running"]) > 50
        wanted = pa.decoding.scoring.score(pair, rules.Dual(0.4), [[1]], [[2, 3]])
        assert scores[0].log_probs == pytest.approx(wanted[0].log_probs)
        broken = Reading([[1]], [[N_TOKENS + 5]], [[1]], engine.shape(0.0, None, {}, 1), 0)
        engine.read(broken)
        with pytest.raises(pa.errors.InputError, match="must hold token ids"):
            broken.scores.result(60)
        client.wait("running")


@pytest.mark.parametrize("settings", MODES, ids=str)
def test_each_row_has_its_own_limit_and_stop_strings(pair, settings):
    """Fails when a row inherits the limit, the strings or the tokens of the one that had its place before."""
    prompts = [(i % 9, 3, i % 5) for i in range(24)]
    long = {prompt: alone(pair, prompt, 20) for prompt in prompts}
    with engine_of(pair, batch_size=3, **settings) as engine:
        client = Client(engine)
        for i, prompt in enumerate(prompts):
            client.ask(i, prompt, n=1 + i % 20, stop=(f"t{long[prompt][2]}",) if i % 3 == 0 else ())
        client.wait(*range(24))
        for i, prompt in enumerate(prompts):
            stop = [f"t{long[prompt][2]}"] if i % 3 == 0 else []
            given = pa.generate(
                pair, [list(prompt)], rules.Dual(0.4), max_new_tokens=1 + i % 20, temperature=0, stop=stop
            )
            assert client.ids(i) == given.token_ids[0]
            by_string = bool(stop) and stop[0] in given.texts[0]
            assert client.news[i][-1].reason == ("stop" if by_string else "length")


def test_a_string_after_the_limit_has_ended_nothing(pair):
    """Fails when a row that its limit has cut is told to have ended with a string that came in the same window."""
    told = []
    for limit, reason in ((2, "length"), (3, "stop"), (4, "stop")):
        rows = Rows(1)
        shape = Shape()
        rows.fill([Asked([1], [1], (0, 0, 0), limit, ("t5",), shape, told.append)])
        stopping = Stopping(np.zeros(N_TOKENS, dtype=bool), rows.stop, pair.spelling, 0, rows.base_prompts)
        record = LiveRecord(1, 9, stopping, False)
        record.rows = rows
        record.join(np.array([0]))
        ids, numbers = np.array([[3, 4, 5, 6]]), np.zeros((1, 4))
        written, goes_on = record.emit(np.array([4]), ids, numbers.astype(np.uint8), numbers, numbers)
        assert (written[0], goes_on[0], told[-1].reason) == (min(limit, 3), False, reason)
        assert not len(record.active)
        assert not rows.held


def test_an_end_that_the_context_has_no_room_for_has_ended_nothing(pair):
    """Fails when a row that the context has cut is told to have ended with an end of text that came after the cut."""

    class Room:
        def join(self, rows):
            pass

        def fill(self, rows, tokens, counts):
            return np.array([n_fitting]), np.array([True])

    told = []
    for n_fitting, reason in ((2, "length"), (3, "stop")):
        rows = Rows(1)
        rows.fill([Asked([1], [1], (0, 0, 0), 9, (), Shape(), told.append)])
        stopping = Stopping(np.arange(N_TOKENS) == 5, rows.stop, pair.spelling, 0, rows.base_prompts)
        record = LiveRecord(1, 9, stopping, False, None, Room())
        record.rows = rows
        record.join(np.array([0]))
        ids, numbers = np.array([[3, 4, 5, 6]]), np.zeros((1, 4))
        record.emit(np.array([4]), ids, numbers.astype(np.uint8), numbers, numbers)
        assert (told[-1].ids, told[-1].reason) == ([3, 4, 5][:n_fitting], reason)
        assert not rows.held


def test_what_was_told_is_not_told_again_when_a_sequence_is_begun_again():
    """Fails when a client gets tokens twice after an error, or others after those that it has."""
    told = []
    asked = Asked([1], [1], (0, 0, 0), 9, (), Shape(), told.append)
    asked.hear([3, 4, 5], None)
    asked.begin()
    asked.hear([3, 4], None)
    asked.hear([5, 6], "length")
    assert [(news.ids, news.reason) for news in told] == [([3, 4, 5], None), ([6], "length")]
    asked.begin()
    asked.hear([3, 5], None)
    assert "other tokens came" in str(told[-1].error)
    assert asked.is_cancelled


def test_a_closed_engine_takes_nothing_and_leaves_nobody_waiting(pair):
    """Fails when a request is queued for a thread that has ended, or one that waits for scores never hears."""
    with engine_of(pair, batch_size=1) as engine, held(pair.base) as (gate, begun):
        client = Client(engine)
        client.ask("running", n=60)
        assert begun.wait(60)
        reading = Reading([[1]], [[2]], [[1]], engine.shape(0.0, None, {}, 1), 0)
        engine.read(reading)
        threading.Timer(0.1, gate.set).start()
        engine.close()
        assert reading.scores.cancelled()
        with pytest.raises(Refusal, match="as it stops") as told:
            client.ask("late")
        assert told.value.status == 503
        assert len(client.ids("running")) < 60


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"batch_size": 0}, "batch_size must be"), ({"queue": 0}, "queue must be"), ({"mode": "fast"}, "mode must be"),
     ({"window": 0}, "window must be"), ({"rule": rules.ImplicitReward()}, "needs a reference"),
     ({"rule": "dual"}, "rule must be a rule"), ({"max_length": 0}, "max_length must be")],
)  # fmt: skip
def test_what_the_engine_cannot_do_is_told_before_it_starts(pair, settings, told):
    """Fails when a wrong setting waits for the first request to break it."""
    n_threads = threading.active_count()
    with pytest.raises(pa.errors.InputError, match=told), engine_of(pair, **settings):
        pass
    assert threading.active_count() == n_threads


def test_a_rule_that_always_defers_is_served_by_the_proxy_alone(pair):
    """Fails when a mode that has nothing to verify is run, or the base is asked for nothing."""
    n_passes = []
    with (
        engine_of(pair, rule=rules.Always(), mode="speculative", batch_size=2) as engine,
        before_each_pass(pair.base, n_passes.append),
    ):
        client = Client(engine)
        client.ask("one", temperature=1.0, seed=3)
        client.wait("one")
        wanted = pa.generate(pair, [[1, 2]], rules.Always(), mode="speculative", max_new_tokens=6, seed=3).token_ids[0]
        assert client.ids("one") == wanted
    assert not n_passes
    assert torch.is_inference_mode_enabled() is False
