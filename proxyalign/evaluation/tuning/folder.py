"""The folder of one tuning: what it was asked for, and one process at a time in it."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.evaluation.records import claim_folder

_LOCK = ".lock"


@contextmanager
def claimed(out: Path, asked: Mapping[str, Any]) -> Iterator[None]:
    """A context in which `out` is the folder of the tuning that `asked` describes, and of this process alone.

    Raises InputError where it was made for another one, holds other files, cannot be written, or is in use.
    """
    claim_folder(out, json.loads(json.dumps(asked)))  # as a file gives it back, with lists for tuples
    with (out / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system drops it when the process ends
        except BlockingIOError:
            raise InputError(
                f"tune: {str(out)!r} must be free, got another process at work in it; wait for that one, or pass "
                "another folder"
            ) from None
        yield
