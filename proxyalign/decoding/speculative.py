"""A window of drafts a cycle: the proxy drafts, the base verifies all of them in one pass, and the law stays the same.

Words: a draft is a token drawn from the proxy. It is *tested* against pi, and *accepted*, or replaced by a token from
the *residual* (statement 10). After a window accepted whole comes the *bonus* (statement 11): y is drawn from the
base's last row and emitted, unless it is deferred; then the next window's first draft is *owed*: emitted untested.
"""

import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from proxyalign.decoding.backends.reference import DraftedWindow
from proxyalign.decoding.job import Job, counts
from proxyalign.decoding.queue import Waiting, joined
from proxyalign.decoding.readers.contract import Both, Reads
from proxyalign.decoding.sampling import Uniforms
from proxyalign.decoding.trace import Counts, Record
from proxyalign.deferral.law import Law


def decode(job: Job, record: Record) -> Counts:
    """Decode all sequences into the record: draft, verify, test, emit, and roll back what was rejected.

    On a device a cycle waits once, for what its window came to, and tells it what follows from that at once.
    """
    verifying = tuple(n + 1 for n in job.window.sizes)
    # The proxy reads its last token, and before it, where a window was accepted whole, the last draft.
    with job.readers({"base": verifying, "reference": verifying, "proxy": (1, 2)}) as readers:
        return _decode(job, record, readers)


def _decode(job: Job, record: Record, readers: Mapping[str, Reads]) -> Counts:
    waiting, device = Waiting(job), job.pair.device
    proxy = readers["proxy"]
    verifiers = [Verifier(reader) for role, reader in readers.items() if role != "proxy"]
    # A cycle draws and tests each draft, and draws the token after them.
    uniforms, state = job.uniforms(2 * job.window.longest + 1), None
    owed, n_before = Both.zeros(0, torch.bool, device), Both.zeros(0, torch.int64, device)
    while True:
        rows = waiting.admit(record, uniforms, [*verifiers, proxy])
        if not len(record.active):
            break
        if len(rows):
            state = joined(state, job.start(rows))
            owed = owed.beside(Both.zeros(len(rows), torch.bool, device))
            n_before = n_before.beside(Both.zeros(len(rows), torch.int64, device))
        u, began = uniforms.take(), _clock(readers)  # (B, 2 longest + 1)
        n_drafts, sequences = min(job.window.next(), int(record.remaining.max())), record.active
        drafts, q = _draft(job, proxy, n_drafts, u, n_before)
        logits = {verifier.name: verifier.read(drafts) for verifier in verifiers}
        window = DraftedWindow(logits, q, state, drafts, owed, u, n_before)
        wanted = job.wanted(record, n_drafts + 1)
        cycle, states, laws = job.backend.verify(job.rule, job.shaping, window, wanted=wanted, verifier=job.verifier)
        written = (cycle.n_new, cycle.tokens, cycle.source, cycle.p_y, cycle.mass)
        n_emitted, goes_on = record.emit(*written, wanted, laws)
        tested, accepted = cycle.drafts(owed.host, n_emitted)
        record.count(sequences, tested, accepted)
        if cycle.distance.shape[1]:
            record.measure(sequences, n_emitted, cycle.distance)
        job.window.observe(n_drafts, int(tested.sum()), int(accepted.sum()), _clock(readers) - began)
        stay = goes_on.nonzero()[0]
        cycle.keep(stay)
        left, n_new, n_passed, final, is_open, rejected, owed, n_before = job.backend.send(
            device, stay, n_emitted[stay], cycle.n_passed, cycle.final, cycle.is_open, cycle.rejected, cycle.is_owed,
            record.n_emitted,
        )  # fmt: skip
        if not goes_on.all():
            parts: list[Verifier | Reads | Uniforms] = [*verifiers, proxy, uniforms]
            for part in parts:
                part.keep(left)
            drafts = drafts.index_select(0, left.device)
            states = None if states is None else states.index_select(0, left.device)
        state = None if states is None else states[torch.arange(len(states), device=states.device), n_new.device]
        if len(stay):
            for verifier in verifiers:
                verifier.roll_back(n_drafts, n_passed, final, is_open)
            _roll_back(proxy, drafts, n_passed, final, is_open, rejected)
    return counts(readers)


