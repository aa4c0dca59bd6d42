"""Mistakes that would cost an answer after minutes of work, or give another one than was asked for: told at once."""

import shlex

import pytest

SERVED = "bench served http://localhost:9/v1 base --proxy lab"


@pytest.fixture
def told(command, tmp_path, monkeypatch):
    """`told("rows ...")` is the sentence that a command line ends with, beside an empty `folder` and a `file`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("a text\n")

    def run(line):
        code, out, err = command(*shlex.split(line))
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1
        return err

    return run


@pytest.mark.parametrize(
    "line",
    [
        "rows --model lab --text file --out folder",
        "rows --model lab --text file --out file/rows.npz",
        "rows --model lab --text file --out ''",
        "report nosuch --out ''",
        "report nosuch --out folder",
        "verify --statement 1 --cases 1 --out file",
        "bench decode --out folder",
        "bench exact --out file/speed.json",
        f"{SERVED} --alpha 0.4 --out folder",
    ],
)
def test_a_place_that_nothing_can_be_written_to(told, line):
    """Fails when the numbers are lost once they are there, or a traceback tells of the place."""
    given = shlex.split(line)[-1] or "."
    assert "--out must be a" in told(line)
    assert f"got {given!r}" in told(line)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("generate --rule never --pair '' t1", "name must be lab, smol, gemma-smol, or a folder"),
        ("tune --task lab-facts --rules '' --out new", "rules must"),
        ("rows --model lab --text file --out rows.npz --seed -1", "seed must be a whole number of at least 0, got -1"),
        ("bench exact --seed -1", "seed must be a whole number of at least 0, got -1"),
        ("bench rules --device gpu", "got 'gpu'"),
        (f"{SERVED} --rule confidence-bet --alpha 0.1", "got confidence-bet(alpha=0.1)"),
    ],
)
def test_a_value_that_nothing_can_be_made_of(told, line, sentence):
    """Fails when an empty value is taken for one that was left out, or another one is found out by a traceback."""
    assert sentence in told(line)


def test_a_server_that_is_not_there_is_not_waited_for_long(command, monkeypatch):
    """Fails when a benchmark gives a server that does not answer the five minutes that a run of hours gives it."""
    from proxyalign.serving import base

    seen = []

    class Noted(base.ServedBase):
        def __post_init__(self):
            seen.append(self.patience)
            raise base.InputError("enough")

    monkeypatch.setattr(base, "ServedBase", Noted)
    assert command(*shlex.split(f"{SERVED} --alpha 0.4"))[0] == 2
    assert seen[0] < 60
