"""Traces in records: pieces that spell the reply, numbers that are the trace's, and runs that go on as they began."""

import numpy as np
import pytest

from proxyalign import tasks
from proxyalign.decoding.trace import SOURCES, Trace
from proxyalign.errors import InputError
from proxyalign.evaluation import Settings, read_records, run, run_grid
from proxyalign.evaluation.kept_traces import kept


class Bytes:
    """A tokenizer whose ids are bytes, which takes a blank away from the beginning of what it decodes."""

    def decode(self, ids, **_):
        return bytes(ids).decode("utf-8", "replace").removeprefix(" ")


def trace_of(content, **more):
    n = len(content)
    source = np.array([SOURCES[i % 4] for i in range(n)])
    numbers = {"p_y": np.full(n, 0.5), "deferral_mass": np.full(n, 0.25), **more}
    return Trace(np.array(list(content)), source, tokenizer=Bytes(), **numbers)


@pytest.mark.parametrize("text", ["a b", "é🙂z", "  two", "", "🙂"])
def test_pieces_spell_the_text_one_a_token(text):
    """Fails when a blank is lost, a character of several bytes is told in parts or twice, or a token has no piece."""
    found = kept(trace_of(text.encode()))
    assert "".join(found["pieces"]) == Bytes().decode(text.encode())
    assert {len(found[name]) for name in found} == {len(text.encode())}


def test_a_character_of_several_tokens_is_its_last_ones():
    """Fails when half a character is shown, or one that never ends is lost."""
    assert kept(trace_of("é!".encode()))["pieces"] == ["", "é", "!"]
    assert kept(trace_of(b"a\xf0\x9f"))["pieces"] == ["a", "", "\ufffd"]


def test_a_base_that_did_not_run_has_no_probability():
    """Fails when NaN, which JSON has not, is kept, or a number has digits that nobody reads."""
    found = kept(trace_of(b"ab", p_y=np.array([np.nan, 1 / 3]), deferral_mass=np.array([1.0, 2 / 3])))
    assert found["p_y"] == [None, 0.3333]
    assert found["deferral_mass"] == [1.0, 0.6667]
    assert found["source"] == "bp"


def test_a_letter_tells_one_source():
    """Fails when two sources begin alike."""
    assert len({source[0] for source in SOURCES}) == len(SOURCES)


@pytest.mark.usefixtures("decoder")
def test_traces_change_no_answer_and_an_interrupted_run_keeps_them(
    pair, settings, data, tmp_path, decoder, monkeypatch
):
    """Fails when a record with its trace differs in anything else, or a run that goes on leaves traces out."""
    plain = run(pair, settings, tmp_path / "plain", data=data, batch_size=4)
    monkeypatch.setattr("proxyalign.evaluation.answers.kept", lambda trace: {"p_y": trace.p_y.tolist()})
    decoder.n_calls, decoder.killed_before = 0, 2
    with pytest.raises(KeyboardInterrupt):
        run(pair, settings, tmp_path / "kept", data=data, batch_size=4, traces=True)
    decoder.killed_before = None
    assert run(pair, settings, tmp_path / "kept", data=data, batch_size=4, traces=True) == plain
    kept_records, records = (
        read_records(tmp_path / name / settings.slug / "records.jsonl") for name in ("kept", "plain")
    )
    assert [len(record.pop("trace")["p_y"]) for record in kept_records] == [one["n_tokens"] for one in records]
    assert kept_records == records


@pytest.mark.parametrize("start", [run, lambda pair, one, out, traces: run_grid(pair, [one], out, traces=traces)])
def test_choices_have_no_traces(pair, tmp_path, start):
    """Fails when a run of choices takes the option and keeps nothing, or writes before it refuses."""
    version = tasks.get("arc-challenge").version
    settings = Settings("two", "arc-challenge", version, "dual", {"alpha": 0.4}, max_new_tokens=0)
    with pytest.raises(InputError, match="traces must be False for arc-challenge"):
        start(pair, settings, tmp_path / "out", traces=True)
    assert not (tmp_path / "out").exists()
