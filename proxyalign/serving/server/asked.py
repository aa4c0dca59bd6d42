"""One sequence that a client waits for: what it is decoded from, and what it has come to so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Reason = Literal["stop", "length"]


@dataclass(frozen=True)
class Shape:
    """The settings that all sequences of a batch have in common.

    temperature: of the draws. top_p: truncates both models' laws, None for nothing. bias: pairs of a token id and nats.
    window: drafts a cycle, or "auto"; of autoregressive decoding 1.
    """

    temperature: float = 1.0
    top_p: float | None = None
    bias: tuple[tuple[int, float], ...] = ()
    window: int | Literal["auto"] = 1


@dataclass(frozen=True)
class Told:
    """News of a sequence: tokens, the reason that it has ended for, or the error that it has ended with."""

    ids: list[int]
    reason: Reason | None = None
    error: Exception | None = None

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return self.reason is not None or self.error is not None


@dataclass(eq=False)
class Asked:
    """A sequence to decode.

    prompt, proxy_prompt: token ids for each model. key: (seed, prompt index, sample index), on which all that is drawn
    depends. tell: called with news from the engine's thread. is_alone: it may share no batch, since one that it was in
    has failed. ids: the tokens that were told.
    """

    prompt: Sequence[int]
    proxy_prompt: Sequence[int]
    key: tuple[int, int, int]
    max_new_tokens: int
    stop: tuple[str, ...]
    shape: Shape
    tell: Callable[[Told], None]
    is_alone: bool = False
    is_cancelled: bool = False
    ids: list[int] = field(default_factory=list)
    _n_heard: int = 0  # since it was last begun

    def begin(self) -> None:
        """It is decoded from its beginning: for the first time, or once more after an error."""
        self._n_heard = 0

    def hear(self, tokens: list[int], reason: Reason | None) -> None:
        """Take new tokens from the decoder, and tell those that were not told before."""
        known = self.ids[self._n_heard : self._n_heard + len(tokens)]
        self._n_heard += len(tokens)
        if known != tokens[: len(known)]:
            self.fail(RuntimeError("other tokens came when the answer was begun again"))
        elif len(tokens) > len(known) or reason is not None:
            self.ids += tokens[len(known) :]
            self._say(Told(tokens[len(known) :], reason))

    def fail(self, error: Exception) -> None:
        """Tell that it has ended with an error."""
        self.is_cancelled = True
        self._say(Told([], error=error))

    def _say(self, news: Told) -> None:
        try:
            self.tell(news)
        except RuntimeError:  # who would hear it has gone, and its event loop too
            self.is_cancelled = True
