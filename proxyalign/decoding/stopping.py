"""Where a text ends: at an end-of-text token, or with one of the strings that were asked to stop it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class Stopping:
    """Which token of some new ones ends a text.

    ends: (V,) bool, the tokens that do. strings: of each sequence; its text ends with the token that completes one of
    them, in what the tokens spell or in the text as it is shown (without special tokens, cleaned up as the tokenizer
    does). min_new_tokens: no string that is complete before that many tokens ends a text. prompts: of each sequence,
    after whose last id some tokenizers spell a token otherwise than at the beginning of a text; None for tokens that
    spell the same wherever they stand. Strings and prompts may be lists that change when other sequences begin.
    """

    def __init__(
        self,
        ends: npt.NDArray[np.bool_],
        strings: Sequence[Sequence[str]],
        tokenizer: Any,
        min_new_tokens: int,
        prompts: Sequence[Sequence[int]] | None,
    ) -> None:
        self._ends = ends
        self.strings = strings
        self._tokenizer = tokenizer
        self._least = min_new_tokens
        self._prompts = prompts
        self._spells: dict[int, bool] = {}
        self._cleans = getattr(tokenizer, "clean_up_tokenization_spaces", True) is not False  # what it shows

    @property
    def vocab_size(self) -> int:
        """How many tokens there are."""
        return len(self._ends)

    def is_end(self, tokens: Ids) -> npt.NDArray[np.bool_]:
        """Whether each token ends a text by itself."""
        ends: npt.NDArray[np.bool_] = self._ends[tokens]
        return ends

    def n_until_string(self, sequence: int, tokens: Ids, n_new: int) -> int | None:
        """How many of the last `n_new` of a text's tokens (n,) there are up to the end of a stop string, or None."""
        n_old = len(tokens) - n_new
        first = max(n_old, self._least - 1)  # tokens that end no text
        if len(tokens) <= first:
            return None
        start = self._start(sequence, tokens, first)
        if not any(self._counts(sequence, tokens, start, len(tokens))):
            return None
        seen = self._counts(sequence, tokens, start, first)
        for n in range(first + 1, len(tokens) + 1):
            now = self._counts(sequence, tokens, start, n)
            if any(here > then for here, then in zip(now, seen, strict=True)):
                return n - n_old
        return None

    def _start(self, sequence: int, tokens: Ids, end: int) -> int:
        """From which token on the text has to be read to find each string that ends after token number `end`."""
        # A token that spells anything spells a byte, so that this many tell where any string may have begun.
        left = max(len(string.encode("utf-8", "surrogatepass")) for string in self.strings[sequence]) + 1
        at = end
        while at and left:
            at -= 1
            left -= self._spells_some(int(tokens[at]))
        return at

    def _spells_some(self, token: int) -> bool:
        if token not in self._spells:
            is_special = token in self._tokenizer.all_special_ids
            self._spells[token] = not is_special and bool(self._tokenizer.convert_ids_to_tokens(token))
        return self._spells[token]

    def _counts(self, sequence: int, tokens: Ids, start: int, end: int) -> list[int]:
        """How often each string is in tokens[start:end], in each way to read them."""
        texts = self._readings(sequence, tokens, start, end)
        return [_n_times(string, text) for text in texts for string in self.strings[sequence]]

    def _readings(self, sequence: int, tokens: Ids, start: int, end: int) -> Iterator[str]:
        """The text of tokens[start:end] as spelt, after what comes before it too, and as shown."""
        ids = tokens[start:end].tolist()
        before = [] if self._prompts is None else list(self._prompts[sequence][-1:])
        spelt = self._spelt(ids)
        yield spelt
        if not start:
            prefix, text = self._spelt(before), self._spelt(before + ids)
            yield text[len(prefix) :] if text.startswith(prefix) else ""
        is_shown_as_spelt = not self._cleans and all(map(self._spells_some, ids))
        yield spelt if is_shown_as_spelt else self._tokenizer.decode(ids, skip_special_tokens=True)

    def _spelt(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _n_times(string: str, text: str) -> int:
    """How often the string is in the text, overlaps counted."""
    n, at = 0, text.find(string)
    while at >= 0:
        n, at = n + 1, text.find(string, at + 1)
    return n
