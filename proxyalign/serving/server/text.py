"""Text as a client sees it: told piece by piece while tokens come, and the strings and bytes of single tokens."""

import codecs
from collections.abc import Sequence

from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair

_HALF = "\N{REPLACEMENT CHARACTER}"  # what decoding shows in place of bytes that are no whole character (yet)
_CLEANED = 4  # characters at the end in which a tokenizer may still drop spaces, as in " n't" (transformers)


class Growing:
    """The text of an answer as its tokens come: what may be told of it, never to be taken back.

    Kept back at the end are half characters, what may begin a stop string, and spaces that the tokenizer may yet clean
    away. Together the pieces are `shown` of all tokens.
    """

    def __init__(self, pair: ModelPair, stop: Sequence[str]) -> None:
        self._pair, self._stop = pair, stop
        self._cleans = bool(getattr(pair.spelling, "clean_up_tokenization_spaces", False))
        self._told = ""

    def piece(self, ids: Sequence[int], is_last: bool) -> str:
        """What is new now that these are all tokens so far. is_last: no more come."""
        text = shown(self._pair, ids, self._stop)
        if not is_last:
            text = text.rstrip(_HALF)
            text = text[: len(text) - max((_n_begun(text, stop) for stop in self._stop), default=0)]
            if self._cleans:
                text = text[:-_CLEANED]
        if not text.startswith(self._told):  # shorter than before, or another beginning, which cannot be taken back
            return ""
        piece = text[len(self._told) :]
        self._told = text
        return piece


def shown(pair: ModelPair, ids: Sequence[int], stop: Sequence[str]) -> str:
    """The text of an answer, without special tokens, cut before the first stop string in it."""
    text = str(pair.spelling.decode(list(ids), skip_special_tokens=True))
    return text[: min((at for one in stop if (at := text.find(one)) >= 0), default=len(text))]


def _n_begun(text: str, stop: str) -> int:
    """How many characters at the end of the text begin the stop string."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


class Tokens:
    """What single tokens spell."""

    def __init__(self, pair: ModelPair) -> None:
        self._pair = pair
        try:
            self._pieces: Sequence[bytes | None] = pair.vocabulary.pieces
        except InputError:  # a tokenizer whose bytes are not known
            self._pieces = ()

    def bytes_of(self, token: int) -> bytes | None:
        """The bytes that a token adds to the text; None where it is no text, or they are not known."""
        return (self._pieces[token] or None) if self._pieces else None

    def name(self, token: int) -> str:
        """The token as text; where it is no whole characters, its bytes as OpenAI's servers write them."""
        spelt = self.bytes_of(token)
        if spelt is None:
            return str(self._pair.spelling.decode([token]))
        try:
            return spelt.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelt)

    def offsets(self, ids: Sequence[int], start: int) -> list[int]:
        """How many characters of text come before each token, `start` before the first."""
        decoder, at, offsets = codecs.getincrementaldecoder("utf-8")("replace"), start, []
        special = set(self._pair.spelling.all_special_ids)
        for token in ids:
            offsets.append(at)
            spelt = self.bytes_of(token)
            if spelt is not None:
                at += len(decoder.decode(spelt))
            elif token not in special:
                at += len(self.name(token))
        return offsets
