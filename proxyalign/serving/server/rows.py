"""A running batch whose rows are handed to whoever comes next: its places, and the record of what they emit."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from proxyalign.decoding.readers.contract import IntArray
from proxyalign.decoding.stopping import Stopping
from proxyalign.decoding.trace import Record
from proxyalign.models.pair import ModelPair
from proxyalign.serving.server.asked import Asked, Reason


class Rows:
    """The places of a batch, and the sequences that have them.

    base_prompts, proxy_prompts, keys: of each place, in lists that a job holds and that change under it.
    """

    def __init__(self, pair: ModelPair, n: int) -> None:
        self._pair = pair
        self._ends = np.zeros(pair.vocab_size, dtype=np.bool_)
        self._ends[list(pair.eos_token_ids)] = True
        self._held: dict[int, tuple[Asked, Stopping | None]] = {}
        self.base_prompts: list[Sequence[int]] = [[] for _ in range(n)]
        self.proxy_prompts: list[Sequence[int]] = [[] for _ in range(n)]
        self.keys: list[tuple[int, int, int]] = [(0, 0, 0)] * n

    @property
    def held(self) -> list[Asked]:
        """The sequences that have a place."""
        return [asked for asked, _ in list(self._held.values())]  # at once, since other threads ask too

    def fill(self, sequences: Sequence[Asked]) -> IntArray:
        """Give each a place that is free: which (n,)."""
        free = [row for row in range(len(self.keys)) if row not in self._held][: len(sequences)]
        for row, asked in zip(free, sequences, strict=True):
            asked.begin()
            self.base_prompts[row], self.proxy_prompts[row] = asked.prompt, asked.proxy_prompt
            self.keys[row] = asked.key
            self._held[row] = asked, self._stopping_of(asked)
        return np.array(free, dtype=np.int64)

    def limits(self, rows: IntArray) -> list[int]:
        """How many tokens the sequences in these places may have."""
        return [self._held[row][0].max_new_tokens for row in rows.tolist()]

    def stopping(self, row: int) -> Stopping | None:
        """What looks for the stop strings of the sequence in this place; None where it has none."""
        return self._held[row][1]

    def holds(self, row: int) -> bool:
        """Whether the place is still the sequence's."""
        return row in self._held

    def tell(self, row: int, tokens: list[int], has_ended: bool, by_string: bool) -> None:
        """Hand the sequence in this place its tokens, and the place to others where it has ended."""
        reason: Reason | None = None
        if has_ended:
            reason = "stop" if by_string or (tokens and self._ends[tokens[-1]]) else "length"
        asked, _ = self._held[row]
        if not asked.is_cancelled:
            asked.hear(tokens, reason)
        if has_ended or asked.is_cancelled:
            del self._held[row]

    def _stopping_of(self, asked: Asked) -> Stopping | None:
        if not asked.stop:
            return None
        before = [] if self._pair.has_two_vocabularies else list(asked.prompt[-1:])  # pieces spell alike anywhere
        return Stopping(self._ends, asked.stop, self._pair.spelling, 0, [before])


class LiveRecord(Record):
    """A record whose rows are used again, each with a limit and stop strings of its own; it tells all that it is told.

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
        """As a record's; a row ends at its own stop strings too, and where nobody waits for it."""
        active, n_before, counts = self.active, self.n_emitted, counts.copy()
        by_string = np.zeros(len(active), dtype=np.bool_)
        for i, row in enumerate(active.tolist()):
            stopping = self.rows.stopping(row)
            if stopping is None:
                continue
            text = np.concatenate([self._tokens[row, : n_before[i]], tokens[i, : counts[i]]])
            cut = stopping.n_until_string(0, text, int(counts[i]))
            if cut is not None:
                counts[i], by_string[i] = cut, True
        written, goes_on = super().emit(counts, tokens, source, p_y, mass, wanted, laws)
        by_string &= written == counts  # and not cut before, by an end of text or by the limit
        goes_on &= ~by_string
        for i, row in enumerate(active.tolist()):
            self.rows.tell(row, tokens[i, : written[i]].tolist(), not goes_on[i], bool(by_string[i]))
            goes_on[i] &= self.rows.holds(row)
        self.active = active[goes_on]
        return written, goes_on
