"""A file is written whole or not at all, and read as the text that it is."""

import json

import numpy as np
import pytest

from proxyalign.errors import InputError
from proxyalign.files import lines, read_arrays, read_json_lines, read_text, replacing, write_json

NO_LINE_ENDS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"  # at which str.splitlines cuts


def test_json_is_written_whole_or_not_at_all(tmp_path):
    """Fails when a value that cannot be written, such as NaN, destroys the file that was there."""
    path = tmp_path / "new" / "summary.json"
    write_json(path, {"accuracy": 1.0})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"accuracy": float("nan")})
    assert json.loads(path.read_text()) == {"accuracy": 1.0}
    assert [found.name for found in path.parent.iterdir()] == ["summary.json"]


def test_until_it_is_complete_a_file_is_the_old_one(tmp_path):
    """Fails when a reader or a kill in the middle of writing would meet half a file."""
    path = tmp_path / "rows.npz"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert all(found.name.startswith(".") for found in tmp_path.iterdir() if found != path)
    assert path.read_bytes() == b"new"


def test_arrays_are_read_by_name_and_damage_is_one_kind_of_error(tmp_path):
    """Fails when a bare array has no name, an absent one is missed, or a pickle or half a file is read."""
    bare, archive, half = tmp_path / "bare.npy", tmp_path / "several.npz", tmp_path / "half.npz"
    np.save(bare, np.ones(2))
    np.savez(archive, p=np.zeros(3), other=np.array([None]))
    half.write_bytes(archive.read_bytes()[:60])
    assert read_arrays(bare, ("p", "P"))["p"].tolist() == [1.0, 1.0]
    assert {name: array.tolist() for name, array in read_arrays(archive, ("P", "p")).items()} == {"p": [0.0] * 3}
    for path, names in ((half, ("p",)), (archive, ("other",)), (tmp_path / "nowhere.npy", ("p",))):
        with pytest.raises(ValueError, match="no NumPy file, or cut off"):
            read_arrays(path, names)


def test_a_line_ends_at_a_line_feed_and_nowhere_else(tmp_path):
    """Fails when a character inside a text, or a return alone, cuts a line in two, or blank lines are not counted."""
    assert lines(f"a{NO_LINE_ENDS}b\r\nc\rd\n\ne") == [f"a{NO_LINE_ENDS}b", "c\rd", "", "e"]
    path = tmp_path / "some.jsonl"
    allowed = {"text": "one\u2028two\u2029three\x85four"}
    path.write_bytes(json.dumps(allowed, ensure_ascii=False).encode() + b'\r\n \t\r\n\n{"a":\r1}')
    assert read_json_lines("rows", path) == [(1, allowed), (4, {"a": 1})]
    path.write_text('\n\n{"a": 1}\n{"a": \n')
    with pytest.raises(InputError, match=r"rows: .* line 4 must be one JSON object, got text that ends or breaks"):
        read_json_lines("rows", path)


def test_a_byte_order_mark_is_no_text(tmp_path):
    """Fails when a file that an editor saved with a mark is refused, or the mark becomes the first word."""
    path = tmp_path / "marked.jsonl"
    path.write_text('{"a": "é"}\n', encoding="utf-8-sig")
    assert read_text("rows", path) == '{"a": "é"}\n'
    path.write_bytes(path.read_bytes() * 2)
    assert read_json_lines("rows", path) == [(1, {"a": "é"}), (2, {"a": "é"})]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("text".encode("utf-16"), "got UTF-16"),
        ("text".encode("utf-16-be"), "got bytes of 0, as UTF-16 has them"),
        ("text".encode("utf-16-le"), "got bytes of 0"),
        ("text".encode("utf-32"), "got UTF-32"),
        ("a é".encode("latin-1"), "got byte 0xe9 at place 2"),
        ("é".encode()[:1], "got byte 0xc3 at place 0"),
    ],
)
def test_another_encoding_is_told_in_a_sentence(tmp_path, content, told):
    """Fails when a file of another encoding ends in a traceback, or is read as characters that nobody wrote."""
    path = tmp_path / "other.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^rows: .*other.txt must be UTF-8 text, {told}.*; save it as UTF-8"):
        read_text("rows", path)
    with pytest.raises(InputError, match="must be a file to read"):
        read_text("rows", tmp_path)


def test_half_a_surrogate_pair_is_told_with_its_line(tmp_path):
    """Fails when a text that no encoding can write gets as far as a tokenizer."""
    path = tmp_path / "halves.jsonl"
    path.write_text('{"a": "\\ud83d\\ude00"}\n{"a": "\\ud83d"}\n')
    with pytest.raises(InputError, match="line 2 must hold Unicode, got half a surrogate pair"):
        read_json_lines("rows", path)
