"""A window of drafts a cycle: the proxy drafts, the base verifies all of them in one pass, and the law stays the same.

Words: a draft is a token drawn from the proxy. It is *tested* against pi, and *accepted*, or replaced by a token from
the *residual* (statement 10). After a window accepted whole comes the *bonus* (statement 11): y is drawn from the
base's last row and emitted, unless it is deferred; then the next window's first draft is *owed*: emitted untested.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding.cache import BoolArray, IntArray
from proxyalign.decoding.job import Job, Reads, Waiting, joined
from proxyalign.decoding.sampling import Uniforms, at_tokens, check_finite, draw, fetch
from proxyalign.decoding.trace import BASE, DRAFT, PROXY, RESIDUAL, Counts, Record
from proxyalign.deferral import policy
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import Rule


def decode(job: Job, record: Record) -> Counts:
    """Decode all sequences into the record: draft, verify, test, emit, and roll back what was rejected."""
    waiting, counts = Waiting(job), Counts()
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
        n_drafts, before = min(job.window.next(), int(record.remaining.max())), (counts.n_tested, counts.n_accepted)
        drafts, q = _draft(job, proxy, n_drafts, u, n_before)
        p, *others = [job.shaping.law(one.name, one.read(drafts), n_before) for one in verifiers]
        cycle, states = examine(job.rule, p, q, others[0] if others else None, state, drafts, owed, u, n_before)
        laws = p.own.cpu().numpy() if job.distributions else None
        n_emitted, goes_on = record.emit(cycle.n_new, cycle.tokens, cycle.source, cycle.p_y, cycle.mass, laws)
        cycle.count(counts, owed, n_emitted)
        tested, accepted = counts.n_tested - before[0], counts.n_accepted - before[1]
        job.window.observe(n_drafts, tested, accepted, time.perf_counter() - began)
        if states is not None:
            state = states[torch.arange(len(states)), torch.from_numpy(n_emitted)]
        if not goes_on.all():
            left = goes_on.nonzero()[0]
            parts: list[Verifier | Reads | Uniforms | _Cycle] = [*verifiers, proxy, uniforms, cycle]
            for part in parts:
                part.keep(left)
            drafts, state = drafts[left], None if state is None else state[left]
        if len(record.active):
            for verifier in verifiers:
                verifier.roll_back(drafts, cycle)
            _roll_back(proxy, drafts, cycle)
        owed = cycle.is_owed
    counts.n_base_passes, counts.n_proxy_passes = base.reader.n_passes, proxy.n_passes
    return counts


def _draft(job: Job, proxy: Reads, n_drafts: int, u: Tensor, n_before: IntArray) -> tuple[Tensor, Law]:
    """Draw `n_drafts` tokens from the proxy, each after the last: ids (B, g), and the laws (B, g, V) that drew them.

    The last one is not read: only a window accepted whole makes that necessary.
    """
    drafts: list[Tensor] = []
    laws: list[Law] = []
    for i in range(n_drafts):
        if i > 0:
            proxy.push(drafts[-1])
        laws.append(job.shaping.law("proxy", proxy.read(), n_before + i))
        drafts.append(draw(laws[-1].drawn, u[:, 2 * i : 2 * i + 1]))
    own = torch.cat([q.own for q in laws], dim=1)
    drawn = own if laws[0].drawn is laws[0].own else torch.cat([q.drawn for q in laws], dim=1)
    return torch.cat(drafts, dim=1), Law(own, drawn, job.shaping.temperature)


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

    def roll_back(self, drafts: Tensor, cycle: "_Cycle") -> None:
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


@dataclass
class _Cycle:
    """What became of a window, for each row (B,), on the host.

    n_passed: drafts accepted before the first rejection, an owed one included. rejected: whether there was one.
    is_open: the window was accepted whole and nothing follows it yet. is_owed: since the bonus was deferred.
    tokens, source, p_y, mass: (B, g + 1), the accepted drafts and the token after them, if any; then no meaning.
    """

    n_passed: IntArray
    rejected: BoolArray
    is_open: BoolArray
    is_owed: BoolArray
    tokens: IntArray
    source: npt.NDArray[np.uint8]
    p_y: npt.NDArray[np.floating]
    mass: npt.NDArray[np.floating]

    @property
    def n_new(self) -> IntArray:
        """How many tokens the cycle emits, before the text's end and the limit cut it (B,)."""
        return self.n_passed + ~self.is_open

    @property
    def final(self) -> IntArray:
        """The token after the accepted drafts (B,)."""
        final: IntArray = self.tokens[np.arange(len(self.n_passed)), self.n_passed]
        return final

    def count(self, counts: Counts, was_owed: BoolArray, n_emitted: IntArray) -> None:
        """Count drafts that were tested, up to the last token emitted; an owed draft is not tested, nor accepted."""
        accepted = np.minimum(self.n_passed, n_emitted) - was_owed
        counts.n_cycles += len(n_emitted)
        counts.n_accepted += int(accepted.sum())
        counts.n_tested += int((accepted + (self.rejected & (n_emitted > self.n_passed))).sum())

    def keep(self, rows: IntArray) -> None:
        """Go on with these rows (n,) of the batch alone."""
        for name, values in vars(self).items():
            setattr(self, name, values[rows])


