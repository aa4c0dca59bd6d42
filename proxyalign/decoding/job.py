"""One batch to decode and the settings that both ways of decoding share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proxyalign.decoding.cache import Reader
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.trace import Record
from proxyalign.deferral.rules import Rule, Truncated
from proxyalign.models.pair import ModelPair


@dataclass(frozen=True)
class Job:
    """Sequences that are decoded together.

    base_prompts, proxy_prompts: token ids for each model, one list a sequence. keys: (seed, prompt index, sample
    index) of each sequence. window: drafts a cycle, read by speculative decoding alone.
    """

    pair: ModelPair
    rule: Rule
    base_prompts: Sequence[Sequence[int]]
    proxy_prompts: Sequence[Sequence[int]]
    keys: Sequence[tuple[int, int, int]]
    max_new_tokens: int
    temperature: float
    window: int
    distributions: bool

    @property
    def asks_proxy(self) -> bool:
        """Whether some token of the emitted law may come from the proxy."""
        return not isinstance(self.rule, Truncated) and self.rule.constant is not False

    def base_reader(self) -> Reader:
        """The base, with every sequence's prompt waiting to be read."""
        return self._reader("base", self.base_prompts)

    def proxy_reader(self) -> Reader:
        """The proxy, with every sequence's prompt waiting to be read."""
        return self._reader("proxy", self.proxy_prompts)

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
