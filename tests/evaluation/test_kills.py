"""A run that is killed at random moments, meets another process, or a full disk, ends as one that nobody disturbed."""

import errno
import json
import os
import re
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxyalign.errors import InputError
from proxyalign.evaluation import read_records, run, run_grid

CLOCKS = re.compile(rb'"(seconds|tokens_per_second)": [0-9.e-]+')


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): CLOCKS.sub(b"", path.read_bytes()) for path in files}


def test_kills_at_random_moments_lose_double_and_change_nothing(tmp_path):
    """Fails when a killed run of the lab pair keeps another record than an undisturbed one, or ends as another.

    `killed_run.py` looks after each kill that every record on the disk stays, and is the undisturbed run's, and at each
    end that all files are the same byte for byte but for clocks; it may be run by hand with more kills.
    """
    command = [sys.executable, str(Path(__file__).with_name("killed_run.py")), str(tmp_path), "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] == 8
    assert told["records"] == 36 * told["runs"] > 0


def test_the_second_of_two_processes_in_a_folder_is_refused(tmp_path, decoder, pair, settings, data):
    """Fails when two processes write the records of one run in turns; the first must not notice."""

    def second(*_):
        if decoder.n_calls == 1:
            with pytest.raises(InputError, match="must be free, got another process at work in it; wait for that one"):
                run_grid(pair, [settings], tmp_path / "out", data=data)

    run_grid(pair, [settings], tmp_path / "out", data=data, batch_size=4, progress=second)
    run_grid(pair, [settings], tmp_path / "alone", data=data, batch_size=4)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


@contextmanager
def room_for(n_bytes):
    """No file of this process can grow beyond so many bytes, as on a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("n_bytes", [0, 300, 900, 1200, 2500, 4000, 7000])
def test_a_full_disk_is_told_in_a_sentence_and_loses_nothing(tmp_path, decoder, pair, settings, data, n_bytes):
    """Fails when a write that the disk cuts off leaves half a batch, a traceback, or a folder that cannot go on."""
    run_grid(pair, [settings], tmp_path / "straight", data=data, batch_size=4)
    wanted = read_records(tmp_path / "straight" / settings.slug / "records.jsonl")
    with (
        room_for(n_bytes),
        pytest.raises(InputError, match=r"must be writable and have room, got File too large; make room and run"),
    ):
        run_grid(pair, [settings], tmp_path / "out", data=data, batch_size=4)
    path = tmp_path / "out" / settings.slug / "records.jsonl"
    content = path.read_bytes() if path.exists() else b""
    assert content.count(b"\n") in (0, 4, 8)
    assert content == b"" or content.endswith(b"\n")
    run_grid(pair, [settings], tmp_path / "out", data=data, batch_size=4)
    assert [record["reply"] for record in read_records(path)] == [record["reply"] for record in wanted]
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")


@pytest.mark.parametrize("full_at", range(1, 9))
def test_a_disk_that_cannot_keep_a_batch_keeps_none_of_it(
    tmp_path, decoder, pair, settings, data, monkeypatch, full_at
):
    """Fails when records that are not sure to be on the disk count as finished, whichever file fills it up."""
    sync, n_syncs = os.fsync, []

    def full(number):
        n_syncs.append(number)
        if (
            len(n_syncs) == full_at
        ):  # settings of both folders; rows and records of three batches, or fewer; the summary
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(number)

    run_grid(pair, [settings], tmp_path / "straight", data=data, batch_size=4)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="must be writable and have room, got No space left on device"):
        run_grid(pair, [settings], tmp_path / "out", data=data, batch_size=4)
    path = tmp_path / "out" / settings.slug / "records.jsonl"
    content = path.read_bytes() if path.exists() else b""
    assert content.count(b"\n") in (0, 4, 8, 10)
    assert content == b"" or content.endswith(b"\n")
    run_grid(pair, [settings], tmp_path / "out", data=data, batch_size=4)
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")


def test_what_a_kill_left_of_large_files_is_taken_away(tmp_path, decoder, pair, settings, data):
    """Fails when each kill while rows are written leaves another half of them for ever."""
    run(pair, settings, tmp_path, data=data)
    before = contents(tmp_path)
    (tmp_path / settings.slug / ".rows.npz.4711").write_bytes(b"half")
    run(pair, settings, tmp_path, data=data)
    assert contents(tmp_path) == before
