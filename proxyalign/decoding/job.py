"""The sequences to decode, the settings that both ways of decoding share, and who is decoded when."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding.cache import BoolArray, IntArray, Reader
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.shaping import Shaping
from proxyalign.decoding.stopping import Stopping
from proxyalign.decoding.trace import Record
from proxyalign.decoding.window import Window
from proxyalign.deferral.rule import Rule
from proxyalign.models.pair import ModelPair

STATIC_ON = ("cuda",)  # kinds of device on which steps of one shape pay, since they are captured as graphs
WORTH_A_PASS = 8  # a batch is filled up when an eighth of it has ended: prompts read together cost less
_NOBODY: IntArray = np.arange(0)


@dataclass(frozen=True)
class Job:
    """Sequences to decode, at most `batch_size` at a time: those that wait take the places of those that have ended.

    base_prompts, proxy_prompts: token ids for each model, one list a sequence. keys: (seed, prompt index, sample
    index) of each sequence. shaping: of logits into laws. window: what chooses how many drafts a cycle makes, for
    speculative decoding. stop: strings that end a text. listener: told the index of a sequence and its new tokens, as
    they come.
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

    def texts(self, role: str, rows: IntArray) -> list[Sequence[int]]:
        """What a model reads first, of these sequences: the base its prompts, the proxy and the reference theirs."""
        prompts = self.base_prompts if role == "base" else self.proxy_prompts
        return [prompts[row] for row in rows]

    def reader(self, role: str) -> "Reads":
        """The model that has this role in the pair, and nothing to read yet."""
        if self.pair.device.type in STATIC_ON:
            from proxyalign.decoding import static  # here, since it is of no use elsewhere and slow to load

            model, prompts = getattr(self.pair, role), self.texts(role, np.arange(len(self.keys)))
            if static.supports(model):
                length = max(map(len, prompts)) + self.max_new_tokens + self.window.longest
                n_rows = min(self.batch_size, len(self.keys))
                return static.StaticReader(role, model, self.pair.vocab_size, self.pair.context_length, n_rows, length)
        return Reader.of(self.pair, role)

    def reference(self) -> "Reads | None":
        """The reference, None where the rule does not read it."""
        return self.reader("reference") if self.rule.reads("q0") else None

    def uniforms(self, per_step: int) -> Uniforms:
        """The streams of uniform numbers of the sequences to come, used `per_step` at a time."""
        return Uniforms([], per_step, self.pair.device)

    def record(self) -> Record:
        """An empty record of all sequences."""
        ends = np.zeros(self.pair.vocab_size, dtype=bool)
        ends[list(self.shaping.ends)] = True
        before = [ids[-1:] for ids in self.base_prompts]
        stopping = Stopping(ends, self.stop, self.pair.tokenizer, self.shaping.min_new_tokens, before)
        has_base_laws = self.distributions and self.rule.constant is not True
        return Record(len(self.keys), self.max_new_tokens, stopping, has_base_laws, self.listener)


class Texts(Protocol):
    """A model that takes in the prompts of sequences: a reader, or what holds one."""

    @property
    def name(self) -> str:
        """Its role in the pair."""
        ...

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows after those that are there."""
        ...


class Reads(Texts, Protocol):
    """One model's reading of a batch of texts; `cache.Reader` says what each of these does."""

    passes: Counter[int]

    def push(self, tokens: Tensor, valid: BoolArray | None = None) -> None:
        """Add tokens (B, n) to be read before the next logits; where `valid` (B, n) is False the row has no token."""
        ...

    def read(self, n_last: int = 1) -> Tensor:
        """Read what was pushed; logits (B, n, V) after each of the last `n_last` slots, or of all that were pushed."""
        ...

    def forget(self, n_tokens: IntArray) -> None:
        """Take back the last `n_tokens` (B,) slots that were read, a number for each row."""
        ...

    def keep(self, rows: IntArray) -> None:
        """Go on with these rows (n,) of the batch alone."""
        ...


class Waiting:
    """The sequences whose turn has not come, in order."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._next = 0

    def admit(self, record: Record, uniforms: Uniforms, models: Sequence[Texts]) -> IntArray:
        """Let sequences join the batch (n,): as many as there is room for, once that is worth a pass over prompts."""
        job, n_active, n_left = self._job, len(record.active), len(self._job.keys) - self._next
        free = min(job.batch_size - n_active, n_left)
        if not free or (n_active and free < min(n_left, job.batch_size // WORTH_A_PASS)):
            return _NOBODY
        rows = np.arange(self._next, self._next + free)
        self._next += free
        for model in models:
            model.join(job.texts(model.name, rows))
        uniforms.join([job.keys[row] for row in rows.tolist()])
        record.join(rows)
        return rows


def joined(state: Tensor | None, fresh: Tensor | None) -> Tensor | None:
    """The states of a batch (B,) and of those who join it (n,), one after the other; None for a rule without one."""
    return fresh if state is None or fresh is None else torch.cat([state, fresh])
