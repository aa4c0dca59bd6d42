"""The cascade of a served base: the server writes ahead, and the first token that is deferred is the proxy's.

A rule that reads nothing but the probability of the token that the base drew, and the largest one of its place, needs
no more of the base's law than that: the server draws a chunk of tokens from p, those before the first deferred one are
kept, that one is drawn anew from q, and the server goes on from there. Each token has the law of the cascade, since
what it decides is what was drawn for it, and what the server wrote after it is dropped unseen.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from proxyalign.decoding.trace import BASE, PROXY, SOURCES, Trace
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.serving.answers import Seen, read
from proxyalign.serving.base import ServerError
from proxyalign.serving.chunks import chunk_length
from proxyalign.serving.client import Client, Patience, Setback
from proxyalign.serving.halves import draw_half
from proxyalign.serving.pieces import Pieces, Request
from proxyalign.serving.probe import Server
from proxyalign.serving.proxy import Readings, seed_of_request, uniform

_MOST_ATTEMPTS = 100  # at one position, at which the server writes what is no piece


def check_rule(owner: str, rule: Any) -> None:
    """Raise InputError for what is no rule, and for one that asks more of the base than its server tells."""
    if not isinstance(rule, Rule):
        raise InputError(f"{owner}: rule must be a rule, got {rule!r}; pass one such as rules.Dual(alpha=0.4)")
    is_threshold = rule.threshold(torch.ones(1)) is not None
    if rule.needs != "p" or rule.start(1, torch.device("cpu")) is not None or not is_threshold:
        raise InputError(
            f"{owner}: with a served base the rule must decide by the probability of the token drawn and the largest "
            f"one, got {rule}; take one such as dual, nudging or min-p, or load the base here"
        )


@dataclass(frozen=True)
class Terms:
    """What all texts of a run have in common. stop: strings that end a text, as bytes."""

    rule: Rule
    pieces: Pieces
    max_new_tokens: int
    temperature: float
    stop: tuple[bytes, ...]


@dataclass
class Text:
    """One text as it grows. key: seed, prompt and sample; prompt: what the server reads first.

    pieces, source, p_y, was_thrown: of each piece, who wrote it (an index of `SOURCES`), its probability, NaN where the
    proxy wrote it, and whether the base's token was thrown away for it.
    """

    key: tuple[int, int, int]
    prompt: Request
    readings: Readings
    pieces: list[int] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    p_y: list[float] = field(default_factory=list)
    was_thrown: list[bool] = field(default_factory=list)
    has_ended: bool = False

    def trace(self, tokenizer: Any) -> Trace:
        """What it has come to; the deferral mass is 1 where the base's token was thrown away, whose mean is D."""
        return Trace(
            token_ids=np.array(self.pieces, dtype=np.int64),
            source=np.array(SOURCES)[np.array(self.source, dtype=np.int64)],
            p_y=np.array(self.p_y),
            deferral_mass=np.array(self.was_thrown, dtype=np.float64),
            tokenizer=tokenizer,
        )

    def resume(self, trace: Trace, pieces: Pieces, *, has_ended: bool) -> None:
        """Go on from a trace."""
        self.pieces, self.p_y = pieces.of_trace(trace), trace.p_y.tolist()
        self.source = [SOURCES.index(name) for name in trace.source]
        self.was_thrown = [mass > 0 for mass in trace.deferral_mass.tolist()]
        self.has_ended = has_ended


