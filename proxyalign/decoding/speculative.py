"""A window of drafts a cycle: the proxy drafts, the base verifies all of them in one pass, and the law stays the same.

Words: a draft is a token drawn from the proxy. It is *tested* against pi, and *accepted*, or replaced by a token from
the *residual* (statement 10). After a window accepted whole comes the *bonus* (statement 11): y is drawn from the
base's last row and emitted, unless it is deferred; then the next window's first draft is *owed*: emitted untested.
"""

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from proxyalign.decoding.backends.reference import DraftedWindow
from proxyalign.decoding.cycle import Cycle
from proxyalign.decoding.job import Job
from proxyalign.decoding.queue import Waiting, joined
from proxyalign.decoding.readers.contract import BoolArray, IntArray, Reads
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.trace import Counts, Record
from proxyalign.deferral.law import Law


def decode(job: Job, record: Record) -> Counts:
    """Decode all sequences into the record: draft, verify, test, emit, and roll back what was rejected."""
    waiting = Waiting(job)
    base, proxy, reference = Verifier(job.reader("base")), job.reader("proxy"), job.reference()
    verifiers = [base] if reference is None else [base, Verifier(reference)]
    # A cycle draws and tests each draft, and draws the token after them.
    uniforms, state = job.uniforms(2 * job.window.longest + 1), None
    owed = np.zeros(0, dtype=bool)
    while True:
        rows = waiting.admit(record, uniforms, [*verifiers, proxy])
        if not len(record.active):
            break
        if len(rows):
            state = joined(state, job.start(rows))
            owed = np.concatenate([owed, np.zeros(len(rows), dtype=bool)])
        u, n_before, began = uniforms.take(), record.n_emitted, time.perf_counter()  # (B, 2 longest + 1), (B,)
        n_drafts, sequences = min(job.window.next(), int(record.remaining.max())), record.active
        drafts, q = _draft(job, proxy, n_drafts, u, n_before)
        logits = {verifier.name: verifier.read(drafts) for verifier in verifiers}
        window = DraftedWindow(logits, q, state, drafts, owed, u, n_before)
        cycle, states, laws = job.backend.verify(job.rule, job.shaping, window, with_laws=job.distributions)
        n_emitted, goes_on = record.emit(cycle.n_new, cycle.tokens, cycle.source, cycle.p_y, cycle.mass, laws)
        tested, accepted = cycle.drafts(owed, n_emitted)
        record.count(sequences, tested, accepted)
        job.window.observe(n_drafts, int(tested.sum()), int(accepted.sum()), time.perf_counter() - began)
        if states is not None:
            state = states[torch.arange(len(states)), torch.from_numpy(n_emitted)]
        if not goes_on.all():
            left = goes_on.nonzero()[0]
            parts: list[Verifier | Reads | Uniforms | Cycle] = [*verifiers, proxy, uniforms, cycle]
            for part in parts:
                part.keep(left)
            drafts, state = drafts[left], None if state is None else state[left]
        if len(record.active):
            for verifier in verifiers:
                verifier.roll_back(drafts, cycle)
            _roll_back(proxy, drafts, cycle)
        owed = cycle.is_owed
    return Counts(base_passes=dict(base.reader.passes), proxy_passes=dict(proxy.passes))


def _draft(job: Job, proxy: Reads, n_drafts: int, u: Tensor, n_before: IntArray) -> tuple[Tensor, list[Law]]:
    """Draw `n_drafts` tokens from the proxy, each after the last: ids (B, g), and the laws (B, 1, V) that drew them.

    The last one is not read: only a window accepted whole makes that necessary.
    """
    drafts: list[Tensor] = []
    laws: list[Law] = []
    for i in range(n_drafts):
        if i > 0:
            proxy.push(drafts[-1])
        laws.append(job.shaping.law("proxy", proxy.read(), n_before + i))
        drafts.append(job.backend.draw(laws[-1].drawn, u[:, 2 * i : 2 * i + 1]))
    return torch.cat(drafts, dim=1), laws


class Verifier:
    """A model that reads whole windows of drafts, and remembers its last logits where a window was accepted whole."""

    def __init__(self, reader: Reads) -> None:
        self.reader = reader
        self._known: Tensor | None = None  # (B, 1, V) logits after all that is emitted, where it has read all that
        self._is_known: BoolArray = np.zeros(0, dtype=bool)  # (B,) where that is

    @property
    def name(self) -> str:
        """Its role in the pair."""
        return self.reader.name

    def read(self, drafts: Tensor) -> Tensor:
        """The logits (B, g + 1, V) at the place of each draft and after the last one, in one forward pass."""
        self.reader.push(drafts)
        logits = self.reader.read(drafts.shape[1] + 1)
        if self._known is not None and self._is_known.any():
            if self._is_known.all():  # nothing but the drafts was read: the first one's place was known
                logits = torch.cat([self._known, logits], dim=1)
            else:
                rows = self._is_known.nonzero()[0]
                logits[rows, 0] = self._known[rows, 0]
        self._known = logits[:, -1:]
        return logits

    def roll_back(self, drafts: Tensor, cycle: Cycle) -> None:
        """Forget the drafts after the accepted ones, and push the token after those, where there is one."""
        n_drafts = drafts.shape[1]
        self.reader.forget(n_drafts - cycle.n_passed)
        self.reader.push(torch.from_numpy(cycle.final[:, None]).to(drafts.device), ~cycle.is_open[:, None])
        self._is_known = cycle.is_open

    def keep(self, rows: IntArray) -> None:
        """Go on with these rows (n,) of the batch alone."""
        self.reader.keep(rows)
        if self._known is not None:
            self._known = self._known[rows]

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows, one list of ids each."""
        self.reader.join(texts)
        if self._known is not None:
            n = len(texts)
            self._is_known = np.concatenate([self._is_known[: len(self._known)], np.zeros(n, dtype=bool)])
            self._known = torch.cat([self._known, self._known.new_zeros(n, *self._known.shape[1:])])


def _roll_back(proxy: Reads, drafts: Tensor, cycle: Cycle) -> None:
    """Make the proxy forget the drafts after the accepted ones, and push the tokens that it has yet to read.

    It has not read the last draft, so it rewinds one less than the base, and reads that draft where the window was
    accepted whole. An open row has no token after its window.
    """
    n_drafts = drafts.shape[1]
    proxy.forget(np.maximum(n_drafts - 1 - cycle.n_passed, 0))
    last = np.where(cycle.is_open, cycle.tokens[:, n_drafts - 1], cycle.final)
    proxy.push(drafts[:, -1:], ~(cycle.rejected | cycle.is_open)[:, None])
    proxy.push(torch.from_numpy(last[:, None]).to(drafts.device))
