"""A run's folder on disk: settings that must match, and one JSON line per question that survives a kill."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from proxyalign.errors import InputError
from proxyalign.evaluation.settings import differences
from proxyalign.files import read_text, write_json

SETTINGS, RECORDS = "settings.json", "records.jsonl"


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

    It can where it does not exist yet, is empty (but for hidden files, such as a kill may leave), or has a
    `settings.json` that agrees in every entry that both have.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(
            f"evaluation: the results folder must be one that can be written to, got {str(folder)!r}, "
            f"where {str(nearest)!r} is a file or closed to writing; pass another"
        )
    found = read_settings(folder)
    if found is None:
        if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise InputError(
                f"evaluation: {str(folder)!r} must be new, empty or a results folder, "
                f"got other files and no {SETTINGS} in it; pass another folder"
            )
        return
    shared = {name: value for name, value in settings.items() if name in found}
    if other := differences({name: found[name] for name in shared}, shared):
        raise InputError(
            f"evaluation: {str(folder)!r} was made with other settings, got {other}; "
            "pass another folder, or its settings to go on with it"
        )


def claim_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make `folder` the results folder of `settings`, after `check_folder`; InputError where it cannot be written."""
    check_folder(folder, settings)
    try:
        if not (folder / SETTINGS).exists():
            write_json(folder / SETTINGS, settings)
    except OSError as reason:
        raise InputError(f"evaluation: {str(folder)!r} must be writable, got {reason.strerror}; pass another") from None


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """The complete records of a `records.jsonl`, in order; a last line without its end is left out.

    Raises InputError naming the file and the line where a complete line is not the record of its place.
    """
    records, _ = _parse(Path(path), Path(path).read_bytes())
    return records


def _parse(path: Path, content: bytes) -> tuple[list[dict[str, Any]], int]:
    """The complete records in `content`, and the number of bytes that they take up."""
    end = content.rfind(b"\n") + 1  # what follows was being written when the process was killed
    records = []
    for index, line in enumerate(content[:end].split(b"\n")[:-1]):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or record.get("index") != index:
            raise InputError(
                f"evaluation: {path} line {index + 1} must be the record of question {index}, got {line[:40]!r}; "
                "restore the file, or delete the run's folder and start it again"
            )
        records.append(record)
    return records, end


class RecordFile:
    """The records of one run, open for this process alone, as a context manager.

    records: the complete records found on opening; `append` adds to the file and to this list. A last line that a
    kill cut short is dropped. Raises InputError where another process has the file open, or a line is corrupt.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("a+b")
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system drops it when the process ends
            except BlockingIOError:
                raise InputError(
                    f"evaluation: {str(path.parent)!r} must be free, got another process at work in it; "
                    "wait for that one, or pass another folder"
                ) from None
            self._file.seek(0)
            self.records, end = _parse(path, self._file.read())
            self._file.truncate(end)
        except BaseException:
            self._file.close()
            raise

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record and hand it to the disk before returning."""
        self._file.write(json.dumps(record, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.records.append(dict(record))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
