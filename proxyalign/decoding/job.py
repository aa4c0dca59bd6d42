"""One batch to decode and the settings that both ways of decoding share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from proxyalign.decoding.cache import Reader
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.trace import Record
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import Rule
from proxyalign.models.pair import ModelPair


@dataclass(frozen=True)
class Job:
    """Sequences that are decoded together.

    base_prompts, proxy_prompts: token ids for each model, one list a sequence. keys: (seed, prompt index, sample
    index) of each sequence. window: drafts a cycle, read by speculative decoding alone. rule_temperature: of the laws
    that the rule reads.
    """

    pair: ModelPair
    rule: Rule
    base_prompts: Sequence[Sequence[int]]
    proxy_prompts: Sequence[Sequence[int]]
    keys: Sequence[tuple[int, int, int]]
    max_new_tokens: int
    temperature: float
    rule_temperature: float
    window: int
    distributions: bool

    def law(self, logits: Tensor) -> Law:
        """A model's law, as the rule reads it and as tokens are drawn from it."""
        return Law.of(logits, self.temperature, self.rule_temperature)

    def start(self) -> Tensor | None:
        """The rule's state of every sequence before its first token."""
        return self.rule.start(len(self.keys), self.pair.device)

    def base_reader(self) -> Reader:
        """The base, with every sequence's prompt waiting to be read."""
        return self._reader("base", self.base_prompts)

    def proxy_reader(self) -> Reader:
        """The proxy, with every sequence's prompt waiting to be read."""
        return self._reader("proxy", self.proxy_prompts)

    def reference_reader(self) -> Reader | None:
        """The reference, with the proxy's prompts waiting to be read; None where the rule does not read it."""
        return self._reader("reference", self.proxy_prompts) if "q0" in self.rule.needs.split() else None

    def _reader(self, role: str, prompts: Sequence[Sequence[int]]) -> Reader:
        reader = Reader(role, getattr(self.pair, role), self.pair.vocab_size, self.pair.context_length)
        reader.push_texts(prompts)
        return reader

    def uniforms(self, per_step: int) -> Uniforms:
        """A stream of uniform numbers for every sequence, used `per_step` at a time."""
        return Uniforms(self.keys, per_step, self.pair.device)

    def record(self) -> Record:
        """An empty record of the batch."""
        ends = np.zeros(self.pair.vocab_size, dtype=bool)
        ends[list(self.pair.eos_token_ids)] = True
        has_base_laws = self.distributions and self.rule.constant is not True
        return Record(len(self.keys), self.max_new_tokens, ends, has_base_laws)