def _clock(readers: Mapping[str, Reads]) -> float:
    """Seconds, of which those that went into capturing do not count."""
    return time.perf_counter() - sum(reader.seconds_capturing for reader in readers.values())


def _draft(job: Job, proxy: Reads, n_drafts: int, u: Tensor, n_before: Both) -> tuple[Tensor, list[Law]]:
    """Draw `n_drafts` tokens from the proxy, each after the last: ids (B, g), and the laws (B, 1, V) that drew them.

    The last one is not read: only a window accepted whole makes that necessary.
    """
    drafts: list[Tensor] = []
    laws: list[Law] = []
    for i in range(n_drafts):
        if i > 0:
            proxy.push(drafts[-1])
        laws.append(job.shaping.law("proxy", proxy.read(), n_before.plus(i)))
        drafts.append(job.backend.draw(laws[-1].drawn, u[:, 2 * i : 2 * i + 1]))
    return torch.cat(drafts, dim=1), laws


class Verifier:
    """A model that reads whole windows of drafts, and remembers its last logits where a window was accepted whole."""

    def __init__(self, reader: Reads) -> None:
        self.reader = reader
        self._known: Tensor | None = None  # (B, 1, V) logits after all that is emitted, where it has read all that
        self._is_known = Both.zeros(0, torch.bool, torch.device("cpu"))  # (B,) where that is, once a cycle has ended

    @property
    def name(self) -> str:
        """Its role in the pair."""
        return self.reader.name

    def read(self, drafts: Tensor) -> Tensor:
        """The logits (B, g + 1, V) at the place of each draft and after the last one, in one forward pass."""
        self.reader.push(drafts)
        logits = self.reader.read(drafts.shape[1] + 1)
        known, is_known = self._known, self._is_known
        if known is not None and is_known.host.any():
            if is_known.host.all():  # nothing but the drafts was read: the first one's place was known
                logits = torch.cat([known, logits], dim=1)
            else:
                logits[:, 0] = known[:, 0].where(is_known.device.unsqueeze(1), logits[:, 0])
        self._known = logits[:, -1:]
        return logits

    def roll_back(self, n_drafts: int, n_passed: Both, final: Both, is_open: Both) -> None:
        """Forget the drafts after the accepted ones, and push the token after those, where there is one."""
        self.reader.forget(n_passed.mapped(lambda passed: n_drafts - passed))
        self.reader.push(final.device.unsqueeze(1), is_open.mapped(lambda of_rows: ~of_rows[:, None]))
        self._is_known = is_open

    def keep(self, rows: Both) -> None:
        """Go on with these rows (n,) of the batch alone."""
        self.reader.keep(rows)
        if self._known is not None:
            self._known = self._known.index_select(0, rows.device)
            self._is_known = Both.zeros(len(rows.host), torch.bool, self._known.device)  # until it is rolled back

    def join(self, texts: Sequence[Sequence[int]]) -> None:
        """Take in new rows, one list of ids each."""
        self.reader.join(texts)
        if self._known is not None:
            n = len(texts)
            self._is_known = self._is_known.beside(Both.zeros(n, torch.bool, self._known.device))
            self._known = torch.cat([self._known, self._known.new_zeros(n, *self._known.shape[1:])])


def _roll_back(proxy: Reads, drafts: Tensor, n_passed: Both, final: Both, is_open: Both, rejected: Both) -> None:
    """Make the proxy forget the drafts after the accepted ones, and push the tokens that it has yet to read.

    It has not read the last draft, so it rewinds one less than the base, and reads that draft where the window was
    accepted whole. An open row has no token after its window.
    """
    n_drafts, last = drafts.shape[1], drafts[:, -1:]
    proxy.forget(n_passed.mapped(lambda passed: (n_drafts - 1 - passed).clip(min=0)))
    closes = Both(~(rejected.host | is_open.host)[:, None], ~(rejected.device | is_open.device).unsqueeze(1))
    proxy.push(last, closes)
    proxy.push(last.where(is_open.device.unsqueeze(1), final.device.unsqueeze(1)))
