"""A file is written whole or not at all."""

import json

import numpy as np
import pytest

from proxyalign.files import read_arrays, replacing, write_json


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
