"""Files whole or not at all, so that no reader sees half of one, whenever the writer is killed; and their hashes."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` once it is on the disk; folders are made where they lack.

    The partial file beside it is hidden; a writer that fails takes it away and leaves `path` as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Those of `names` that a .npz file has, each with its array, or the first with that of a .npy file.

    Never unpickles. Raises ValueError for a file that cannot be read as either.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {names[0]: loaded}
        with loaded as archive:
            return {name: archive[name] for name in names if name in archive}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as damage:
        raise ValueError(f"{path} is no NumPy file, or cut off") from damage


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` to `path` as indented JSON; ValueError for NaN and infinity, which JSON has not."""
    with replacing(path) as file:
        file.write(json.dumps(value, indent=1, allow_nan=False).encode() + b"\n")
