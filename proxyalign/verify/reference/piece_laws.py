"""Statement 16 written down: how a model reads a piece, and its law over pieces, from its tokens and merges alone."""

import re
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from proxyalign.verify.cases import Floats
from proxyalign.verify.cases.clashing import BYTE_OF, Tokens

Piece = bytes | None
Indices = tuple[int, ...]


def all_pieces(*models: Tokens) -> set[Piece]:
    """What some model can write as one token and all can read; None, the end of a text, where some model has one."""
    ends: set[Piece] = {None} if any(tokens.ends for tokens in models) else set()
    strings: set[bytes] = set().union(*(tokens.strings.values() for tokens in models))
    return ends.union(string for string in strings if all(tokens.reads(string) for tokens in models))


class PieceLaws:
    """One model's side of the pieces.

    pieces: in the order of the laws (U,).
    """

    def __init__(self, tokens: Tokens, pieces: tuple[Piece, ...]) -> None:
        self._tokens = tokens
        self._pieces = pieces
        self._read: dict[int, Indices] = {}

    def context(self, prompt: Indices, prefix: Indices) -> Indices:
        """The ids that the model has before it: its prompt's, and its own for each of the pieces (indices)."""
        return (*prompt, *(i for piece in prefix for i in self.ids(piece)))

    def ids(self, piece: int) -> Indices:
        """The ids of a piece (an index): the token itself, else what the tokenizer makes of it, else byte tokens."""
        if piece not in self._read:
            string = self._pieces[piece]
            self._read[piece] = () if string is None else self._ids_of(string)
        return self._read[piece]

    def _ids_of(self, string: bytes) -> Indices:
        itself = [i for i, spelt in self._tokens.strings.items() if spelt == string]
        made = self.made_of(string)
        if itself:
            return made if made and len(made) == 1 and made[0] in itself else (min(itself),)
        return made or tuple(i for byte in string for i in self._of_byte(byte))

    def made_of(self, string: bytes) -> Indices | None:
        """What the tokenizer makes of the text in the midst of another; None for no text, or an id without a column."""
        try:
            text = string.decode()
        except UnicodeDecodeError:
            return None
        parts = re.split(f"({self._tokens.added})", text) if self._tokens.added else [text]
        made = tuple(i for part in parts for i in self._merged(part))
        return made if all(i < self._tokens.width for i in made) else None

    def _merged(self, text: str) -> list[int]:
        """The ids of a text: its letters, of which two neighbours are merged for as long as some can be."""
        tokens = self._tokens
        if text == tokens.added:
            return [tokens.ids[text]] if text else []
        if tokens.by_letter:
            letters = [_LETTERS[byte] for byte in text.encode()]
        else:
            signs = text.replace(" ", "▁")
            letters = [part for one in signs for part in ([one] if one in tokens.ids else _in_bytes(one))]
        rank = {pair: n for n, pair in enumerate(tokens.merges)}
        while True:
            pairs = enumerate(pairwise(letters))
            found = min(((rank[pair], at) for at, pair in pairs if pair in rank), default=None)
            if found is None:
                return [tokens.ids[letter] for letter in letters]
            at = found[1]
            letters[at : at + 2] = ["".join(letters[at : at + 2])]

    def _of_byte(self, byte: int) -> Indices:
        """The byte token; where letters stand for bytes, what the byte alone is read as."""
        if self._tokens.by_letter:
            return self._ids_of(bytes([byte])) if byte < 0x80 else (self._tokens.ids[_LETTERS[byte]],)
        return (self._tokens.ids[f"<0x{byte:02X}>"],)

    @cached_property
    def _groups(self) -> list[Tensor]:
        """The ids that spell each piece."""
        tokens = self._tokens
        spelling: dict[Piece, list[int]] = {None: list(tokens.end_ids)}
        for i, string in sorted(tokens.strings.items()):
            spelling.setdefault(string, []).append(i)
        return [torch.tensor(spelling.get(piece, []), dtype=torch.int64) for piece in self._pieces]

    def law(self, of_ids: Floats) -> Floats:
        """The law (U,) over pieces of a law (V,) over ids that need not sum to 1, as torch computes it from logits.

        In the engine's own operations, so that a threshold which a law meets to the last bit is met by both.
        """
        with np.errstate(divide="ignore"):
            logits = torch.from_numpy(np.log(of_ids))
        each = [logits[ids] for ids in self._groups]
        nothing = logits.new_tensor(-torch.inf)
        summed = [(of_piece[0] if len(of_piece) == 1 else of_piece.logsumexp(0)) if len(of_piece) else nothing
                  for of_piece in each]  # fmt: skip
        law: Floats = torch.stack(summed).softmax(-1).numpy()
        return law

    def sums(self, of_ids: Floats) -> Floats:
        """The same as sums of probabilities."""
        each = np.array([of_ids[ids.numpy()].sum() for ids in self._groups])
        law: Floats = each / each.sum()
        return law


_LETTERS = {byte: letter for letter, byte in BYTE_OF.items()}


def _in_bytes(character: str) -> list[str]:
    return [f"<0x{byte:02X}>" for byte in character.encode()]


def is_of_word(piece: Piece, at: int) -> bool:
    """Whether this byte of a piece, of those that cases have, is one of a word: a letter, or a part of one."""
    return piece is not None and piece[at] not in b" \n\1"
