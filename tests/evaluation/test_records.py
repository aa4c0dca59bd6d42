"""Record files survive a kill at any byte, and refuse what they did not write."""

import json
import subprocess
import sys

import pytest

from proxyalign.errors import InputError
from proxyalign.evaluation import read_records
from proxyalign.evaluation.records import RecordFile, check_folder, claim_folder, read_settings

LINES = [json.dumps({"index": n, "reply": "é\n" * n}).encode() + b"\n" for n in range(3)]


def test_a_file_cut_at_any_byte_opens_with_the_complete_records(tmp_path):
    """Fails when a half-written last line is kept, or a whole one is lost."""
    path, content = tmp_path / "records.jsonl", b"".join(LINES)
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        n_whole = content[:size].count(b"\n")
        assert [record["index"] for record in read_records(path)] == list(range(n_whole))
        with RecordFile(path) as file:
            assert len(file.records) == n_whole
            for line in LINES[n_whole:]:
                file.append(json.loads(line))
        assert [json.loads(line) for line in path.read_bytes().splitlines()] == [json.loads(line) for line in LINES]


@pytest.mark.parametrize(
    "bad", [b"{\n", b"\n", b"[1]\n", b"\x00\xff\n", b'{"reply": ""}\n', b'{"index": 1, "seconds": NaN}\n', LINES[2]]
)
def test_a_corrupt_line_in_the_middle_is_named_and_left_alone(tmp_path, bad):
    """Fails when a damaged or missing record passes for a finished one, or the file is touched."""
    path = tmp_path / "records.jsonl"
    content = LINES[0] + bad + LINES[2]
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path} line 2 must be the record of question 1"):
        RecordFile(path)
    with pytest.raises(InputError, match="line 2"):
        read_records(path)
    assert path.read_bytes() == content


def test_a_record_is_on_the_disk_when_append_returns(tmp_path):
    """Fails when records wait in a buffer, where a kill would lose them."""
    code = f"""
import os
from pathlib import Path
from proxyalign.evaluation.records import RecordFile
file = RecordFile(Path({str(tmp_path / "records.jsonl")!r}))
file.append({{"index": 0}})
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert read_records(tmp_path / "records.jsonl") == [{"index": 0}]


def test_a_second_writer_is_refused_while_the_first_is_at_work(tmp_path):
    """Fails when two processes could interleave their records; a dead writer must not block the next."""
    path = tmp_path / "records.jsonl"
    with RecordFile(path), pytest.raises(InputError, match="another process at work"):
        RecordFile(path)
    with RecordFile(path) as file:
        assert file.records == []


def test_a_value_that_json_lacks_is_refused_before_anything_is_written(tmp_path):
    """Fails when NaN reaches the file, which other JSON readers then reject."""
    with RecordFile(tmp_path / "records.jsonl") as file, pytest.raises(ValueError, match="JSON"):
        file.append({"index": 0, "seconds": float("nan")})
    assert (tmp_path / "records.jsonl").read_bytes() == b""


def test_a_folder_takes_its_own_settings_again_and_no_others(tmp_path):
    """Fails when a folder forgets whose it is, or the message does not say what differs."""
    folder = tmp_path / "new" / "run"
    claim_folder(folder, {"seed": 0, "rule": "dual", "models": "abc"})
    claim_folder(folder, {"seed": 0, "rule": "dual", "models": "abc"})
    check_folder(folder, {"seed": 0, "rule": "dual"})  # what is not known yet cannot differ
    with pytest.raises(
        InputError, match='got seed 0 there and 1 here, rule "dual" there and "primal" here; pass another'
    ):
        claim_folder(folder, {"seed": 1, "rule": "primal"})
    assert read_settings(folder) == {"seed": 0, "rule": "dual", "models": "abc"}


def test_a_folder_of_a_version_that_knew_less_takes_the_defaults_and_no_other_value(tmp_path):
    """Fails when a folder made before a setting existed cannot go on, or goes on with another value than it had."""
    claim_folder(tmp_path, {"seed": 0})
    check_folder(tmp_path, {"seed": 0, "base_chat": False, "rule_temperature": 1.0})
    with pytest.raises(InputError, match="other settings, got base_chat false there and true here"):
        check_folder(tmp_path, {"seed": 0, "base_chat": True})


def test_a_folder_of_a_version_that_knows_more_is_refused(tmp_path):
    """Fails when a setting that this version cannot keep to is passed over in silence."""
    (tmp_path / "settings.json").write_text('{"seed": 0, "phase": "full"}')
    with pytest.raises(
        InputError, match="must hold settings that this version knows, got phase; go on with the version"
    ):
        claim_folder(tmp_path, {"seed": 0})


def test_records_of_a_batch_are_one_write(tmp_path, monkeypatch):
    """Fails when the disk is waited for once a record."""
    n_syncs = []
    monkeypatch.setattr("os.fsync", n_syncs.append)
    with RecordFile(tmp_path / "records.jsonl", first=5) as file:
        file.append(*({"index": n} for n in (5, 6, 7)))
    assert len(n_syncs) == 1
    assert read_records(tmp_path / "records.jsonl", first=5) == [{"index": 5}, {"index": 6}, {"index": 7}]
    with pytest.raises(InputError, match="line 1 must be the record of question 0"):
        read_records(tmp_path / "records.jsonl")


def test_what_a_kill_left_while_the_settings_were_written_does_not_block_the_folder(tmp_path):
    """Fails when the same command cannot go on after a kill in its first moments."""
    (tmp_path / ".settings.json.123").write_text('{"seed"')
    claim_folder(tmp_path, {"seed": 0})
    assert read_settings(tmp_path) == {"seed": 0}


def test_a_folder_of_something_else_is_refused_untouched(tmp_path):
    """Fails when results would be mixed among other files, or a file replaced by a folder."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other files and no settings"):
        claim_folder(tmp_path, {"seed": 0})
    with pytest.raises(InputError, match="is a file or closed to writing; pass another"):
        claim_folder(tmp_path / "notes.txt", {"seed": 0})
    with pytest.raises(InputError, match="pass another"):
        claim_folder(tmp_path / "notes.txt" / "below", {"seed": 0})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(InputError, match="must hold the settings of a run"):
        check_folder(tmp_path, {"seed": 0})
