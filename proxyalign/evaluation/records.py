"""A run's folder on disk: settings that must match, and one JSON line per question that survives a kill."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from proxyalign.errors import InputError
from proxyalign.evaluation.settings import Settings, differences, with_defaults
from proxyalign.files import no_number, read_text, write_json

SETTINGS, RECORDS = "settings.json", "records.jsonl"
SHARD = "shard-"  # how the folder of a shard, in that of its run, begins
_KNOWN = {*Settings.__dataclass_fields__, "questions", "stop", "chat_template", "models", "shard"}  # what it may say


def read_settings(folder: Path) -> dict[str, Any] | None:
    """What `settings.json` in `folder` says, or None where there is none; InputError where it is not a JSON object."""
    path = folder / SETTINGS
    if not path.exists():
        return None
    try:
        found = json.loads(read_text("evaluation", path))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(
            f"evaluation: {path} must hold the settings of a run as JSON, got something else; use another folder"
        )
    return found


def check_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise InputError where `folder` cannot take a run with `settings`; writes nothing.

    It can where it does not exist yet, is empty (but for hidden files, such as a kill may leave, and shards), or has a
    `settings.json` that agrees in every entry that both have, and that says nothing which this version does not know.
    Which version of the package made it does not matter: each record says whose it is.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(
            f"evaluation: the results folder must be one that can be written to, got {str(folder)!r}, "
            f"where {str(nearest)!r} is a file or closed to writing; pass another"
        )
    found = read_settings(folder)
    if found is None:
        if folder.exists() and any(not path.name.startswith((".", SHARD)) for path in folder.iterdir()):
            raise InputError(
                f"evaluation: {str(folder)!r} must be new, empty or a results folder, "
                f"got other files and no {SETTINGS} in it; pass another folder"
            )
        return
    if unknown := sorted(found.keys() - settings.keys() - _KNOWN):
        raise InputError(
            f"evaluation: {folder / SETTINGS} must hold settings that this version knows, got {', '.join(unknown)}; "
            "go on with the version that made it, or pass another folder"
        )
    found = with_defaults(found)
    shared = {name: value for name, value in settings.items() if name in found}
    if other := differences({name: found[name] for name in shared}, shared):
        raise InputError(
            f"evaluation: {str(folder)!r} was made with other settings, got {other}; "
            "pass another folder, or its settings to go on with it"
        )


def claim_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make `folder` the results folder of `settings`, after `check_folder`; InputError where it cannot be written."""
    check_folder(folder, settings)
    with writing(folder):
        if not (folder / SETTINGS).exists():
            write_json(folder / SETTINGS, settings)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says of a write that failed, such as a full disk, into an InputError about `path`."""
    try:
        yield
    except OSError as reason:
        raise InputError(
            f"evaluation: {str(path)!r} must be writable and have room, got {reason.strerror}; make room and run the "
            "same command again, which goes on, or pass another folder"
        ) from None


def read_records(path: str | Path, *, first: int = 0) -> list[dict[str, Any]]:
    """The complete records of a `records.jsonl`, in order; a last line without its end is left out.

    first: the question that the file begins with, other than 0 where it is a shard's. Raises InputError naming the
    file and the line where a complete line is not the record of its place.
    """
    records, _ = _parse(Path(path), Path(path).read_bytes(), first)
    return records


def _parse(path: Path, content: bytes, first: int) -> tuple[list[dict[str, Any]], int]:
    """The complete records in `content`, and the number of bytes that they take up."""
    end = content.rfind(b"\n") + 1  # what follows was being written when the process was killed
    records = []
    for number, line in enumerate(content[:end].split(b"\n")[:-1]):
        try:
            record = json.loads(line, parse_constant=no_number)
        except ValueError:
            record = None
        if not isinstance(record, dict) or record.get("index") != first + number:
            raise InputError(
                f"evaluation: {path} line {number + 1} must be the record of question {first + number}, got "
                f"{line[:40]!r}; restore the file, or delete the run's folder and start it again"
            )
        records.append(record)
    return records, end


class RecordFile:
    """The records of one run, open for this process alone, as a context manager.

    first: the question that the file begins with. records: the complete records found on opening; `append` adds to the
    file and to this list. A last line that a kill cut short is dropped. Raises InputError where another process has
    the file open, or a line is corrupt.
    """

    def __init__(self, path: Path, *, first: int = 0) -> None:
        self._path = path
        with writing(path):
            self._file: FileIO = path.open("a+b", buffering=0)  # so that nothing waits to be written on closing
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system drops it when the process ends
            except BlockingIOError:
                raise InputError(
                    f"evaluation: {str(path.parent)!r} must be free, got another process at work in it; "
                    "wait for that one, or pass another folder"
                ) from None
            self._file.seek(0)
            self.records, self._end = _parse(path, self._file.readall() or b"", first)
            self._file.truncate(self._end)
        except BaseException:
            self._file.close()
            raise

    def append(self, *records: Mapping[str, Any]) -> None:
        """Add records and hand them to the disk, all at once, before returning.

        Raises InputError where the disk does not take them; none of them is then in the file.
        """
        content = b"".join(json.dumps(record, allow_nan=False).encode() + b"\n" for record in records)
        with writing(self._path):
            try:
                left = memoryview(content)
                while left:
                    left = left[self._file.write(left) :]
                os.fsync(self._file.fileno())
            except BaseException:
                self._file.truncate(self._end)
                raise
        self._end += len(content)
        self.records += [dict(record) for record in records]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
