"""Where a text ends: at an end-of-text token, or with one of the strings that were asked to stop it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_SPARE_TOKENS = 8  # read beyond a stop string's own length, for tokens that spell nothing and characters cut in two


class Stopping:
    """Which token of some new ones ends a text.

    ends: (V,) bool, the tokens that do. strings: a text ends with the token that completes one of them.
    """

    def __init__(self, ends: npt.NDArray[np.bool_], strings: Sequence[str], tokenizer: Any) -> None:
        self._ends = ends
        self.strings = tuple(strings)
        self._tokenizer = tokenizer
        self._n_back = max(map(len, strings), default=0) + _SPARE_TOKENS

    def is_end(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each token ends a text by itself."""
        ends: npt.NDArray[np.bool_] = self._ends[tokens]
        return ends

    def n_until_string(self, tokens: npt.NDArray[np.int64], n_new: int) -> int | None:
        """How many of the last `n_new` of a text's tokens (n,) there are up to the end of a stop string, or None."""
        if not n_new:
            return None
        start = max(0, len(tokens) - n_new - self._n_back)
        if not self._found(tokens[start:]):
            return None
        first = len(tokens) - n_new + 1
        return next(n for n in range(1, n_new + 1) if self._found(tokens[start : first + n - 1]))

    def _found(self, tokens: npt.NDArray[np.int64]) -> bool:
        text = self._tokenizer.decode(tokens.tolist())  # with special tokens, which may be what ends a turn
        return any(string in text for string in self.strings)
