"""What each id of a tokenizer spells, as bytes, and how its model reads bytes that come in the middle of a text."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice, pairwise
from typing import Any

from proxyalign.errors import InputError

_ANCHORS = ("\n", "a", "0", ".", " ", "~")  # texts after which others are encoded, as if in the middle of one
_OWN_ANCHORS = 8  # further ones, of its own letters, for a tokenizer that lacks these
_SAMPLE = (
    "The cat's 27 hats (blue)\n\n\tcost $3.50 -- isn't that odd?",
    "def f(x):\n    return x ** 2  # <b>é</b>",
    "Grüße, naïve café; Ελληνικά, русский, 中文字, 日本語, हिन्दी, 👩‍🚀!",
    "Ġhello ▁world <0x41> <|im_end|> </s> ##ing",
    "hello world",
)
_OF_VOCABULARY = 64  # pieces of its own that a tokenizer is tried on
_CUT_AT_BLANKS = {"Whitespace", "WhitespaceSplit", "BertPreTokenizer"}
_BYTE_TOKEN = {f"<0x{byte:02X}>": byte for byte in range(256)}


class TokenBytes:
    """The byte map of a tokenizer of the library `tokenizers`, as fast tokenizers of transformers are.

    strings: what each id spells, in the order of ids; None for special tokens, for ids without a token and for tokens
    that spell nothing. Known are byte-level BPE, SentencePiece's BPE and Unigram with their sign for a blank and their
    byte tokens, WordPiece, and words between blanks. A blank that a tokenizer puts before a text is no part of the map.
    width: how many ids the model knows, of which a tokenizer may have more; those spell nothing. None for all.
    """

    def __init__(self, tokenizer: Any, width: int | None = None) -> None:
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            raise InputError(
                f"ModelPair: a pair of two vocabularies must have fast tokenizers, got {type(tokenizer).__name__}; "
                "load them with AutoTokenizer from a folder with tokenizer.json"
            )
        self._tokenizer = tokenizer
        self._kind = _Kind(tokenizer.backend_tokenizer)
        self._width = width
        wrong: tuple[str, bytes] | None = None
        for spelling in self._kind.spellings():
            self.strings = self._spelt(spelling)
            wrong = next(self._misspelt(), None)
            if wrong is None:
                break
        if wrong is not None:
            raise InputError(
                f"ModelPair: the bytes of a tokenizer's ids must join to the text that they encode, got {wrong[1]!r} "
                f"for {wrong[0]!r} from {type(tokenizer).__name__}; take a tokenizer of another kind"
            )

    def __len__(self) -> int:
        return len(self.strings)

    @cached_property
    def ids(self) -> dict[bytes, tuple[int, ...]]:
        """The ids of each string; first the one with which the model reads it, then the others as they come.

        The first is the one that the tokenizer itself makes of the string, where it makes one, else a token before a
        byte token, else the lowest.
        """
        found: dict[bytes, list[int]] = defaultdict(list)
        for i, string in enumerate(self.strings):
            if string is not None:
                found[string].append(i)
        for string, ids in found.items():
            if len(ids) > 1:
                own = self.whole(string)
                ids.sort(key=lambda i: (own != (i,), i in self._byte_tokens, i))
        return {string: tuple(ids) for string, ids in found.items()}

    def encode(self, string: bytes) -> tuple[int, ...]:
        """The ids with which the model reads these bytes in the middle of a text: no start token, no dummy blank.

        The token itself where there is one; else what the tokenizer makes of the text; else byte tokens; else, for a
        tokenizer that lacks some of these, the fewest tokens that spell it. Raises InputError where none do.
        """
        if string in self.ids:
            return self.ids[string][:1]
        own = self.whole(string)
        if own is not None:
            return own
        of_bytes = [self._byte_ids.get(byte) for byte in string]
        if all(i is not None for i in of_bytes):
            return tuple(i for i in of_bytes if i is not None)
        fewest = self._fewest(string)
        if fewest is None:
            raise InputError(f"ModelPair: a tokenizer must be able to write {string!r}, got one that is not")
        return fewest

    def whole(self, string: bytes) -> tuple[int, ...] | None:
        """The ids that the tokenizer makes of these bytes in the middle of a text; None where they spell others."""
        try:
            text = string.decode("utf-8")
        except UnicodeDecodeError:
            return None
        for before in ("", *_ANCHORS, *self._own_anchors):
            first, ids = self._ids(before) if before else [], self._ids(before + text)
            rest = ids[len(first) :]
            if ids[: len(first)] == first and all(self.strings[i] for i in rest) and self.join(rest) == string:
                return tuple(rest)
        return None

    def placed(self, ids: Iterable[int], at: int) -> Iterator[tuple[int, int]]:
        """Each id with the place of its first byte, where the first one's is `at`."""
        for i in ids:
            yield at, i
            at += len(self.strings[i] or b"")

    def unwritable(self, strings: Iterable[bytes]) -> list[bytes]:
        """Those of these strings that no ids spell."""
        lacking = set(range(256)) - self._byte_ids.keys()
        doubtful = (string for string in strings if not lacking.isdisjoint(string) and string not in self.ids)
        return [string for string in doubtful if self._fewest(string) is None]

    def join(self, ids: Iterable[int]) -> bytes:
        """The bytes of these ids, those without a string left out."""
        return b"".join(self.strings[i] or b"" for i in ids)

    @cached_property
    def _byte_tokens(self) -> frozenset[int]:
        """The ids of byte tokens such as <0x0A>, where the tokenizer falls back to these."""
        if not self._kind.falls_back:
            return frozenset()
        vocabulary = self._tokenizer.get_vocab()
        return frozenset(vocabulary[name] for name in _BYTE_TOKEN if name in vocabulary)

    @cached_property
    def _byte_ids(self) -> dict[int, int]:
        """The id of each byte that has one: a byte token, or the letter of a byte-level alphabet."""
        if self._byte_tokens:
            return {string[0]: i for i in self._byte_tokens if (string := self.strings[i])}
        return {string[0]: ids[0] for string, ids in self.ids.items() if len(string) == 1}

    def _spelt(self, spelling: "_Spelling") -> tuple[bytes | None, ...]:
        """What the ids spell, if tokens are spelt in this way."""
        vocabulary = self._tokenizer.get_vocab()
        strings: list[bytes | None] = [None] * (max(vocabulary.values(), default=-1) + 1)
        for token, i in vocabulary.items():
            strings[i] = spelling(token)
        for i, added in self._tokenizer.added_tokens_decoder.items():
            strings[i] = None if added.special else added.content.encode()
        for i in self._tokenizer.all_special_ids:
            strings[i] = None
        if self._kind.unknown in vocabulary:
            strings[vocabulary[self._kind.unknown]] = None
        known = strings[: self._width]
        return (*(string or None for string in known), *[None] * (len(strings) - len(known)))

    def _misspelt(self) -> Iterator[tuple[str, bytes]]:
        """Texts of a sample whose ids do not spell them, with what they spell; texts with unknown tokens do not count.

        Where the tokenizer does not give a text back, for it lowers letters or drops blanks, what it gives back counts.
        """
        for text in (*_SAMPLE, *self._own_texts()):
            ids = self._ids(text)
            if not ids or any(i >= len(self.strings) or self.strings[i] is None for i in ids):
                continue
            joined = self.join(ids)
            shown = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            spelt = joined.decode("utf-8", "replace")
            is_shown = spelt == shown if self._kind.has_decoder else spelt.replace(" ", "") == shown.replace(" ", "")
            if not is_shown and not {spelt, spelt.removeprefix(" ")} & {text, shown}:
                yield text, joined

    def _own_texts(self) -> Iterator[str]:
        """Texts of the tokenizer's own pieces, spread over its vocabulary, where they are whole characters."""
        known = [string for string in self.strings if string]
        some = known[:: max(1, len(known) // _OF_VOCABULARY)]
        for first, second in pairwise(some):
            text = (first + second).decode("utf-8", "replace")
            if "\ufffd" not in text:
                yield text

    def _ids(self, text: str) -> list[int]:
        """The ids of a text; none where the tokenizer has none for a part of it and refuses."""
        try:
            encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        except Exception as error:
            if type(error) is not Exception:  # which is what the library raises for a word that it does not know
                raise
            return []
        return list(encoded["input_ids"])

    @cached_property
    def _own_anchors(self) -> tuple[str, ...]:
        """The first letters that are tokens, at the beginning of a word or in it."""
        texts = ((string or b"").decode("utf-8", "replace").strip() for string in self.strings)
        letters = dict.fromkeys(text for text in texts if len(text) == 1 and text != "\ufffd")
        return tuple(letter for letter in islice(letters, _OWN_ANCHORS + len(_ANCHORS)) if letter not in _ANCHORS)

    def _fewest(self, string: bytes) -> tuple[int, ...] | None:
        """The fewest ids that spell these bytes, the longest ones first among as many; None where none do."""
        best: list[tuple[int, ...] | None] = [None] * len(string) + [()]
        for at in reversed(range(len(string))):
            for end in range(min(len(string), at + self._longest), at, -1):
                rest = best[end]
                if rest is not None and string[at:end] in self.ids:
                    shortest = best[at]
                    if shortest is None or len(rest) + 1 < len(shortest):
                        best[at] = (self.ids[string[at:end]][0], *rest)
        return best[0]

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.ids), default=0)


