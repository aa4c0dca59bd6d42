"""Two vocabularies as one (statement 16): the pieces that some model writes as one token, and how each reads them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar
from unicodedata import category
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from proxyalign.errors import InputError
from proxyalign.models.token_bytes import TokenBytes

T = TypeVar("T")

# Bytes that text does not hold, for which real tokenizers lack letters: most of the control characters, the beginnings
# of characters that nobody has defined, and those of none.
_SELDOM = frozenset({*range(32), 0x7F, 0xC0, 0xC1, 0xF1, 0xF2, *range(0xF5, 0x100)} - {0x09, 0x0A, 0x0D})


class Vocabulary:
    """The pieces of a pair, byte strings, and the one symbol that ends a text.

    pieces: the strings of the base's ids, in the order of ids, then those that the proxy alone has, then None, the end
    of the text, where a model has one. Left out, and without probability as tokens are that spell nothing, are strings
    of bytes that no text holds where one model cannot write them. It is read as a tokenizer where pieces are shown
    (`decode`).
    """

    clean_up_tokenization_spaces = False  # as a tokenizer's

    def __init__(self, tokenizers: Mapping[str, Any], ends: Mapping[str, Sequence[int]], widths: Mapping[str, int]):
        """For the models of these roles, "base" and "proxy" among them: tokenizers, ends of text, columns of logits.

        Raises InputError for a tokenizer whose bytes are not known, and for one that cannot write another's pieces.
        """
        maps: dict[tuple[int, int], TokenBytes] = {}
        of_role: dict[str, TokenBytes] = {}
        for role, tokenizer in tokenizers.items():
            key = id(tokenizer), widths[role]
            if key not in maps:
                maps[key] = TokenBytes(tokenizer, widths[role])
            of_role[role] = maps[key]
        written = {role: _written(of_role[role], ends[role]) for role in ("base", "proxy")}
        strings = dict.fromkeys(string for role in written for string in written[role])
        has_end = any(ends[role] for role in written)
        for role, of_one in of_role.items():
            missing = of_one.unwritable(strings)
            some = next((string for string in missing if _SELDOM.isdisjoint(string)), None)
            if some is not None:
                raise InputError(
                    f"ModelPair: the {role}'s tokenizer must be able to write every piece of the other model, got none "
                    f"of its tokens for {some!r}; take a model whose tokenizer has a token for every byte"
                )
            for string in missing:
                del strings[string]
        self.pieces: tuple[bytes | None, ...] = (*strings, *((None,) if has_end else ()))
        self.sides = {role: Side(self.pieces, of_role[role], ends[role]) for role in of_role}
        self._end_text = str(getattr(tokenizers["base"], "eos_token", None) or "")

    def __len__(self) -> int:
        return len(self.pieces)

    @classmethod
    def shared(cls, tokenizer: Any, ends: Sequence[int], n_ids: int) -> "Vocabulary":
        """That of models which share a tokenizer: pieces are its ids, None where one ends a text, b"" without a string.

        Raises InputError for a tokenizer whose bytes are not known.
        """
        strings = TokenBytes(tokenizer).strings
        vocabulary = cls.__new__(cls)
        vocabulary.pieces = tuple(
            None if i in ends else (strings[i] if i < len(strings) else None) or b"" for i in range(n_ids)
        )
        vocabulary.sides, vocabulary._end_text = {}, str(getattr(tokenizer, "eos_token", None) or "")
        return vocabulary

    @cached_property
    def index(self) -> dict[bytes | None, int]:
        """The index of each piece."""
        return {piece: i for i, piece in enumerate(self.pieces)}

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """The indices that end a text: one for two vocabularies, nothing where no model ends any."""
        return tuple(i for i, piece in enumerate(self.pieces) if piece is None)

    @property
    def all_special_ids(self) -> list[int]:
        """As a tokenizer's: the pieces that are no text."""
        return list(self.end_ids)

    @cached_property
    def word_edges(self) -> tuple[Tensor, Tensor]:
        """Which pieces go on with a word, and after which a word goes on: (U,) bool each.

        A word is letters, digits, underscores and marks; half a character is taken to go on.
        """
        edges = [_edges(piece or b"") for piece in self.pieces]
        goes_on, ends_inside = torch.tensor(edges, dtype=torch.bool).unbind(1)
        return goes_on, ends_inside

    def encode(self, text: str) -> list[int]:
        """The pieces that the base's tokenizer makes of a text that goes on from another: no start, no dummy blank."""
        of_base, string = self.sides["base"].bytes, text.encode()
        return self.pieces_of("base", of_base.whole(string) or of_base.encode(string))

    def pieces_of(self, role: str, ids: Iterable[int]) -> list[int]:
        """The pieces that ids of one model write, those left out that write none."""
        side = self.sides[role]
        known = [i for i in ids if i < len(side.bytes)]
        found = [None if i in side.ends else side.bytes.strings[i] or b"" for i in known]
        return [self.index[piece] for piece in found if piece in self.index]

    def spells(self, ids: Iterable[int]) -> bytes:
        """The bytes of these pieces, one after the other."""
        return b"".join(self.pieces[i] or b"" for i in ids)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False, **_: Any) -> str:
        """As a tokenizer's: the text of these pieces, with U+FFFD for what is no whole character."""
        end = b"" if skip_special_tokens else self._end_text.encode()
        pieces = (self.pieces[i] for i in ids)
        return b"".join(end if piece is None else piece for piece in pieces).decode("utf-8", "replace")

    def convert_ids_to_tokens(self, ids: Sequence[int] | int) -> list[str] | str:
        """As a tokenizer's: a name of each piece, or of the one that is given, in which a letter stands for a byte."""
        if isinstance(ids, int):
            piece = self.pieces[ids]
            return self._end_text if piece is None else piece.decode("latin-1")
        return [str(self.convert_ids_to_tokens(i)) for i in ids]

    def get_vocab(self) -> dict[str, int]:
        """As a tokenizer's: the index of each piece by its name."""
        return {name: i for i, name in enumerate(self.convert_ids_to_tokens(range(len(self))))}

    def share_read_otherwise(self, role: str, texts: Iterable[Sequence[int]]) -> float:
        """The share of pieces that a model reads in other tokens than its tokenizer makes of the whole text.

        role: which model. texts: pieces; one whose bytes are no whole characters does not count. 0 without any.
        """
        side, n_pieces, n_otherwise = self.sides[role], 0, 0
        for ids in texts:
            whole = side.bytes.whole(self.spells(ids))
            if whole is None:
                continue
            usual, at = set(side.bytes.placed(whole, 0)), 0
            for i in ids:
                piece = self.pieces[i]
                if piece is not None:
                    n_pieces += 1
                    n_otherwise += not usual.issuperset(side.bytes.placed(side.ids[i], at))
                    at += len(piece)
        return n_otherwise / n_pieces if n_pieces else 0.0


