"""A running batch whose rows are handed to whoever comes next: its places, and the record of what they emit."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from proxyalign.decoding.readers.contract import IntArray
from proxyalign.decoding.trace import Record
from proxyalign.serving.server.asked import Asked, Reason


class Rows:
    """The places of a batch, and the sequences that have them.

    base_prompts, proxy_prompts, keys, stop: of each place, in lists that a job holds and that change under it.
    """

    def __init__(self, n: int) -> None:
        self._held: dict[int, Asked] = {}
        self.base_prompts: list[Sequence[int]] = [[] for _ in range(n)]
        self.proxy_prompts: list[Sequence[int]] = [[] for _ in range(n)]
        self.keys: list[tuple[int, int, int]] = [(0, 0, 0)] * n
        self.stop: list[Sequence[str]] = [()] * n

    @property
    def held(self) -> list[Asked]:
        """The sequences that have a place."""
        return list(self._held.values())  # at once, since other threads ask too

    def fill(self, sequences: Sequence[Asked]) -> IntArray:
        """Give each a place that is free: which (n,)."""
        free = [row for row in range(len(self.keys)) if row not in self._held][: len(sequences)]
        for row, asked in zip(free, sequences, strict=True):
            asked.begin()
            self.base_prompts[row], self.proxy_prompts[row] = asked.prompt, asked.proxy_prompt
            self.keys[row], self.stop[row] = asked.key, asked.stop
            self._held[row] = asked
        return np.array(free, dtype=np.int64)

    def limits(self, rows: IntArray) -> list[int]:
        """How many tokens the sequences in these places may have."""
        return [self._held[row].max_new_tokens for row in rows.tolist()]

    def holds(self, row: int) -> bool:
        """Whether the place is still the sequence's."""
        return row in self._held

    def tell(self, row: int, tokens: list[int], reason: Reason | None) -> None:
        """Hand the sequence in this place its tokens, and the place to others where it has ended, for this reason."""
        asked = self._held[row]
        if reason is not None or asked.is_cancelled:
            del self._held[row]  # before its client hears of it, who then finds that it runs no longer
        if not asked.is_cancelled:
            asked.hear(tokens, reason)


class LiveRecord(Record):
    """A record whose rows are used again, each with a limit of its own; it tells all that it is told.

    rows: who has them.
    """

    rows: Rows

    def join(self, rows: npt.NDArray[np.int64]) -> None:
        """As a record's, of rows that may have been others' before."""
        self._n[rows] = 0
        self._limits[rows] = self.rows.limits(rows)
        super().join(rows)

    def emit(
        self,
        counts: npt.NDArray[np.int64],
        tokens: npt.NDArray[np.int64],
        source: npt.NDArray[np.uint8],
        p_y: npt.NDArray[np.floating],
        mass: npt.NDArray[np.floating],
        wanted: npt.NDArray[np.bool_] | None = None,
        laws: npt.NDArray[np.floating] | None = None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """As a record's; a row ends where nobody waits for it too."""
        active = self.active
        written, goes_on = super().emit(counts, tokens, source, p_y, mass, wanted, laws)
        for i, row in enumerate(active.tolist()):
            reason: Reason | None = None if goes_on[i] else "stop" if self._is_finished[row] else "length"
            self.rows.tell(row, tokens[i, : written[i]].tolist(), reason)
            goes_on[i] &= self.rows.holds(row)
        self.active = active[goes_on]
        return written, goes_on