def same_vocabulary(one: Any, other: Any) -> bool:
    """Whether two tokenizers give every id the same token, and spell tokens alike."""
    if one is other:
        return True
    if one.get_vocab() != other.get_vocab():
        return False
    backends = [getattr(tokenizer, "backend_tokenizer", None) for tokenizer in (one, other)]
    if None in backends:
        return True
    of_one, of_other = ([vars(way) for way in _Kind(backend).spellings()] for backend in backends)
    return of_one == of_other


class _Spelling:
    """How tokens are spelt: by letters that stand for bytes, with a sign for a blank, or as words between blanks.

    blank: the sign for a blank, "" for none. between: what comes before a token that does not begin with `inside`.
    """

    def __init__(self, *, by_letter: bool = False, blank: str = "", between: str = "", inside: str = "", end: str = ""):
        self._by_letter, self._blank, self._between, self._inside, self._end = by_letter, blank, between, inside, end
        self.falls_back = False

    def __call__(self, token: str) -> bytes:
        if self.falls_back and token in _BYTE_TOKEN:
            return bytes([_BYTE_TOKEN[token]])
        if self._by_letter:
            letters = [_LETTERS.get(letter) for letter in token]
            return token.encode() if None in letters else bytes(letter for letter in letters if letter is not None)
        if self._inside and token.startswith(self._inside):
            return token[len(self._inside) :].encode()
        if self._end:
            return (token[: -len(self._end)] + " " if token.endswith(self._end) else token).encode()
        return (self._between + (token.replace(self._blank, " ") if self._blank else token)).encode()


