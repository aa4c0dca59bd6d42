"""The sequences to decode, the settings that both ways of decoding share, and who is decoded when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding.cache import IntArray, Reader
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.shaping import Shaping
from proxyalign.decoding.stopping import Stopping
from proxyalign.decoding.trace import Record
from proxyalign.decoding.window import Window
from proxyalign.deferral.rule import Rule
from proxyalign.models.pair import ModelPair

WORTH_A_PASS = 8  # a batch is filled up when an eighth of it has ended: prompts read together cost less


@dataclass(frozen=True)
class Job:
    """Sequences to decode, at most `batch_size` at a time: those that wait take the places of those that have ended.

    base_prompts, proxy_prompts: token ids for each model, one list a sequence. keys: (seed, prompt index, sample
    index) of each sequence. shaping: of logits into laws. window: what chooses how many drafts a cycle makes, for
    speculative decoding.
    stop: strings that end a text. listener: told the index of a sequence and its new tokens, as they come.
    """

    pair: ModelPair
    rule: Rule
    base_prompts: Sequence[Sequence[int]]
    proxy_prompts: Sequence[Sequence[int]]
    keys: Sequence[tuple[int, int, int]]
    max_new_tokens: int
    shaping: Shaping
    window: Window
    batch_size: int
    distributions: bool
    stop: Sequence[str] = ()
    listener: Callable[[int, npt.NDArray[np.int64]], None] | None = None

    def start(self, rows: IntArray) -> Tensor | None:
        """The rule's state of these sequences before their first token."""
        return self.rule.start(len(rows), self.pair.device)

    def base_texts(self, rows: IntArray) -> list[Sequence[int]]:
        """What the base reads first, of these sequences."""
        return [self.base_prompts[row] for row in rows]

    def proxy_texts(self, rows: IntArray) -> list[Sequence[int]]:
        """What the proxy and the reference read first, of these sequences."""
        return [self.proxy_prompts[row] for row in rows]

    def base_reader(self, rows: IntArray) -> Reader:
        """The base, with these sequences' prompts waiting to be read."""
        return self._reader("base", self.base_texts(rows))

    def proxy_reader(self, rows: IntArray) -> Reader:
        """The proxy, with these sequences' prompts waiting to be read."""
        return self._reader("proxy", self.proxy_texts(rows))

    def reference_reader(self, rows: IntArray) -> Reader | None:
        """The reference, with the proxy's prompts waiting to be read; None where the rule does not read it."""
        return self._reader("reference", self.proxy_texts(rows)) if "q0" in self.rule.needs.split() else None

    def _reader(self, role: str, prompts: Sequence[Sequence[int]]) -> Reader:
        reader = Reader(role, getattr(self.pair, role), self.pair.vocab_size, self.pair.context_length)
        reader.push_texts(prompts)
        return reader

    def uniforms(self, rows: IntArray, per_step: int) -> Uniforms:
        """A stream of uniform numbers for each of these sequences, used `per_step` at a time."""
        return Uniforms([self.keys[row] for row in rows], per_step, self.pair.device)

    def record(self) -> Record:
        """An empty record of all sequences."""
        ends = np.zeros(self.pair.vocab_size, dtype=bool)
        ends[list(self.shaping.ends)] = True
        stopping = Stopping(ends, self.stop, self.pair.tokenizer)
        has_base_laws = self.distributions and self.rule.constant is not True
        return Record(len(self.keys), self.max_new_tokens, stopping, has_base_laws, self.listener)


class Waiting:
    """The sequences whose turn has not come, in order."""

    def __init__(self, job: Job) -> None:
        self._n, self._size, self._next = len(job.keys), job.batch_size, 0

    def take(self, n_active: int) -> IntArray:
        """Who joins `n_active` others (n,): as many as there is room for, once that is worth a pass over prompts."""
        free = min(self._size - n_active, self._n - self._next)
        if n_active and free < min(self._n - self._next, self._size // WORTH_A_PASS):
            free = 0
        self._next += free
        return np.arange(self._next - free, self._next)


def joined(state: Tensor | None, fresh: Tensor | None) -> Tensor | None:
    """The states of a batch (B,) and of those who join it (n,), one after the other; None for a rule without one."""
    return None if state is None or fresh is None else torch.cat([state, fresh])