# Of each proxy what was made last of its tokenizers, and for what it was made.
_made: WeakKeyDictionary[Any, tuple[Any, Any]] = WeakKeyDictionary()


def kept_with(proxy: Any, tokenizers: Mapping[str, Any], more: Any, make: Callable[[], T]) -> T:
    """What `make` makes of a proxy's and a base's tokenizers: of large vocabularies that takes seconds.

    What was made last for a proxy is given again as long as the tokenizers, what they say of their special and added
    tokens, and `more` are the same. What is made must not hold the proxy, with which it goes.
    """
    made_for = [(role, one, repr(one)) for role, one in tokenizers.items()], more
    known = _made.get(proxy)
    if known is None or known[0] != made_for:
        known = _made[proxy] = made_for, make()
    made: T = known[1]
    return made


class Side:
    """One model's side of a vocabulary: its ids for each piece, and its logits as logits over pieces.

    bytes: of its ids. ends: its ids that end a text. ids: its own ids by index of a piece, as it reads them; made when
    they are asked for.
    """

    def __init__(self, pieces: tuple[bytes | None, ...], of_ids: TokenBytes, ends: Sequence[int]) -> None:
        self.bytes = of_ids
        self.ends = frozenset(ends)
        written = _written(of_ids, ends)
        self.ids = _Encodings(pieces, of_ids, written, ends)
        index = {piece: i for i, piece in enumerate(pieces)}
        self._end = index.get(None)
        groups = {index[string]: ids for string, ids in written.items() if string in index}
        if ends and None in index:
            groups[index[None]] = tuple(ends)
        self._columns = torch.zeros(len(pieces), dtype=torch.int64)  # of each piece's first id, after one of -inf
        self._columns[list(groups)] = 1 + torch.tensor([ids[0] for ids in groups.values()])
        # Pieces with several ids are few, and summed apart, filled up with their first id, which is then left out.
        several = {place: ids for place, ids in groups.items() if len(ids) > 1}
        longest = max(map(len, several.values()), default=1)
        self._summed_places = torch.tensor(list(several), dtype=torch.int64)
        self._summed_columns = torch.tensor([(*ids, *[ids[0]] * (longest - len(ids))) for ids in several.values()])
        self._is_filling = torch.tensor([[n >= len(ids) for n in range(longest)] for ids in several.values()])

    def read_as(self, pieces: Iterable[int]) -> list[int]:
        """The model's own ids of these pieces, one after the other."""
        return [i for piece in pieces for i in self.ids[piece]]

    def shown_as(self, pieces: Iterable[int]) -> list[int]:
        """As `read_as`, to be shown: the end of a text is left out where the model has none of its own."""
        return self.read_as(pieces if self.ends else (piece for piece in pieces if piece != self._end))

    def logits(self, logits: Tensor) -> Tensor:
        """Logits (..., V) of the model's ids -> (..., U) of pieces, up to a constant; -inf where it cannot write one.

        A piece with several ids has the sum of their probabilities. In float32 or wider.
        """
        dtype = torch.promote_types(logits.dtype, torch.float32)
        if self._columns.device != logits.device:
            for name, of_side in vars(self).items():
                if isinstance(of_side, Tensor):
                    setattr(self, name, of_side.to(logits.device))
        widened = logits.new_empty((*logits.shape[:-1], 1 + logits.shape[-1]), dtype=dtype)
        widened[..., 0] = -torch.inf
        widened[..., 1:] = logits
        # In three axes index_select is slow: it takes five times as long.
        of_pieces = widened.gather(-1, self._columns.expand(*logits.shape[:-1], -1))
        if len(self._summed_places):
            each = widened[..., 1 + self._summed_columns].masked_fill(self._is_filling, -torch.inf)
            of_pieces.index_copy_(-1, self._summed_places, each.logsumexp(-1))
        return of_pieces


