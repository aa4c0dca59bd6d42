"""What a shell hands over is checked before any command reads it."""

import subprocess
import sys
from pathlib import Path

import pytest

from proxyalign.errors import InputError
from proxyalign.rows import read_texts

NO_TEXT = b"na\xefve"
COMMANDS = [
    ("generate", "--rule", "never"),
    ("generate", "question", "--rule"),
    ("generate", "question", "--rule", "never", "--set"),
    ("evaluate", "--task", "lab-facts", "--rule", "never", "--out"),
    ("evaluate", "--out", "runs", "--rule", "never", "--task"),
    ("solve", "--probs"),
    ("rows", "--model", "lab", "--out", "rows.npz", "--text"),
    ("rows", "--model", "lab", "--text", "a.jsonl", "--out", "rows.npz", "--field"),
    ("verify", "--out"),
    ("bench", "decode", "--also"),
    ("bench", "exact", "--rivals"),
    ("lab", "train", "--seed", "1", "--out"),
    (),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_argument_that_is_no_utf8_is_one_sentence(command, words):
    """Fails when a byte that is no text gets as far as a tokenizer or a file's name, and ends in a traceback."""
    code, out, err = command(*words, NO_TEXT.decode("utf-8", "surrogateescape"))
    assert (code, out) == (2, "")
    assert err == "proxyalign: each argument must be UTF-8, got the bytes b'na\\xefve'; write it in UTF-8\n"


def test_the_bytes_of_a_real_shell_are_told_too():
    """Fails when the check stands behind something that reads the arguments first."""
    program = Path(sys.executable).with_name("proxyalign")
    done = subprocess.run([program, "generate", "--rule", "never", NO_TEXT], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1
    assert b"must be UTF-8" in done.stderr


def test_a_file_of_texts_that_are_no_utf8_is_told_before_a_model_is_loaded(tmp_path):
    """Fails when prompts of another encoding are read as something else."""
    path = tmp_path / "prompts.txt"
    path.write_bytes(NO_TEXT)
    with pytest.raises(InputError, match="must be UTF-8 text, got byte 0xef at place 2"):
        read_texts(path)
