"""The pieces of a cascade whose base is served: what the server's tokens and the proxy's are to each other.

Three cases, one for each thing that may be known of the base's vocabulary: it is the proxy's (pieces are ids), it is
another one (statement 16's pieces), or it is not known, and the server reads and writes text.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from proxyalign.decoding.trace import Trace
from proxyalign.errors import InputError
from proxyalign.models.token_bytes import TokenBytes, same_vocabulary
from proxyalign.models.tokens import ids_of_prompt
from proxyalign.models.vocabulary import Vocabulary, kept_with
from proxyalign.models.wrapped import ends_of, id_list, logit_width
from proxyalign.serving.answers import Seen, ends_in_half
from proxyalign.validation import check_ids

Request = str | list[int]  # what a server is asked to go on from


class Pieces(ABC):
    """What the server's tokens and the proxy's are to each other.

    strings: what the base's ids spell, None where that is not known. tokenizer: what shows pieces as text, by `decode`.
    is_shared: whether ids of the base are the proxy's.
    """

    is_shared = False
    strings: Sequence[bytes | None] | None = None
    tokenizer: Any

    @abstractmethod
    def piece_of(self, seen: Seen) -> int | None:
        """The piece that the server drew; None for a token that is no piece, and is to be drawn anew."""

    @abstractmethod
    def is_end(self, piece: int) -> bool:
        """Whether this piece ends the text."""

    @abstractmethod
    def spells(self, pieces: Sequence[int]) -> bytes:
        """The bytes of these pieces, of ends none."""

    @abstractmethod
    def request(self, prompt: Request, pieces: Sequence[int]) -> Request | None:
        """What the server goes on from; None where it cannot, for half a character is no text."""

    @abstractmethod
    def read_by_proxy(self, piece: int) -> Sequence[int]:
        """The ids with which the proxy reads this piece."""

    @abstractmethod
    def law_of_proxy(self, logits: Tensor) -> Tensor:
        """Logits (V,) of the proxy's ids -> logits of what `written_by_proxy` takes a number of."""

    @abstractmethod
    def written_by_proxy(self, drawn: int) -> int:
        """The piece that was drawn from `law_of_proxy`."""

    def goes_on(self, piece: int, seen: Seen) -> bool:
        """Whether what the server writes after this token has the context that the cascade gives it."""
        return True

    def of_trace(self, trace: Trace) -> list[int]:
        """The pieces of another run's trace."""
        return list(trace.token_ids.tolist())


class _SharedIds(Pieces):
    """One vocabulary: pieces are ids, as in a pair of models that share a tokenizer."""

    is_shared = True

    def __init__(self, tokenizer: Any, ends: Sequence[int], width: int) -> None:
        of_ids = TokenBytes(tokenizer)
        self.tokenizer, self._ends = tokenizer, frozenset(ends)
        self._width = min(width, len(of_ids))
        self.strings = of_ids.strings

    def piece_of(self, seen: Seen) -> int | None:
        """The id, unless the proxy has none of that number, as of a column that only fills up the base's."""
        return seen.token if seen.token is not None and seen.token < self._width else None

    def is_end(self, piece: int) -> bool:
        return piece in self._ends

    def spells(self, pieces: Sequence[int]) -> bytes:
        assert self.strings is not None
        return b"".join(self.strings[i] or b"" for i in pieces)

    def request(self, prompt: Request, pieces: Sequence[int]) -> Request:
        return [*(int(i) for i in prompt), *pieces]

    def read_by_proxy(self, piece: int) -> Sequence[int]:
        return (piece,)

    def law_of_proxy(self, logits: Tensor) -> Tensor:
        return logits[: self._width]

    def written_by_proxy(self, drawn: int) -> int:
        return drawn


