"""A model's next-token law at two temperatures: the one that rules read, and the one that tokens are drawn from."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

FLOAT32 = torch.finfo(torch.float32)


@dataclass(frozen=True)
class Law:
    """A model's next-token law at some positions, twice: rules read `own` (temperature 1), `drawn` is tempered.

    Both (..., V), float32, or float64 for float64 models. At temperature 0 `drawn` puts all mass on the first argmax.
    """

    own: Tensor
    drawn: Tensor
    temperature: float = 1.0

    @classmethod
    def of(cls, logits: Tensor, temperature: float, rule_temperature: float = 1.0) -> "Law":
        """logits (..., V) -> their law at both temperatures."""
        own = tempered(logits, rule_temperature)
        return cls(own, own if temperature == rule_temperature else tempered(logits, temperature), temperature)

    def rows(self, places: slice) -> "Law":
        """The law at some positions: a slice of the last axis but one."""
        return self.mapped(lambda law: law[..., places, :])

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Law":
        """The law with both of its tensors changed in this way; where they are one, they stay one."""
        own = change(self.own)
        return Law(own, own if self.drawn is self.own else change(self.drawn), self.temperature)


def widen(p: Tensor) -> Tensor:
    """Half precision as float32, the rest as it is."""
    return p if p.dtype in (torch.float32, torch.float64) else p.float()


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """logits (..., V) -> softmax(logits / temperature), float32 or wider; at 0 all mass on the first argmax.

    Rows whose largest logit is not finite are NaN at any temperature.
    """
    logits = widen(logits)
    if temperature == 1.0:
        return logits.softmax(-1)
    if temperature == 0.0:
        first = logits.argmax(-1, keepdim=True)
        return torch.zeros_like(logits).scatter_(-1, first, 1.0).add_(0.0 * logits.gather(-1, first))
    # Subtract the maximum first: a tiny temperature then gives 0 and -inf, not inf - inf.
    below = logits - logits.amax(-1, keepdim=True)
    if FLOAT32.tiny <= temperature <= FLOAT32.max:
        return (below / temperature).softmax(-1)
    # In float32 such a temperature is 0 or infinite, and its quotients of 0 or of infinity no numbers.
    return (below.double() / temperature).to(below.dtype).softmax(-1)
