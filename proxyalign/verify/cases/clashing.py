"""Pairs of tokenizers drawn so as to clash, and laws of models over them: the cases of statement 16.

A tokenizer is written down as a list of tokens and merges, from which the library's own object is made. It is byte-
level BPE, or BPE over characters with byte tokens for those that it lacks; few characters suffice for all that can go
wrong.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator

from proxyalign.verify.cases.generated import LAWS, RATES, Floats, law

# Letters of GPT-2's alphabet of bytes; the last is one that no text holds, and that some tokenizers lack.
BYTE_OF = {"a": 0x61, "b": 0x62, "Ġ": 0x20, "Ã": 0xC3, "©": 0xA9, "Ċ": 0x0A, "ā": 0x01}
CHARACTERS = "abé▁"  # of the other kind, with its sign for a blank; it writes a new line in bytes alone
START, FILLER, FIRST_END, SECOND_END = "<s>", "<|of no use|>", "</s>", "<turn>"
SPECIAL = frozenset({START, FILLER, FIRST_END, SECOND_END})
RUNS = ("dual", "hybrid", "nudging", "words")  # rules under which the engine decodes
ADDED = ("", "", " ", "é ")  # none of which is written in letters of that alphabet, as which they would be shown
ONE_IN = 16  # cases of which a run is made, since it costs ten times as much as all else
ROWS = 6
ALPHAS = (0.0, 0.25, 0.5, 1.0)  # met by laws of whole shares
RECORDED = "recorded, some tokens"


@dataclass(frozen=True)
class Tokens:
    """A tokenizer and the ends of its model, written down.

    by_letter: whether letters stand for bytes. ids: of each token, special ones too. merges: by falling rank. added: a
    text that is a token before anything is merged, "" for none. ends: special tokens that end a text, the tokenizer's
    own before that of the model's settings. starts: whether a start token is put before a text. has_blank: whether a
    blank is. width: columns of the model's logits, now and then one fewer than there are ids.
    """

    by_letter: bool
    ids: dict[str, int]
    merges: tuple[tuple[str, str], ...]
    added: str
    ends: tuple[str, ...]
    starts: bool
    has_blank: bool
    width: int

    @cached_property
    def strings(self) -> dict[int, bytes]:
        """What each id spells, without those that spell nothing or that the model does not know."""
        return {i: self.spelt(token) for token, i in self.ids.items() if token not in SPECIAL and i < self.width}

    def spelt(self, token: str) -> bytes:
        """The bytes of a token that is not special."""
        if token == self.added:
            return token.encode()
        if self.by_letter:
            return bytes(BYTE_OF[letter] for letter in token)
        return bytes([int(token[3:5], 16)]) if token.startswith("<0x") else token.replace("▁", " ").encode()

    def reads(self, string: bytes) -> bool:
        """Whether the model has a token for each of these bytes."""
        return all(bytes([byte]) in self.strings.values() for byte in string)

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """The ids that end a text."""
        return tuple(self.ids[end] for end in self.ends)

    def tokenizer(self) -> Any:
        """The object that transformers makes of it."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        backend = Tokenizer(models.BPE(self.ids, list(self.merges), byte_fallback=not self.by_letter))
        if self.by_letter:
            backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=self.has_blank, use_regex=False)
            backend.decoder = decoders.ByteLevel()
        else:
            signs = [normalizers.Prepend("▁")] if self.has_blank else []
            backend.normalizer = normalizers.Sequence([*signs, normalizers.Replace(" ", "▁")])
            cut = [decoders.Strip(" ", 1, 0)] if self.has_blank else []
            parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *cut]
            backend.decoder = decoders.Sequence(parts)
        if self.starts:
            template = [(START, self.ids[START])]
            backend.post_processor = processors.TemplateProcessing(f"{START} $A", special_tokens=template)
        if self.added:
            backend.add_tokens([AddedToken(self.added, normalized=False)])
        special = {"bos_token": START, "additional_special_tokens": [FILLER, *self.ends[1:]]}
        own_end = {"eos_token": self.ends[0]} if self.ends else {}
        return PreTrainedTokenizerFast(tokenizer_object=backend, **special, **own_end)