def examine(
    rule: Rule,
    p: Law,
    q: Law,
    q0: Law | None,
    state: Tensor | None,
    drafts: Tensor,
    owed: BoolArray,
    u: Tensor,
    n_before: IntArray,
) -> tuple[_Cycle, Tensor | None]:
    """Test the drafts (B, g) in turn, and draw the token after the accepted ones: from the residual, or as a bonus.

    p, q0: (B, g + 1, V). q: (B, g, V), the laws that drew the drafts. state: the rule's, before the drafts; its states
    before each of them come back too. owed: rows whose first draft is emitted untested. u: (B, 2 longest + 1). Rules
    without a bonus leave the row after the window undecided.
    """
    n_drafts, has_bonus = drafts.shape[1], rule.has_bonus
    read = p if has_bonus else p.rows(slice(0, n_drafts))
    of_reference = None if q0 is None else q0.rows(slice(0, n_drafts))
    first, deferred, states = rule.propose(read, None if has_bonus else q, of_reference, state)
    # Of pi no more is computed than the test reads: its values at the drafts, and the row at the first rejection.
    pi_x, q_x = at_tokens(first[:, :n_drafts], drafts), at_tokens(q.drawn, drafts)
    if deferred is not None:
        drawn_mass = policy.deferral_mass(first, deferred)
        own_mass = drawn_mass if first is read.own else policy.deferral_mass(read.own, deferred)
        is_deferred = at_tokens(deferred[:, :n_drafts], drafts)
        pi_x = pi_x.masked_fill(is_deferred, 0.0) + drawn_mass[:, :n_drafts] * q_x
    passed = u[:, 1 : 2 * n_drafts : 2] * q_x < pi_x  # r < pi / q, and never where pi = 0
    if owed.any():
        passed[:, 0] |= torch.from_numpy(owed).to(drafts.device)
    n_passed = passed.long().cumprod(1).sum(1)
    final = draw(_next_weights(first, deferred, q.drawn, n_passed), u[:, -1:])  # (B, 1)
    tokens = torch.cat([drafts, final], dim=1).scatter_(1, n_passed.unsqueeze(1), final)
    nothing = final[:, :0]
    ids, counts, p_y, q_y, q0_y, some_mass, thrown = fetch(
        tokens,
        n_passed.unsqueeze(1),
        at_tokens(p.own, tokens),
        at_tokens(q.own, drafts),
        nothing if q0 is None else at_tokens(q0.own, drafts),
        nothing if deferred is None else own_mass,
        at_tokens(deferred[:, n_drafts:], final) if has_bonus and deferred is not None else nothing,
    )

    check_finite(q_y, "proxy", n_before)
    check_finite(q0_y, "reference", n_before)
    check_finite(p_y, "base", n_before)
    passes = counts[:, 0].astype(np.int64)
    rejected = passes < n_drafts
    is_owed = ~rejected & (thrown[:, 0] > 0) if thrown.size else np.zeros_like(rejected)
    source = np.full(ids.shape, DRAFT, dtype=np.uint8)
    source[owed, 0] = PROXY
    source[np.arange(len(passes)), passes] = np.where(rejected, RESIDUAL, BASE)
    mass = np.zeros(ids.shape)
    mass[:, : some_mass.shape[1]] = some_mass
    cycle = _Cycle(
        n_passed=passes,
        rejected=rejected,
        is_open=is_owed if has_bonus else ~rejected,
        is_owed=is_owed,
        tokens=ids.astype(np.int64),
        source=source,
        p_y=p_y,
        mass=mass,
    )
    return cycle, states


def _next_weights(first: Tensor, deferred: Tensor | None, q: Tensor, n_passed: Tensor) -> Tensor:
    """What the token after the accepted drafts is drawn from (B, 1, V): the residual, or the row after the window.

    Without a bonus the latter, a draw without meaning.
    """
    n_drafts = q.shape[1]
    rejected = n_passed < n_drafts
    if not first.is_cuda:  # where to look costs nothing, and what is not drawn from need not be computed
        if bool(rejected.all()):
            return _replacement(first, deferred, q, n_passed)
        if not bool(rejected.any()):
            return first[:, -1:]
    replacement = _replacement(first, deferred, q, n_passed.clamp(max=n_drafts - 1))
    return replacement.where(rejected[:, None, None], first[:, -1:])


def _replacement(first: Tensor, deferred: Tensor | None, q: Tensor, places: Tensor) -> Tensor:
    """The residual (B, 1, V) at one place of each row."""
    pi, of_proxy = _row(first, places), _row(q, places)
    if deferred is not None:
        pi = policy.cascade(pi, of_proxy, _row(deferred, places))
    return policy.residual(pi, of_proxy)


def _row(laws: Tensor, places: Tensor) -> Tensor:
    """The law at one place of each row: (B, n, V), (B,) -> (B, 1, V)."""
    if len(places) == 1 and not laws.is_cuda:  # an index tensor costs as much as all the rest of a test
        place = int(places)
        return laws[:, place : place + 1]
    return laws[torch.arange(len(places), device=laws.device), places].unsqueeze(1)


def _roll_back(proxy: Reads, drafts: Tensor, cycle: _Cycle) -> None:
    """Make the proxy forget the drafts after the accepted ones, and push the tokens that it has yet to read.

    It has not read the last draft, so it rewinds one less than the base, and reads that draft where the window was
    accepted whole. An open row has no token after its window.
    """
    n_drafts = drafts.shape[1]
    proxy.forget(np.maximum(n_drafts - 1 - cycle.n_passed, 0))
    last = np.where(cycle.is_open, cycle.tokens[:, n_drafts - 1], cycle.final)
    proxy.push(drafts[:, -1:], ~(cycle.rejected | cycle.is_open)[:, None])
    proxy.push(torch.from_numpy(last[:, None]).to(drafts.device))
