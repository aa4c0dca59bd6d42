"""What is done to a model's logits before anything reads them: bias, a minimum length, truncation, temperature."""

from dataclasses import dataclass

import torch
from torch import Tensor

from proxyalign.decoding.readers.contract import Both
from proxyalign.deferral.law import Law, tempered, widen
from proxyalign.deferral.rule import Rule


@dataclass(frozen=True)
class Shaping:
    """How laws are made of logits.

    temperature: of the law that tokens are drawn from; rule_temperature: of the one that rules read. bias: (V,), added
    to every model's logits, minus infinity where a token is forbidden; None for none. min_new_tokens: how many tokens
    come before one of `ends` may. truncations: of the base and of the proxy, each a sampler's rule, applied in turn to
    the tempered law (to the one at temperature 1 where that is 0), as transformers does; what they cut off has no
    probability for the rule either.
    """

    temperature: float
    rule_temperature: float
    bias: Tensor | None
    ends: tuple[int, ...]
    min_new_tokens: int
    truncations: dict[str, tuple[Rule, ...]]

    def law(self, role: str, logits: Tensor, n_before: Both) -> Law:
        """The law of logits (B, n, V) of the model in `role`, after `n_before` (B,) new tokens at the first place."""
        return Law.of(self.shaped(role, logits, n_before), self.temperature, self.rule_temperature)

    def shaped(self, role: str, logits: Tensor, n_before: Both) -> Tensor:
        """All but temperature: logits (B, n, V), minus infinity where a token may not come; as given where all may."""
        if self.bias is not None:
            logits = widen(logits) + self.bias
        if self.min_new_tokens and n_before.host.min(initial=self.min_new_tokens) < self.min_new_tokens:
            logits = self._without_ends(logits, n_before)
        for truncation in self.truncations.get(role, ()):
            cut = truncation.defer(tempered(logits, self.temperature or 1.0))
            logits = logits.masked_fill(cut, -torch.inf)
        return logits

    def _without_ends(self, logits: Tensor, n_before: Both) -> Tensor:
        places = n_before.device.unsqueeze(1) + torch.arange(logits.shape[1], device=logits.device)
        too_soon = places < self.min_new_tokens
        is_end = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        for end in self.ends:  # one by one: as a list they would be brought to the device
            is_end[end] = True
        return logits.masked_fill(too_soon.unsqueeze(-1) & is_end, -torch.inf)
