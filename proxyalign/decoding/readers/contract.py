"""What a reader is: one model's reading of a batch of texts, pushed as they are known, read when logits are wanted."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

COUNTS_FROM_PADDING = (  # whose first position is not 0, but the one after the padding's
    "camembert", "data2vec-text", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip


class Texts(Protocol):
    """A model that takes in the prompts of sequences: a reader, or what holds one."""

    @property
    def name(self) -> str:
        """Its role in the pair."""
        ...

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows after those that are there."""
        ...


class Reads(Texts, Protocol):
    """One model's reading of a batch of texts; `growing.Reader` says what each of these does."""

    passes: Counter[int]

    def push(self, tokens: Tensor, valid: BoolArray | None = None) -> None:
        """Add tokens (B, n) to be read before the next logits; where `valid` (B, n) is False the row has no token."""
        ...

    def read(self, n_last: int = 1) -> Tensor:
        """Read what was pushed; logits (B, n, V) after each of the last `n_last` slots, or of all that were pushed."""
        ...

    def forget(self, n_tokens: IntArray) -> None:
        """Take back the last `n_tokens` (B,) slots that were read, a number for each row."""
        ...

    def keep(self, rows: IntArray) -> None:
        """Go on with these rows (n,) of the batch alone."""
        ...


def side_by_side(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, BoolArray]:
    """Texts padded on the left: ids (B, T) on the device, and which of them are there (B, T) on the host."""
    lengths = np.array([len(text) for text in texts])
    width = int(lengths.max())
    tokens = torch.tensor([[0] * (width - len(text)) + list(text) for text in texts], device=device)
    return tokens, np.arange(width) >= (width - lengths)[:, None]


def last_places(n_last: int, n: int, device: torch.device) -> int | Tensor:
    """The last of n places as models are told: as a list where it is not all of them.

    A number would make them take a slice, and torch copies the whole output matrix to multiply it with one.
    """
    return 0 if n_last >= n else torch.arange(n - n_last, n, device=device)
