"""A model of one vocabulary that reads pieces of two: behind it one piece is one or more tokens of its own."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from proxyalign.decoding.readers.contract import Both, IntArray
from proxyalign.decoding.readers.growing import Reader
from proxyalign.models.pair import ModelPair
from proxyalign.models.vocabulary import Side

_PROMPT = -1  # in place of a number of tokens: the last token of a prompt, which the model's reader holds


class PieceReader:
    """As `growing.Reader`, with pieces pushed, logits over pieces read, and a number of pieces forgotten.

    A row's own tokens lie one after the other, so that the passes of a batch have as many columns as the longest row
    has tokens. Which these are the host has to know: on a device each push waits for it.
    """

    def __init__(self, reader: Reader, side: Side, device: torch.device) -> None:
        self.seconds_capturing = 0.0
        self._reader = reader
        self._side = side
        self._device = device
        self._unread: list[list[int]] = []  # of each row, own tokens that were pushed
        self._columns: list[IntArray] = []  # of each piece pushed, how many tokens it has in each row (B,), 0 for none
        self._history: list[IntArray] = []  # of each piece read

    @classmethod
    def of(cls, pair: ModelPair, role: str) -> "PieceReader":
        """The model that has this role in the pair, and nothing to read yet."""
        return cls(Reader.of(pair, role), pair.vocabulary.sides[role], pair.device_of(role))

    @property
    def name(self) -> str:
        """Its role in the pair."""
        return self._reader.name

    @property
    def passes(self) -> Counter[int]:
        """Its forward passes, by number of its own tokens."""
        return self._reader.passes

    def push(self, tokens: Tensor, valid: Both | None = None) -> None:
        """Add pieces (B, n) to be read before the next logits; where `valid` (B, n) is False the row has no piece."""
        pieces = tokens.cpu().numpy()
        there = np.ones(pieces.shape, dtype=np.bool_) if valid is None else valid.host
        if not there.any():
            return
        counts = np.zeros(pieces.shape, dtype=np.int64)
        for row, column in np.argwhere(there).tolist():
            ids = self._side.ids[int(pieces[row, column])]
            self._unread[row] += ids
            counts[row, column] = len(ids)
        self._columns += list(counts.T)

    def read(self, n_last: int = 1) -> Tensor:
        """Read what was pushed; logits (B, n, U) after each of the last `n_last` pieces, or of all that were pushed.

        Up to a constant in each row. A place without a piece gives a row without meaning.
        """
        counts = np.stack(self._columns, axis=1)  # (B, n)
        self._columns = []
        after_prompt = counts == _PROMPT
        own = np.where(after_prompt, 0, counts)
        self._history += list(own.T)
        # A piece is read where its last token lies; before the pushed tokens there may be a slot of a prompt's last, to
        # which places belong that come before a row's first piece.
        n_before, width = int(after_prompt.any()), max(map(len, self._unread))
        places = np.maximum(n_before - 1 + own.cumsum(1), 0)[:, -n_last:]
        if width:
            padded = [ids + [-1] * (width - len(ids)) for ids in self._unread]
            tokens = torch.tensor(padded, device=self._device)
            self._reader.push(tokens.clamp(min=0), Both(np.array(padded) >= 0, tokens >= 0))
            self._unread = [[] for _ in self._unread]
        first = int(places.min())
        logits = self._reader.read(n_before + width - first)
        at = torch.from_numpy(places - first).to(self._device)
        return self._side.logits(logits[torch.arange(len(at), device=self._device).unsqueeze(1), at])

    def forget(self, n_tokens: Both) -> None:
        """Take back the last `n_tokens` (B,) pieces that were read, a number for each row."""
        n_pieces = n_tokens.host
        most = int(n_pieces.max())
        if not most:
            return
        last = np.stack(self._history[-most:], axis=1)  # (B, most)
        taken = np.arange(most, 0, -1) <= n_pieces[:, None]
        self._reader.forget_tokens(Both.of((last * taken).sum(1), self._device))
        self._history[-most:] = list((last * ~taken).T)

    def keep(self, rows: Both) -> None:
        """Go on with these rows (n,) of the batch alone."""
        self._reader.keep(rows)
        self._unread = [self._unread[row] for row in rows.host]
        self._columns = [column[rows.host] for column in self._columns]
        self._history = [column[rows.host] for column in self._history]

    def branched(self, rows: Both) -> "PieceReader":
        """A reader that goes on with these rows (n,) of the batch, in any order and number; this one stays as it is."""
        other = PieceReader(self._reader.branched(rows), self._side, self._device)
        other._unread = [[*self._unread[row]] for row in rows.host]
        other._columns = [column[rows.host] for column in self._columns]
        other._history = [column[rows.host] for column in self._history]
        return other

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows, one list of the model's own ids each, none of them empty, after those that are there."""
        self._reader.join(texts)
        n_old, n_new = len(self._unread), len(texts)
        self._unread += [[] for _ in range(n_new)]
        nothing: IntArray = np.zeros(n_new, dtype=np.int64)
        earlier = self._columns or [np.zeros(n_old, dtype=np.int64)]
        self._columns = [np.concatenate([column, nothing]) for column in earlier]
        self._columns[-1][n_old:] = _PROMPT
        self._history = [np.concatenate([column, nothing]) for column in self._history]
