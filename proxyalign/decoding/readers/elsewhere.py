"""A model on another device than the base's: what it reads is brought there, and its logits back."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from proxyalign.decoding.readers.contract import Both, Branches


class Elsewhere:
    """As the reader that it holds. there: the model's device. home: where tokens come from and logits are wanted."""

    def __init__(self, reader: Branches, there: torch.device, home: torch.device) -> None:
        self._reader = reader
        self._there = there
        self._home = home

    @property
    def name(self) -> str:
        """Its role in the pair."""
        return self._reader.name

    @property
    def passes(self) -> Counter[int]:
        """Its forward passes, by number of positions."""
        return self._reader.passes

    @property
    def seconds_capturing(self) -> float:
        """Of the passes that were made."""
        return self._reader.seconds_capturing

    def push(self, tokens: Tensor, valid: Both | None = None) -> None:
        """Add tokens (B, n) to be read before the next logits; where `valid` (B, n) is False the row has no token."""
        self._reader.push(tokens.to(self._there), None if valid is None else self._brought(valid))

    def read(self, n_last: int = 1) -> Tensor:
        """Read what was pushed; logits (B, n, V) after each of the last `n_last` slots, or of all that were pushed."""
        return self._reader.read(n_last).to(self._home)

    def forget(self, n_tokens: Both) -> None:
        """Take back the last `n_tokens` (B,) slots that were read, a number for each row."""
        self._reader.forget(self._brought(n_tokens))

    def keep(self, rows: Both) -> None:
        """Go on with these rows (n,) of the batch alone."""
        self._reader.keep(self._brought(rows))

    def branched(self, rows: Both) -> "Elsewhere":
        """A reader that goes on with these rows (n,) of the batch, in any order and number; this one stays as it is."""
        return Elsewhere(self._reader.branched(self._brought(rows)), self._there, self._home)

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows after those that are there."""
        self._reader.join(texts)

    def _brought(self, numbers: Both) -> Both:
        return Both(numbers.host, numbers.device.to(self._there))
