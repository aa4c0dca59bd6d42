"""What a reader is: one model's reading of a batch of texts, pushed as they are known, read when logits are wanted."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

COUNTS_FROM_PADDING = (  # whose first position is not 0, but the one after the padding's
    "camembert", "data2vec-text", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Both:
    """Numbers (B, ...) that the host and the device know, so that neither has to ask the other."""

    host: npt.NDArray[Any]
    device: Tensor

    @classmethod
    def of(cls, host: npt.NDArray[Any], device: torch.device) -> "Both":
        """What the host knows, brought to the device: an upload of its own."""
        return cls(host, torch.from_numpy(host).to(device))

    @classmethod
    def zeros(cls, n: int, dtype: torch.dtype, device: torch.device) -> "Both":
        """Zeros (n,), made in both places."""
        return cls(torch.zeros(n, dtype=dtype).numpy(), torch.zeros(n, dtype=dtype, device=device))

    def mapped(self, change: Callable[[Any], Any]) -> "Both":
        """Both changed in one way, which NumPy and torch write alike."""
        return Both(change(self.host), change(self.device))

    def plus(self, n: int) -> "Both":
        """All of them by so much more."""
        return Both(self.host + n, self.device + n) if n else self

    def of_rows(self, rows: "Both") -> "Both":
        """Those of these rows (n,)."""
        return Both(self.host[rows.host], self.device.index_select(0, rows.device))

    def beside(self, other: "Both", axis: int = 0) -> "Both":
        """These and others, one after the other."""
        return Both(np.concatenate([self.host, other.host], axis), torch.cat([self.device, other.device], dim=axis))


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

    @property
    def passes(self) -> Counter[int]:
        """Forward passes, by number of positions."""
        ...

    @property
    def seconds_capturing(self) -> float:
        """Of the passes that were made, which the next batch's will not take."""
        ...

    def push(self, tokens: Tensor, valid: Both | None = None) -> None:
        """Add tokens (B, n) to be read before the next logits; where `valid` (B, n) is False the row has no token."""
        ...

    def read(self, n_last: int = 1) -> Tensor:
        """Read what was pushed; logits (B, n, V) after each of the last `n_last` slots, or of all that were pushed."""
        ...

    def forget(self, n_tokens: Both) -> None:
        """Take back the last `n_tokens` (B,) slots that were read, a number for each row."""
        ...

    def keep(self, rows: Both) -> None:
        """Go on with these rows (n,) of the batch alone."""
        ...


class Branches(Reads, Protocol):
    """A reader whose rows may be gone on with in several ways."""

    def branched(self, rows: Both) -> "Branches":
        """A reader that goes on with these rows (n,) of the batch, in any order and number; this one stays as it is."""
        ...


def side_by_side(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Both]:
    """Texts padded on the left, brought to the device in one upload: ids (B, T), and which of them are there (B, T)."""
    lengths = np.array([len(text) for text in texts])
    width = int(lengths.max())
    tokens = torch.tensor([[-1] * (width - len(text)) + list(text) for text in texts], device=device)
    return tokens.clamp(min=0), Both(np.arange(width) >= (width - lengths)[:, None], tokens >= 0)


def filled_up(texts: Sequence[Sequence[int]]) -> IntArray:
    """Texts side by side (n, m), with -1 on the right, where it comes to stand between no two tokens of a row."""
    width = max(map(len, texts))
    return np.array([[*text, *[-1] * (width - len(text))] for text in texts], dtype=np.int64)


def last_places(n_last: int, n: int, device: torch.device) -> int | Tensor:
    """The last of n places as models are told: as a list where it is not all of them.

    A number would make them take a slice, and torch copies the whole output matrix to multiply it with one.
    """
    return 0 if n_last >= n else torch.arange(n - n_last, n, device=device)
