"""A file is written whole or not at all."""

import json

import pytest

from proxyalign.files import replacing, write_json


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