class _TwoVocabularies(Pieces):
    """Two vocabularies that are known: the pieces of statement 16."""

    def __init__(self, base: Any, proxy: Any, ends: Sequence[int], width: int) -> None:
        own_ends = id_list(getattr(base, "eos_token_id", None))
        n_ids = max(base.get_vocab().values()) + 1
        self.tokenizer = self._vocabulary = Vocabulary(
            {"base": base, "proxy": proxy}, {"base": own_ends, "proxy": ends}, {"base": n_ids, "proxy": width}
        )
        self.strings = self._vocabulary.sides["base"].bytes.strings

    def piece_of(self, seen: Seen) -> int | None:
        index = self._vocabulary.index
        return index.get(None if seen.is_end else seen.string) if seen.is_end or seen.string else None

    def is_end(self, piece: int) -> bool:
        return self._vocabulary.pieces[piece] is None

    def spells(self, pieces: Sequence[int]) -> bytes:
        return self._vocabulary.spells(pieces)

    def request(self, prompt: Request, pieces: Sequence[int]) -> Request:
        return [*(int(i) for i in prompt), *self._vocabulary.sides["base"].read_as(pieces)]

    def read_by_proxy(self, piece: int) -> Sequence[int]:
        return self._vocabulary.sides["proxy"].ids[piece]

    def law_of_proxy(self, logits: Tensor) -> Tensor:
        return self._vocabulary.sides["proxy"].logits(logits)

    def written_by_proxy(self, drawn: int) -> int:
        return drawn

    def goes_on(self, piece: int, seen: Seen) -> bool:
        """Not after one of several ids with the same string, but for the first."""
        return self._vocabulary.sides["base"].ids[piece] == (seen.token,)


class _Texts(Pieces):
    """A base of which no vocabulary is known: pieces are what the server names, and what the proxy writes."""

    def __init__(self, proxy: Any, ends: Sequence[int], width: int) -> None:
        self.tokenizer = self
        self._bytes = TokenBytes(proxy)
        own = self._bytes.strings[:width]
        self._is_cut = torch.tensor([string is None and i not in ends for i, string in enumerate(own)])
        self._ends = frozenset(ends)
        self.pieces: list[bytes | None] = [None]
        self._place: dict[bytes | None, int] = {None: 0}
        self._lock = threading.Lock()

    def _numbered(self, string: bytes | None) -> int:
        with self._lock:
            if string not in self._place:
                self._place[string] = len(self.pieces)
                self.pieces.append(string)
            return self._place[string]

    def piece_of(self, seen: Seen) -> int | None:
        return self._numbered(seen.string) if seen.string is not None or seen.is_end else None

    def is_end(self, piece: int) -> bool:
        return piece == 0

    def spells(self, pieces: Sequence[int]) -> bytes:
        return b"".join(self.pieces[i] or b"" for i in pieces)

    def request(self, prompt: Request, pieces: Sequence[int]) -> Request | None:
        spelt = self.spells(pieces)
        return None if ends_in_half(spelt) else f"{prompt}{spelt.decode('utf-8', 'replace')}"

    def read_by_proxy(self, piece: int) -> Sequence[int]:
        string = self.pieces[piece]
        return () if string is None else self._bytes.encode(string)

    def law_of_proxy(self, logits: Tensor) -> Tensor:
        return logits[: len(self._is_cut)].masked_fill(self._is_cut.to(logits.device), -torch.inf)

    def written_by_proxy(self, drawn: int) -> int:
        return self._numbered(None if drawn in self._ends else self._bytes.strings[drawn])

    def of_trace(self, trace: Trace) -> list[int]:
        return [self._numbered(trace.tokenizer.pieces[i]) for i in trace.token_ids.tolist()]

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        """As a tokenizer's."""
        return self.spells(ids).decode("utf-8", "replace")


def pieces_of(base_tokenizer: Any, proxy: Any, proxy_tokenizer: Any) -> Pieces:
    """The pieces of a served base, with its tokenizer where that is given, and a proxy."""
    ends, width = ends_of(proxy, proxy_tokenizer), logit_width(proxy)

    def made() -> Pieces:
        if base_tokenizer is None:
            return _Texts(proxy_tokenizer, ends, width)
        if same_vocabulary(base_tokenizer, proxy_tokenizer):
            return _SharedIds(base_tokenizer, ends_of(proxy, base_tokenizer, proxy_tokenizer), width)
        return _TwoVocabularies(base_tokenizer, proxy_tokenizer, ends, width)

    return kept_with(proxy, {"base": base_tokenizer, "proxy": proxy_tokenizer}, (Pieces, ends, width), made)


def prompt_of(argument: str, tokenizer: Any, prompt: Any) -> list[int]:
    """The ids of a prompt, which is a text or ids. Raises InputError for none, and for no ids of the tokenizer."""
    if isinstance(prompt, str):
        ids = ids_of_prompt(tokenizer, prompt)
    else:
        ids = check_ids("generate", argument, prompt, max(tokenizer.get_vocab().values()) + 1)
    if not ids:
        raise InputError(f"generate: {argument} must hold at least one token each, got {prompt!r}; write a prompt")
    return ids
