"""Decoding written down from its definition, a sequence and a number at a time, to hold the engine to."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from proxyalign.decoding.sampling import Uniforms
from proxyalign.verify.cases import Floats
from proxyalign.verify.cases.table_models import Prefix

Deferred = NDArray[np.bool_]


@dataclass
class Written:
    """One sequence: its tokens, whether its next draft is owed, and what was counted."""

    tokens: list[int] = field(default_factory=list)
    is_owed: bool = False
    has_ended: bool = False
    n_cycles: int = 0
    n_tested: int = 0
    n_accepted: int = 0


@dataclass(frozen=True)
class Speculation:
    """What is decoded: laws (V,) after each prefix, and the settings.

    first: the law that is tested for, and of which `deferred` goes to the proxy; proxy: the law of drafts. has_bonus:
    whether the rule decides without the proxy. A text ends with one of `ends` or with `limit` tokens.
    """

    first: Callable[[Prefix], Floats]
    deferred: Callable[[Prefix], Deferred]
    proxy: Callable[[Prefix], Floats]
    has_bonus: bool
    window: int
    limit: int
    ends: tuple[int, ...]

    def write(self, keys: list[tuple[int, int, int]]) -> list[Written]:
        """The sequences that these keys seed, decoded side by side: a window is as long as the longest one needs."""
        texts = [Written() for _ in keys]
        streams = [Uniforms([], 2 * self.window + 1, torch.device("cpu")) for _ in keys]
        for stream, key in zip(streams, keys, strict=True):
            stream.join([key])
        while any(not text.has_ended for text in texts):
            n_drafts = min(self.window, max(self.limit - len(text.tokens) for text in texts if not text.has_ended))
            for text, stream in zip(texts, streams, strict=True):
                if not text.has_ended:
                    self._cycle(text, n_drafts, stream.take()[0].tolist())
        return texts

    def write_step_by_step(self, keys: list[tuple[int, int, int]]) -> list[Written]:
        """The same without drafts: a token is drawn from `first`, and anew from the proxy where it is deferred."""
        texts = [Written() for _ in keys]
        for text, key in zip(texts, keys, strict=True):
            stream = Uniforms([], 2, torch.device("cpu"))
            stream.join([key])
            while not text.has_ended:
                u, prefix = stream.take()[0].tolist(), tuple(text.tokens)
                token = drawn(self.first(prefix), u[0])
                self._emit(text, drawn(self.proxy(prefix), u[1]) if self.deferred(prefix)[token] else token)
        return texts

    def _cycle(self, text: Written, n_drafts: int, u: list[float]) -> None:
        drafts: list[int] = []
        for i in range(n_drafts):
            drafts.append(drawn(self.proxy((*text.tokens, *drafts)), u[2 * i]))
        text.n_cycles += 1
        owed, text.is_owed = text.is_owed, False
        for i, draft in enumerate(drafts):
            if owed and i == 0:
                self._emit(text, draft)
                continue
            pi, q = self._cascade(tuple(text.tokens)), self.proxy(tuple(text.tokens))
            if text.has_ended:
                return
            text.n_tested += 1
            if not u[2 * i + 1] * q[draft] < pi[draft]:
                excess = np.maximum(0.0, pi - q)
                self._emit(text, drawn(excess if excess.sum() > 0.0 else pi, u[-1]))
                return
            text.n_accepted += 1
            self._emit(text, draft)
        if text.has_ended or not self.has_bonus:
            return
        token = drawn(self.first(tuple(text.tokens)), u[-1])
        if self.deferred(tuple(text.tokens))[token]:
            text.is_owed = True
        else:
            self._emit(text, token)

    def _cascade(self, prefix: Prefix) -> Floats:
        first, deferred = self.first(prefix), self.deferred(prefix)
        pi: Floats = np.where(deferred, 0.0, first) + first[deferred].sum() * self.proxy(prefix)
        return pi

    def _emit(self, text: Written, token: int) -> None:
        if not text.has_ended:
            text.tokens.append(token)
            text.has_ended = token in self.ends or len(text.tokens) == self.limit


def drawn(weights: Floats, u: float) -> int:
    """The token at which the cumulated weights are first above u of their sum."""
    sums = np.cumsum(weights)
    return int(np.flatnonzero(sums > u * sums[-1])[0])