class Writer:
    """Writes one text after another with a server and the proxy. slot: its number among those that write at once."""

    def __init__(self, client: Client, server: Server, terms: Terms, slot: int) -> None:
        self.n_seen = 0  # tokens of the server
        self._client, self._server, self._terms, self._slot = client, server, terms, slot

    def write(self, text: Text) -> None:
        """Write a text to its end. Raises ServerError where the server stays away, with what is written kept."""
        patience = Patience(self._client)
        attempt = 0
        while not text.has_ended:
            request = self._terms.pieces.request(text.prompt, text.pieces)
            if request is None or self._terms.rule.constant is True:
                self._hand_over(text, thrown=self._terms.rule.constant is True)
                continue
            n_before = len(text.pieces)
            try:
                self._let_write(text, request, attempt, patience)
            except Setback as setback:
                patience.wait(setback)
                continue
            attempt = 0 if len(text.pieces) > n_before else attempt + 1
            if attempt == _MOST_ATTEMPTS:
                raise ServerError(
                    f"ServedBase: {self._client.base.root} must write text, got none in {attempt} attempts after new "
                    f"token {n_before}; check that the prompt leaves it room"
                )

    def _let_write(self, text: Text, request: Request, attempt: int, patience: Patience) -> None:
        """Take what the server writes ahead, up to a token that is deferred, and let the proxy write that."""
        seed, prompt, sample = text.key
        n_drawn = len(text.pieces)
        stops = self._server.dialect.stops_when_left
        n_tokens = chunk_length(sum(text.was_thrown), n_drawn, stops_when_left=stops)
        n_tokens = min(n_tokens, self._terms.max_new_tokens - n_drawn)
        body = self._server.dialect.request(
            request,
            n_tokens=n_tokens,
            temperature=self._terms.temperature,
            n_top=1,
            seed=seed_of_request(seed, prompt, sample, n_drawn, attempt),
            slot=self._slot,
        )
        last: Seen | None = None
        with self._client.stream(body) as choices:
            halves = self._server.dialect.keeps_halves_back
            for seen in read(choices, self._terms.pieces.strings, keeps_halves_back=halves):
                patience.reset()
                self.n_seen += 1
                last = seen
                if seen.is_joined or not self._is_kept(text, seen):
                    break
                n_tokens -= 1
                if text.has_ended or not n_tokens:
                    break
        # The server has been left by now, so that it writes no further.
        if last is not None and last.is_joined:
            last = self._half(text, attempt)
            self._is_kept(text, last)
        if last is not None and self._is_deferred(last) and self._terms.pieces.piece_of(last) is not None:
            self._hand_over(text, thrown=True)

    def _is_kept(self, text: Text, seen: Seen) -> bool:
        """Add a token of the server's to the text, where it is kept; whether the server may go on from it."""
        piece = self._terms.pieces.piece_of(seen)
        if piece is None or self._is_deferred(seen):
            return False
        self._add(text, piece, BASE, float(np.prod(seen.p_y)), thrown=False)
        text.has_ended = text.has_ended or seen.is_end
        return self._terms.pieces.goes_on(piece, seen)

    def _half(self, text: Text, attempt: int) -> Seen:
        """A token that the server has kept back, drawn from the law of its place."""
        pieces, (seed, *place) = self._terms.pieces, text.key
        request, strings = pieces.request(text.prompt, text.pieces), pieces.strings
        assert isinstance(request, list)  # only tokens with ids are known to be joined
        assert strings is not None
        number = uniform(seed, *place, len(text.pieces), attempt, 0)
        dialect, temperature = self._server.dialect, self._terms.temperature
        return draw_half(self._client, dialect, request, strings, temperature, self._slot, number)

    def _is_deferred(self, seen: Seen) -> bool:
        """Whether the rule throws this token away, or any of those that are shown as one."""
        p_y, p_max = torch.tensor([seen.p_y, seen.p_max], dtype=torch.float32)
        threshold = self._terms.rule.threshold(p_max)
        return threshold is not None and bool((p_y < threshold).any())

    def _hand_over(self, text: Text, *, thrown: bool) -> None:
        """Let the proxy write the next piece."""
        seed, prompt, sample = text.key
        piece = text.readings.write(text.pieces, uniform(seed, prompt, sample, len(text.pieces)))
        self._add(text, piece, PROXY, float("nan"), thrown=thrown)

    def _add(self, text: Text, piece: int, source: int, p_y: float, *, thrown: bool) -> None:
        """Put a piece at the end of the text, and see whether that ends it."""
        text.pieces.append(piece)
        text.source.append(source)
        text.p_y.append(p_y)
        text.was_thrown.append(thrown)
        terms = self._terms
        is_full = len(text.pieces) >= terms.max_new_tokens
        text.has_ended = is_full or terms.pieces.is_end(piece) or self._meets_stop(text.pieces)

    def _meets_stop(self, pieces: Sequence[int]) -> bool:
        """Whether the last piece completes a string that ends the text."""
        if not self._terms.stop:
            return False
        last = len(self._terms.pieces.spells(pieces[-1:]))
        n_back = max(map(len, self._terms.stop))
        tail = self._terms.pieces.spells(pieces[-(n_back + 1) :])  # each piece but ends spells a byte at least
        return any(tail.find(one, max(0, len(tail) - last - len(one) + 1)) >= 0 for one in self._terms.stop)


class Slots:
    """Numbers for those who write at once, each held by one at a time."""

    def __init__(self, n: int) -> None:
        self._free = list(range(n))
        self._lock = threading.Lock()

    def take(self) -> int:
        """A number that is free; as many may ask at once as there are."""
        with self._lock:
            return self._free.pop()

    def give_back(self, slot: int) -> None:
        """Free a number."""
        with self._lock:
            self._free.append(slot)
