"""Folders of files that take long to make: made once and kept in the user's cache folder, whole or not at all."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from rich.console import Console

from proxyalign.errors import InputError

_LIST = "files.json"  # the SHA-256 of each file of a folder, written when all of them are there
_PARTIAL = ".partial-"  # with which the names of folders begin that are being made, or were when their maker was killed


def cache_folder() -> Path:
    """The folder that PROXYALIGN_CACHE names, else proxyalign/ in that of XDG_CACHE_HOME, else in ~/.cache."""
    if named := os.environ.get("PROXYALIGN_CACHE"):
        return Path(named).expanduser().absolute()
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".cache") / "proxyalign"


def kept(owner: str, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache folder, filled by `make` in this call or an earlier one.

    owner: who refuses, in messages. make: fills the empty folder that it is given; it runs where there is no folder of
    this name yet, or one of whose files differs from what was made. The folder takes its place once all files are on
    the disk, so that a killed maker leaves none; its partial one is taken away by the next. Of several processes
    one makes it while the others wait. What is made is told in a line on stderr.

    Raises InputError where the cache folder cannot be written or has no room.
    """
    place = cache_folder() / name
    if _is_whole(place):
        return place
    notes = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    try:
        with _alone(place.parent, notes):
            if not _is_whole(place):  # another process may have made it in the meantime
                _fill(place, make, notes)
    except OSError as error:
        raise InputError(
            f"{owner}: the cache folder must be one that can be written and has room, got {str(place.parent)!r} "
            f"({error.strerror or error}); make room there, or name another folder in PROXYALIGN_CACHE"
        ) from error
    return place


def _is_whole(place: Path) -> bool:
    """Whether all files that were made are there, and are what they were."""
    try:
        sums = json.loads((place / _LIST).read_bytes())
        return all(_sum(place / name) == sum_ for name, sum_ in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(folder: Path, notes: Console) -> Iterator[None]:
    """Holds the folder's lock, which the system takes from a process that ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            notes.print(f"waiting for another process, which is filling {folder} ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(place: Path, make: Callable[[Path], None], notes: Console) -> None:
    """Make the folder beside its place, and put it there; whoever calls holds the lock."""
    for left in place.parent.glob(f"{_PARTIAL}*"):
        shutil.rmtree(left)
    if place.exists():
        notes.print(f"{place} is damaged, and is made anew")
        shutil.rmtree(place)
    start = perf_counter()
    partial = place.with_name(f"{_PARTIAL}{place.name}")
    partial.mkdir()
    try:
        make(partial)
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        (partial / _LIST).write_text(
            json.dumps({str(path.relative_to(partial)): _sum(path) for path in files}, indent=1)
        )
        n_bytes = sum(path.stat().st_size for path in files)
        for path in [*partial.rglob("*"), partial]:
            _sync(path)
        _put(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    notes.print(
        f"made in {perf_counter() - start:.0f} s and kept for the next time: {place} "
        f"({n_bytes / 1e9:.2g} GB, which may be deleted)"
    )


def _put(partial: Path, place: Path) -> None:
    try:
        partial.rename(place)
    except OSError:
        if not _is_whole(place):  # as it is where another host, whose locks a shared disk does not tell of, was first
            raise
    _sync(place.parent)


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
