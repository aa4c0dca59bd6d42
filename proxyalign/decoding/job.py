"""The sequences to decode and the settings that both ways of decoding share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.readers.contract import BoolArray, IntArray, Reads
from proxyalign.decoding.room import Room
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.shaping import Shaping
from proxyalign.decoding.stopping import Stopping
from proxyalign.decoding.trace import Counts, Record
from proxyalign.decoding.window import Window
from proxyalign.deferral.rule import Rule
from proxyalign.deferral.verifiers import Verifier
from proxyalign.models.pair import ModelPair

R = TypeVar("R", bound=Record)


class Source(Protocol):
    """Where the sequences of a job come from while others are decoded."""

    def due(self) -> int:
        """How many could join the batch now; asked before each step."""
        ...

    def take(self, n: int) -> IntArray:
        """Let n of them begin: the rows (n,) of the job that are theirs from now on, until they have ended."""
        ...


@dataclass(frozen=True)
class Job:
    """Sequences to decode, at most `batch_size` at a time: those that wait take the places of those that have ended.

    backend: of the pair's device. base_prompts, proxy_prompts: token ids for each model, one list a sequence. keys:
    (seed, prompt index, sample index) of each sequence. shaping: of logits into laws. window: what chooses how many
    drafts a cycle makes, for speculative decoding. stop: strings that end each sequence's text. wants_law: whether the
    base's law is kept, for a prompt's index and the position of a new token; None for nowhere. listener: told the index
    of a sequence and its new tokens, as they come. source: where it is given, prompts, keys and stop are those of
    `batch_size` rows, which it fills again and again; max_new_tokens then has room for their prompts too. verifier:
    where drafts are not tested against pi itself.
    """

    pair: ModelPair
    backend: Backend
    rule: Rule
    base_prompts: Sequence[Sequence[int]]
    proxy_prompts: Sequence[Sequence[int]]
    keys: Sequence[tuple[int, int, int]]
    max_new_tokens: int
    shaping: Shaping
    window: Window
    batch_size: int
    stop: Sequence[Sequence[str]]
    wants_law: Callable[[int, int], bool] | None = None
    listener: Callable[[int, npt.NDArray[np.int64]], None] | None = None
    source: Source | None = None
    verifier: Verifier | None = None

    def start(self, rows: IntArray) -> Tensor | None:
        """The rule's state of these sequences before their first token."""
        return self.rule.start(len(rows), self.pair.device)

    def texts(self, role: str, rows: IntArray) -> list[Sequence[int]]:
        """What a model reads first, of these sequences: the base its prompts, the proxy and the reference theirs."""
        prompts = self._prompts_of(role)
        return [prompts[row] for row in rows]

    @contextmanager
    def readers(self, widths: Mapping[str, Sequence[int]]) -> Iterator[dict[str, Reads]]:
        """The models of these roles, with nothing read yet, until the batch has ended.

        widths: how many positions the passes of each mostly have, in rising order. The reference is there if the rule
        reads it.
        """
        n_rows = min(self.batch_size, len(self.keys))
        with ExitStack() as stack:
            readers = {}
            for role, of_role in widths.items():
                if role == "reference" and not self.rule.reads("q0"):
                    continue
                length = max(map(len, self._prompts_of(role))) + self.max_new_tokens + self.window.longest
                readers[role] = stack.enter_context(self.backend.reader(self.pair, role, n_rows, length, of_role))
            yield readers

    def uniforms(self, per_step: int) -> Uniforms:
        """The streams of uniform numbers of the sequences to come, used `per_step` at a time."""
        return Uniforms([], per_step, self.pair.device)

    def wanted(self, record: Record, n: int) -> BoolArray | None:
        """At which of the next n places (B, n) of the active sequences the base's law is kept; None for nowhere."""
        wants = self.wants_law
        if wants is None:
            return None
        indices, n_before = [self.keys[row][1] for row in record.active.tolist()], record.n_emitted.tolist()
        places = zip(indices, n_before, strict=True)
        wanted = np.array([[wants(index, first + place) for place in range(n)] for index, first in places], dtype=bool)
        return wanted if wanted.any() else None

    def record(self) -> Record:
        """An empty record of all sequences."""
        return self.record_as(Record)

    def record_as(self, kind: type[R]) -> R:
        """As `record`, of a class that is more than a record."""
        ends = np.zeros(self.pair.vocab_size, dtype=bool)
        ends[list(self.shaping.ends)] = True
        prompts = None if self.pair.has_two_vocabularies else self.base_prompts  # pieces spell the same anywhere
        stopping = Stopping(ends, self.stop, self.pair.spelling, self.shaping.min_new_tokens, prompts)
        has_base_laws = self.wants_law is not None and self.rule.constant is not True
        room = Room(self.pair, self._prompts()) if self.pair.has_two_vocabularies else None
        return kind(len(self.keys), self.max_new_tokens, stopping, has_base_laws, self.listener, room)

    def _prompts(self) -> dict[str, Sequence[Sequence[int]]]:
        """What the models that this job asks read first."""
        rule = self.rule
        asked = {"base": rule.constant is not True, "proxy": rule.asks_proxy, "reference": rule.reads("q0")}
        return {role: self._prompts_of(role) for role, is_asked in asked.items() if is_asked}

    def _prompts_of(self, role: str) -> Sequence[Sequence[int]]:
        return self.base_prompts if role == "base" else self.proxy_prompts


def counts(readers: Mapping[str, Reads]) -> Counts:
    """The passes of the base and the proxy, where these are among the readers."""
    passes = {role: dict(reader.passes) for role, reader in readers.items()}
    seconds = sum(reader.seconds_capturing for reader in readers.values())
    return Counts(base_passes=passes.get("base", {}), proxy_passes=passes.get("proxy", {}), seconds_capturing=seconds)