@dataclass(frozen=True, eq=False)
class Clash:
    """Laws of base and proxy over ids of their own, p (rows, V), q (rows, V'), and the parameters that a rule takes.

    tokenizers: the number that they are drawn with. run: the rule of a run, "" for none. window: drafts a cycle. start,
    rate: lambda_1 and eta of the hybrid rule.
    """

    kind: str
    tokenizers: int
    p: Floats
    q: Floats
    alpha: float
    budget: float
    window: int
    start: float
    rate: float
    run: str

    def arrays(self) -> dict[str, Any]:
        """What `numpy.savez` keeps: `base` is p, of which `p` is the first row, for `proxyalign solve --probs`."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**kept, "p": self.p[0] / self.p[0].sum(), "base": self.p}


def tokens_of(number: int) -> tuple[Tokens, Tokens]:
    """The base's tokenizer and the proxy's, of either kind each; now and then one with its ids in two orders."""
    rng = np.random.default_rng(number)
    if is_permuted(number):
        base = _ordered(_drawn(rng, by_letter=True, added=""))
        spelling = list(base.strings)
        turned = dict(zip(spelling, np.roll(spelling, rng.integers(1, len(spelling))).tolist(), strict=True))
        return base, replace(base, ids={token: turned.get(i, i) for token, i in base.ids.items()})
    base, proxy = (_drawn(rng, by_letter=bool(rng.integers(2)), added=ADDED[rng.integers(len(ADDED))]) for _ in "pq")
    return base, proxy


def is_permuted(number: int) -> bool:
    """Whether the two tokenizers of this number are one, with its ids in two orders."""
    return number % 8 == 0


def _drawn(rng: Generator, by_letter: bool, added: str) -> Tokens:
    """A tokenizer of this kind: which merges, which ids, which tokens beside, how many ends."""
    letters = list(BYTE_OF)[: len(BYTE_OF) - int(rng.integers(2))]
    if by_letter:
        parts = [letter for letter in letters if letter not in "Ċā"]  # after a new line every text begins anew
        others = [*letters[len(parts) :], *([added] if added else [])]
    else:
        parts = [one for one in CHARACTERS if one == "▁" or rng.random() < 0.8]
        others = [f"<0x{BYTE_OF[letter]:02X}>" for letter in letters]
        others += [" "] if rng.random() < 0.3 else []  # a token that no text is made into, beside "▁" and a byte token
        added = ""
    merges = []
    for _ in range(rng.integers(1, 6)):
        pair = parts[rng.integers(len(parts))], parts[rng.integers(len(parts))]
        if len("".join(pair)) <= 3 and "".join(pair) not in parts:
            merges.append(pair)
            parts.append("".join(pair))
    ends = (FIRST_END, SECOND_END)[: rng.integers(3)]
    names = [START, FILLER, *parts, *others, *ends]
    places = rng.permutation(len(names) + rng.integers(3))[: len(names)].tolist()
    is_merged = names[places.index(max(places))] in map("".join, merges)
    beyond = -1 if is_merged and rng.integers(2) else int(rng.integers(3))
    return Tokens(
        by_letter=by_letter,
        ids=dict(zip(names, places, strict=True)),
        merges=tuple(merges),
        added=added,
        ends=ends,
        starts=bool(rng.integers(2)),
        has_blank=not added and bool(rng.integers(2)),  # else each part of a text would have one
        width=max(places) + 1 + beyond,
    )


def _ordered(tokens: Tokens) -> Tokens:
    """The same with ids in the order of pieces: strings, then an end, which it has, between two that spell nothing."""
    names = [START, *(token for token in tokens.ids if token not in SPECIAL), FIRST_END, FILLER]
    ids = {token: i for i, token in enumerate(names)}
    return replace(tokens, ids=ids, ends=(FIRST_END,), width=len(names))


def clash(rng: Generator) -> Clash:
    """A case with everything drawn."""
    number = int(rng.integers(2**32))
    kinds = [LAWS[kind] for kind in rng.integers(len(LAWS), size=2 * ROWS)]
    run = RUNS[rng.integers(len(RUNS))] if rng.integers(ONE_IN) == 0 else ""
    base, proxy = tokens_of(number)
    p, q = (
        np.stack([_spread(law(rng, one.width, kind), one, number) for kind in of_model])
        for one, of_model in ((base, kinds[:ROWS]), (proxy, kinds[ROWS:]))
    )
    return clash_of(rng, number, p, q, run or "laws", run)


def recorded_clash(rng: Generator, rows: Floats) -> Clash:
    """A case of some tokens of recorded laws (n, V), with everything else drawn."""
    number = int(rng.integers(2**32))
    base, proxy = tokens_of(number)
    some = rows[rng.permutation(len(rows))]
    p, q = (
        np.stack([_spread(_some_of(rng, one, tokens.width), tokens, number) for one in of_model])
        for tokens, of_model in ((base, some[::2]), (proxy, some[1::2]))
    )
    return clash_of(rng, number, p, q, RECORDED, RUNS[rng.integers(len(RUNS))])


def clash_of(rng: Generator, number: int, p: Floats, q: Floats, kind: str, run: str) -> Clash:
    """A case on these laws, with the rules' parameters drawn."""
    return Clash(
        kind=kind,
        tokenizers=number,
        p=p,
        q=q,
        alpha=ALPHAS[rng.integers(len(ALPHAS))] if rng.random() < 0.3 else float(rng.random() ** 2),
        budget=float(rng.random()),
        window=(1, 2, 4)[rng.integers(3)],
        start=float(rng.exponential(2.0)),
        rate=RATES[rng.integers(len(RATES))],
        run=run,
    )


def _some_of(rng: Generator, one: Floats, size: int) -> Floats:
    """The likeliest of a law's tokens, in any order, with zeros up to this many."""
    likely = np.sort(one)[::-1][:size]
    return rng.permutation(np.pad(likely, (0, size - likely.size)))


def _spread(one: Floats, tokens: Tokens, number: int) -> Floats:
    """The law (V,) with some mass on what the model can write; where ids are in two orders, with nothing elsewhere."""
    writes = np.zeros(one.size, dtype=bool)
    writes[[*(i for i, string in tokens.strings.items() if string != b"\1"), *tokens.end_ids]] = True
    spread: Floats = one if one[writes].sum() > 1e-3 else np.where(writes, 1.0, one)
    return np.where(writes, spread, 0.0) if is_permuted(number) else spread
