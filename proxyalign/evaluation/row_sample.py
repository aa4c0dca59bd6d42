"""A uniform sample of the base distributions that a run visited, the same one however the run was interrupted."""

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.evaluation.records import writing
from proxyalign.files import replacing

ROWS = "rows.npz"


def _ticket(seed: int, index: int, position: int) -> int:
    """A number in [0, 2^64) that is drawn for one visited row, the same in every process."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {index} {position}".encode(), digest_size=8).digest())


class RowSample:
    """Keeps the `size` visited rows with the lowest tickets, which is a uniform sample of all rows, whatever the order.

    It lives in the file `path` (NumPy .npz), read on construction where it exists: `p` (n, V) float32, the base's
    distributions at temperature 1; `question` (n,) and `position` (n,) int64, where each comes from (the question's
    index and the emitted token's), and `mass` (n,) float64, the deferral mass there; sorted by both. Raises InputError
    where the file is not one of these.
    """

    def __init__(self, path: Path, size: int, seed: int) -> None:
        self._path, self._size, self._seed = path, size, seed
        self._kept: dict[tuple[int, int], tuple[NDArray[np.float32], float]] = {}
        self._tickets: dict[tuple[int, int], int] = {}  # of those
        self._changed, self._highest = False, 0  # the highest ticket
        if path.exists():
            try:
                with np.load(path) as stored:
                    places = zip(stored["question"].tolist(), stored["position"].tolist(), strict=True)
                    rows = zip(stored["p"], stored["mass"].tolist(), strict=True)
                    self._kept = dict(zip(places, rows, strict=True))
                self._tickets = {place: _ticket(seed, *place) for place in self._kept}
                self._highest = max(self._tickets.values(), default=0)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                raise InputError(
                    f"evaluation: {path} must hold the visited rows of this run, got something else; "
                    "restore the file, or delete the run's folder and start it again"
                ) from None

    def wants(self, index: int, position: int) -> bool:
        """Whether the row of this question at this position would be kept, if it were offered now."""
        return len(self._kept) < self._size or _ticket(self._seed, index, position) < self._highest

    def offer(self, index: int, positions: Sequence[int], rows: NDArray[np.float32], mass: NDArray[np.float64]) -> None:
        """Consider rows (k, V) that the reply to question `index` visited at these positions (k,), and the mass (k,)
        deferred at each. A row seen before changes nothing.
        """
        self._consider(
            {
                (index, position): (rows[at].copy(), float(mass[at]))  # a copy, since the others are not kept
                for at, position in enumerate(positions)
                if self.wants(index, position)
            }
        )

    def join(self, other: "RowSample") -> None:
        """Consider the rows that another sample of the same seed keeps, of other questions."""
        self._consider(other._kept)

    def _consider(self, rows: Mapping[tuple[int, int], tuple[NDArray[np.float32], float]]) -> None:
        """Keep those with the lowest tickets of what is kept and these rows, by place."""
        new = {place: row for place, row in rows.items() if place not in self._kept}
        if not new:
            return
        self._kept |= new
        self._tickets |= {place: _ticket(self._seed, *place) for place in new}
        for place in sorted(self._tickets, key=self._tickets.__getitem__)[self._size :]:
            del self._kept[place], self._tickets[place]
        self._changed |= not new.keys().isdisjoint(self._kept)
        self._highest = max(self._tickets.values())

    def save(self) -> None:
        """Write the sample whole, where it changed since it was last read or written; InputError where it cannot."""
        if not self._changed:
            return
        places = sorted(self._kept)
        with writing(self._path), replacing(self._path) as file:
            np.savez(
                file,
                p=np.stack([self._kept[place][0] for place in places]).astype(np.float32),
                mass=np.array([self._kept[place][1] for place in places], dtype=np.float64),
                question=np.array([index for index, _ in places], dtype=np.int64),
                position=np.array([position for _, position in places], dtype=np.int64),
            )
        self._changed = False
