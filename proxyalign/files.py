"""Files written whole or not at all, so that no reader sees half of one, whenever the writer is killed; text and JSON
read as what they are, whatever editor saved them; and hashes."""

import codecs
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError

_OTHER_MARKS = {  # the longer ones first, which begin as the shorter ones do
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_MARK = "\ufeff"  # which editors write at the beginning of a file, and which joining files leaves within


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


def read_text(owner: str, path: Path) -> str:
    """The text of a UTF-8 file, with a byte order mark or without, its line ends as they are.

    owner: who refuses, in messages. Raises InputError where it cannot be read, or is no UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as reason:
        raise InputError(f"{owner}: {path} must be a file to read, got {reason.strerror}; name another") from None
    remedy = "save it as UTF-8, or copy it again"
    for mark, encoding in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise InputError(f"{owner}: {path} must be UTF-8 text, got {encoding}; {remedy}")
    if b"\0" in content:
        raise InputError(f"{owner}: {path} must be UTF-8 text, got bytes of 0, as UTF-16 has them; {remedy}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise InputError(
            f"{owner}: {path} must be UTF-8 text, got byte 0x{content[reason.start]:02x} at place {reason.start}, "
            f"which is none; {remedy}"
        ) from None


def lines(text: str) -> list[str]:
    """The lines of a text, which end in a line feed, with a carriage return before it or without, and nowhere else."""
    return [line.removesuffix("\r").removeprefix(_MARK) for line in text.split("\n")]


def read_json_lines(owner: str, path: Path) -> list[tuple[int, Any]]:
    """Line number, from 1, and value of each line of a file of JSON lines that is not blank.

    owner: who refuses, in messages. Raises InputError where it cannot be read, and naming the line that is no JSON or
    holds a text that is not Unicode.
    """
    values = []
    for number, line in enumerate(lines(read_text(owner, path)), start=1):
        if not line.strip(" \t\r"):
            continue
        value = _parsed(owner, f"{path} line {number}", "one JSON object", line)
        values.append((number, value))
    return values


def read_json(owner: str, path: Path) -> Any:
    """The value of a file that is one text of JSON.

    owner: who refuses, in messages. Raises InputError where it cannot be read, is no JSON or holds a text that is not
    Unicode.
    """
    return _parsed(owner, str(path), "JSON", read_text(owner, path))


def _parsed(owner: str, place: str, what: str, text: str) -> Any:
    """The value of the JSON `text`; InputError says that `place` must be `what` where it is none."""
    try:
        value = json.loads(text)
        json.dumps(value if "\\u" in text else None, ensure_ascii=False).encode()  # halves of pairs come as escapes
    except UnicodeEncodeError:
        raise InputError(
            f"{owner}: {place} must hold Unicode, got half a surrogate pair, as in \\ud83d alone; "
            "make the file again from its texts"
        ) from None
    except json.JSONDecodeError as reason:
        raise InputError(
            f"{owner}: {place} must be {what}, got text that ends or breaks "
            f"({reason.msg.removesuffix(' at')} at character {reason.pos}); copy the file again"
        ) from None
    except (RecursionError, ValueError):
        raise InputError(
            f"{owner}: {place} must be {what}, got brackets nested too deeply or a number of too many digits; "
            "copy the file again"
        ) from None
    return value


def no_number(name: str) -> NoReturn:
    """For `json.loads(..., parse_constant=no_number)`: ValueError for NaN and Infinity, which JSON has not."""
    raise ValueError(f"{name} is no number")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` to `path` as indented JSON; ValueError for NaN and infinity, which JSON has not."""
    with replacing(path) as file:
        file.write(json.dumps(value, indent=1, allow_nan=False).encode() + b"\n")