class _Kind:
    """What a tokenizer's parts say of how it spells."""

    def __init__(self, backend: Any) -> None:
        self._model = backend.model
        parts = [
            part
            for one in (backend.decoder, backend.normalizer, backend.pre_tokenizer)
            for part in _parts(one)
        ]  # fmt: skip
        self._types = {part["type"] for part in parts}
        self.has_decoder = backend.decoder is not None
        self._blanks: list[str] = [part["replacement"] for part in parts if part["type"] == "Metaspace"]
        for part in parts:
            if part["type"] == "Replace" and "String" in part["pattern"]:
                shown, sign = sorted((part["pattern"]["String"], part["content"]), key=lambda one: one != " ")
                self._blanks += [sign] if shown == " " else []
        self.falls_back = "ByteFallback" in self._types or bool(getattr(self._model, "byte_fallback", False))

    @cached_property
    def unknown(self) -> str | None:
        """The token for what cannot be written, which spells nothing whether it is said to be special or not.

        In a list of whole words it may be one of these, and is left to the special ones.
        """
        kind = type(self._model).__name__
        if kind == "Unigram":
            place = json.loads(self._model.__getstate__())["unk_id"]
            return None if place is None else str(self._model.id_to_token(place))
        return None if kind == "WordLevel" else getattr(self._model, "unk_token", None)

    def spellings(self) -> Iterator[_Spelling]:
        """The ways in which tokens may be spelt, the likeliest first."""
        for spelling in self._ways():
            spelling.falls_back = self.falls_back
            yield spelling

    def _ways(self) -> Sequence[_Spelling]:
        kind = type(self._model).__name__
        if "ByteLevel" in self._types:
            return [_Spelling(by_letter=True)]
        if kind == "WordPiece":
            return [_Spelling(between=" ", inside=self._model.continuing_subword_prefix or "##")]
        end = getattr(self._model, "end_of_word_suffix", None)
        if end:
            return [_Spelling(end=end)]
        if self._blanks:
            return [_Spelling(blank=self._blanks[0])]
        inside = getattr(self._model, "continuing_subword_prefix", None) or ""
        words, plain = _Spelling(between=" ", inside=inside), _Spelling()
        # Without a decoder tokens are shown between blanks, which tells nothing; what a text is cut at does.
        return [plain, words] if self.has_decoder or not self._types & _CUT_AT_BLANKS else [words, plain]


def _parts(one: Any) -> Iterator[dict[str, Any]]:
    """The settings of a part of a tokenizer and of the parts that it is made of."""
    if one is None:
        return
    waiting = [json.loads(one.__getstate__())]
    while waiting:
        settings = waiting.pop()
        if isinstance(settings, dict):
            if "type" in settings:
                yield settings
            waiting += list(settings.values())
        elif isinstance(settings, list):
            waiting += settings


def _letters() -> dict[str, int]:
    """The letter of each byte in byte-level BPE (GPT-2): itself where it can be shown, else the next from 256 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    return {chr(byte): byte for byte in shown} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


_LETTERS = _letters()