class _Encodings:
    """The ids of each piece, kept once they are made."""

    def __init__(
        self,
        pieces: tuple[bytes | None, ...],
        of_ids: TokenBytes,
        written: Mapping[bytes, tuple[int, ...]],
        ends: Sequence[int],
    ) -> None:
        self._pieces, self._bytes = pieces, of_ids
        self._written = written  # an id that ends a text is no way to read one
        self._end = tuple(ends[:1]) or (0,)  # nothing is read after it, so that any id will do
        self._known: dict[int, tuple[int, ...]] = {}

    def __getitem__(self, piece: int) -> tuple[int, ...]:
        if piece not in self._known:
            string = self._pieces[piece]
            own = self._written.get(string or b"", ())[:1]
            self._known[piece] = own or (self._end if string is None else self._bytes.encode(string))
        return self._known[piece]


def _edges(piece: bytes) -> tuple[bool, bool]:
    """Whether a piece goes on with a word, and whether a word goes on after it."""
    text = piece.decode("utf-8", "replace")
    if not text:
        return False, False
    return _is_of_word(text[0]), _is_of_word(text[-1])


def _is_of_word(letter: str) -> bool:
    is_half = letter == "\ufffd"  # of a character
    return is_half or letter.isalnum() or letter == "_" or category(letter).startswith("M")


def _written(of_ids: TokenBytes, ends: Sequence[int]) -> dict[bytes, tuple[int, ...]]:
    """The strings that a model can write as one token, with those of their ids that end no text."""
    if not ends:
        return of_ids.ids
    kept = {string: tuple(i for i in ids if i not in ends) for string, ids in of_ids.ids.items()}
    return {string: ids for string, ids in kept.items() if ids}
