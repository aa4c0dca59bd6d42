"""A uniform sample of the base distributions that a run visited, the same one however the run was interrupted."""

import hashlib
import zipfile
from collections.abc import Sequence
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
        self._changed, self._highest = False, 0
        if path.exists():
            try:
                with np.load(path) as stored:
                    places = zip(stored["question"].tolist(), stored["position"].tolist(), strict=True)
                    rows = zip(stored["p"], stored["mass"].tolist(), strict=True)
                    self._kept = dict(zip(places, rows, strict=True))
                self._highest = max((_ticket(seed, *place) for place in self._kept), default=0)
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
        tickets = {place: _ticket(self._seed, *place) for place in self._kept}
        offered = {(index, position): at for at, position in enumerate(positions)}
        tickets |= {place: _ticket(self._seed, *place) for place in offered}
        lowest = sorted(tickets, key=tickets.__getitem__)[: self._size]
        kept = {
            place: self._kept[place]
            if place in self._kept
            else (rows[offered[place]].copy(), float(mass[offered[place]]))
            for place in lowest
        }
        self._changed |= kept.keys() != self._kept.keys()
        self._kept, self._highest = kept, tickets[lowest[-1]] if lowest else 0

    def join(self, other: "RowSample") -> None:
        """Consider the rows that another sample of the same seed keeps, of other questions."""
        both = {**self._kept, **other._kept}
        tickets = {place: _ticket(self._seed, *place) for place in both}
        lowest = sorted(tickets, key=tickets.__getitem__)[: self._size]
        self._changed |= self._kept.keys() != set(lowest)
        self._kept, self._highest = {place: both[place] for place in lowest}, tickets[lowest[-1]] if lowest else 0

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
