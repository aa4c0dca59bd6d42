"""The contract of a backend, and its reference in torch's operations: each draft is tested, then a token is drawn."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding.cycle import Cycle, Tested
from proxyalign.decoding.readers.contract import BoolArray, Both, Reads
from proxyalign.decoding.readers.making import reader_of
from proxyalign.decoding.sampling import at_tokens
from proxyalign.decoding.shaping import Shaping
from proxyalign.deferral import policy
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import Rule
from proxyalign.deferral.verifiers import Verifier, total_variation
from proxyalign.models.pair import ModelPair


@dataclass(frozen=True)
class DraftedWindow:
    """A window of g drafts for each row of a batch (B,), and all that its outcome depends on.

    logits: (B, g + 1, V) of the base, and of the reference if the rule reads it. q: the g laws (B, 1, V) that drew the
    drafts (B, g) int64. state: the rule's, before the drafts (B,). owed: rows whose first draft is emitted untested
    (B,). u: float64 (B, 2 longest + 1): each draft's own two numbers, and the last one for the token after them.
    n_before: new tokens before these (B,).
    """

    logits: Mapping[str, Tensor]
    q: Sequence[Law]
    state: Tensor | None
    drafts: Tensor
    owed: Both
    u: Tensor
    n_before: Both

    def rows(self, rows: slice) -> "DraftedWindow":
        """The windows of these rows of the batch alone."""
        q = [law.mapped(lambda of_batch: of_batch[rows]) for law in self.q]
        state = None if self.state is None else self.state[rows]
        logits = {role: of_role[rows] for role, of_role in self.logits.items()}
        owed, n_before = (of_batch.mapped(lambda of_side: of_side[rows]) for of_batch in (self.owed, self.n_before))
        return DraftedWindow(logits, q, state, self.drafts[rows], owed, self.u[rows], n_before)

    @property
    def law_of_proxy(self) -> Law:
        """One law (B, g, V) of the g laws (B, 1, V)."""
        own = torch.cat([law.own for law in self.q], dim=1)
        is_one = self.q[0].drawn is self.q[0].own
        return Law(own, own if is_one else torch.cat([law.drawn for law in self.q], dim=1), self.q[0].temperature)


class Outcome(NamedTuple):
    """What a window came to: the cycle, the rule's states (B, n + 1) before its tokens, and the laws wanted (k, V)."""

    cycle: Cycle
    states: Tensor | None
    laws: npt.NDArray[np.floating] | None


class Drawn(NamedTuple):
    """A token for each row of a batch (B,), drawn from the base, and anew from the proxy if its law was there for that.

    tokens: (B, 1). ids, p_y, mass: the same, the base's probability of it, and what is deferred of its law, on the host
    (B, 1); mass may be (B, 0), for nothing. thrown: whether the base's token was deferred (B,). q_y, q0_y: of the proxy
    and the reference, where their laws were read; else (B, 0). states: the rule's (B, 2), or None. deferred: the sets
    (B, 1, V) of a rule whose states follow tokens, else None.
    """

    tokens: Tensor
    ids: npt.NDArray[np.number]
    p_y: npt.NDArray[np.floating]
    mass: npt.NDArray[np.floating]
    thrown: Both
    q_y: npt.NDArray[np.floating]
    q0_y: npt.NDArray[np.floating]
    states: Tensor | None
    deferred: Tensor | None


class Untested(NamedTuple):
    """What the test of a window reads.

    p, first, deferred: (B, n, V), the latter two the rule's proposal; n = g without a bonus, else g + 1. q, q0: (B, g,
    V). drafts, owed, u: as in `DraftedWindow`.
    """

    p: Law
    q: Law
    q0: Law | None
    first: Tensor
    deferred: Tensor | None
    drafts: Tensor
    owed: Both
    u: Tensor


class Backend:
    """How laws are drawn from and windows tested, in torch's operations, on any device."""

    def working(self, device: torch.device) -> AbstractContextManager[object]:
        """A context in which what is run goes to this device."""
        return nullcontext()

    @contextmanager
    def reader(self, pair: ModelPair, role: str, n_rows: int, length: int, widths: Sequence[int]) -> Iterator[Reads]:
        """The model of this role, with nothing read yet, for at most `n_rows` texts of at most `length` tokens.

        widths: how many positions most of its passes will have, in rising order.
        """
        yield reader_of(pair, role)

    def draw(self, weights: Tensor, uniforms: Tensor) -> Tensor:
        """One token id a row by inverse CDF: weights (..., V) >= 0 of any positive sum, uniforms (...) -> int64 (...).

        Cumulated in float64. A token without weight is never drawn; with all weight on one token, that one is. A row
        with NaN gives any id.
        """
        sums = weights.cumsum(-1, dtype=torch.float64)
        found = torch.searchsorted(sums, uniforms.unsqueeze(-1) * sums[..., -1:], right=True)
        return found.squeeze(-1).clamp_(max=weights.shape[-1] - 1)

    def send(self, device: torch.device, *parts: npt.NDArray[Any]) -> list[Both]:
        """Arrays (n,) of the host, whole numbers or truth values, on the device as well: all of them in one upload."""
        together = torch.from_numpy(np.stack([part.astype(np.int64) for part in parts])).to(device)
        rows = zip(parts, together.unbind(), strict=True)
        return [Both(part, row.bool() if part.dtype == np.bool_ else row) for part, row in rows]

    def fetch(self, *parts: Tensor) -> list[npt.NDArray[Any]]:
        """Tensors (B, n) of any n as arrays on the host, brought there together, since each wait for a device costs.

        They come as float64, which holds every token id and every float32 exactly.
        """
        widths = [part.shape[1] for part in parts]
        together = torch.cat([part.double() for part in parts], dim=1).cpu().numpy()
        return np.split(together, np.cumsum(widths[:-1]), axis=1)

    def step(self, rule: Rule, p: Law, q: Law | None, q0: Law | None, state: Tensor | None, u: Tensor) -> Drawn:
        """Draw a token from the base, and let the rule say whether it is deferred.

        p, q, q0: (B, 1, V), the latter two where the rule reads them. state: the rule's (B,). u: (B, 2), a number for
        the base's token and one for the proxy's. The device is asked once.
        """
        first, deferred, states = rule.propose(p, q, q0, state)
        sets = deferred if rule.follows_tokens else None
        tokens = self.draw(first, u[:, :1])
        nothing = tokens[:, :0]
        is_thrown = nothing if deferred is None else at_tokens(deferred, tokens)
        if q is not None and deferred is not None:
            tokens = self.draw(q.drawn, u[:, 1:]).where(is_thrown, tokens)
        ids, p_y, mass, thrown, q_y, q0_y = self.fetch(
            tokens,
            at_tokens(p.own, tokens),
            nothing if deferred is None else policy.deferral_mass(p.own, deferred),
            is_thrown,
            nothing if q is None else at_tokens(q.own, tokens),
            nothing if q0 is None else at_tokens(q0.own, tokens),
        )
        both = Both(np.asarray(thrown.any(1)), is_thrown.any(1))
        return Drawn(tokens, ids, p_y, mass, both, q_y, q0_y, states, sets)

    def verify(
        self,
        rule: Rule,
        shaping: Shaping,
        window: DraftedWindow,
        *,
        wanted: BoolArray | None = None,
        verifier: Verifier | None = None,
    ) -> Outcome:
        """From the logits of a window to its outcome: laws, the rule's proposal, tests, and the token after them.

        wanted: of which places (B, g + 1) the base's laws are brought to the host, row by row. verifier: where drafts
        are not tested against pi itself; there is no bonus then, so that every token has the verifier's law.
        """
        p = shaping.law("base", window.logits["base"], window.n_before)
        q0 = None
        if "reference" in window.logits:
            q0 = shaping.law("reference", window.logits["reference"], window.n_before)
        cycle, states = self.examine(
            rule,
            p,
            window.law_of_proxy,
            q0,
            window.state,
            window.drafts,
            window.owed,
            window.u,
            window.n_before,
            verifier,
        )
        return Outcome(cycle, states, laws_at(p, wanted))

    def examine(
        self,
        rule: Rule,
        p: Law,
        q: Law,
        q0: Law | None,
        state: Tensor | None,
        drafts: Tensor,
        owed: Both,
        u: Tensor,
        n_before: Both,
        verifier: Verifier | None = None,
    ) -> tuple[Cycle, Tensor | None]:
        """As `verify`, from the laws: p, q0 (B, g + 1, V), and q (B, g, V), which drew the drafts; also the states.

        Rules without a bonus leave the row after the window undecided. Raises InputError where a model gave NaN or
        infinity.
        """
        n_drafts, has_bonus = drafts.shape[1], rule.has_bonus and verifier is None
        read = p if has_bonus else p.rows(slice(0, n_drafts))
        of_reference = None if q0 is None else q0.rows(slice(0, n_drafts))
        proposal = rule.propose_along(drafts, read, None if has_bonus else q, of_reference, state)
        first, deferred, states = proposal
        untested = Untested(read, q, of_reference, first, deferred, drafts, owed, u)
        tested = self.test(untested) if verifier is None else self._test_lossily(untested, verifier)
        cycle = Cycle.of(tested, owed.host, n_before.host, has_bonus)
        if rule.follows_tokens:
            written = torch.from_numpy(np.column_stack([cycle.tokens, cycle.n_passed])).to(drafts.device)
            states = rule.settled(states, deferred, written[:, :-1], written[:, -1], read)
        return cycle, states

    def _test_lossily(self, untested: Untested, verifier: Verifier) -> Tested:
        """As `test`, against what the verifier puts in pi's place; the device is asked once more, for the distance."""
        p, q, first, deferred = untested.p, untested.q, untested.first, untested.deferred
        pi = first if deferred is None else policy.cascade(first, q.drawn, deferred)
        target, law = verifier.verified(pi, q.drawn, untested.drafts)
        tested = self.test(untested._replace(first=target, deferred=None))
        mass = torch.zeros_like(pi[..., 0]) if deferred is None else policy.deferral_mass(p.own, deferred)
        own_mass, distance = self.fetch(mass, total_variation(law, pi))
        return tested._replace(mass=own_mass, distance=distance)

    def test(self, untested: Untested) -> Tested:
        """Test the drafts (B, g) of each row in turn, and draw the token after the accepted ones, if there is one.

        The device is asked once, when all is known.
        """
        p, q, q0, first, deferred, drafts, owed, u = untested
        n_drafts = drafts.shape[1]
        has_bonus = first.shape[1] > n_drafts
        # Of pi no more is computed than the test reads: its values at the drafts, and the row at the first rejection.
        pi_x, q_x = at_tokens(first[:, :n_drafts], drafts), at_tokens(q.drawn, drafts)
        drawn_mass = None
        if deferred is not None:
            drawn_mass = policy.deferral_mass(first, deferred)
            own_mass = drawn_mass if first is p.own else policy.deferral_mass(p.own, deferred)
            is_deferred = at_tokens(deferred[:, :n_drafts], drafts)
            pi_x = pi_x.masked_fill(is_deferred, 0.0) + drawn_mass[:, :n_drafts] * q_x
        passed = u[:, 1 : 2 * n_drafts : 2] * q_x < pi_x  # r < pi / q, and never where pi = 0
        if owed.host.any():
            passed[:, 0] |= owed.device
        n_passed = passed.long().cumprod(1).sum(1)
        final = self.draw(_next_weights(first, deferred, drawn_mass, q.drawn, n_passed), u[:, -1:])  # (B, 1)
        tokens = torch.cat([drafts, final], dim=1).scatter_(1, n_passed.unsqueeze(1), final)
        nothing = final[:, :0]
        ids, passes, p_y, q_y, q0_y, mass, thrown = self.fetch(
            tokens,
            n_passed.unsqueeze(1),
            at_tokens(p.own, tokens[:, : first.shape[1]]),
            q_x if q.own is q.drawn else at_tokens(q.own, drafts),
            nothing if q0 is None else at_tokens(q0.own, drafts),
            nothing if deferred is None else own_mass,
            at_tokens(deferred[:, n_drafts:], final) if has_bonus and deferred is not None else nothing,
        )
        return Tested(ids, passes[:, 0], thrown, p_y, mass, q_y, q0_y)


def laws_at(p: Law, wanted: BoolArray | None) -> npt.NDArray[np.floating] | None:
    """The base's own laws (k, V) at the places that are wanted (B, n), row by row, on the host; None for none."""
    if wanted is None:
        return None
    places = torch.from_numpy(np.flatnonzero(wanted)).to(p.own.device)
    laws: npt.NDArray[np.floating] = p.own.flatten(0, 1).index_select(0, places).cpu().numpy()
    return laws


def _next_weights(first: Tensor, deferred: Tensor | None, mass: Tensor | None, q: Tensor, n_passed: Tensor) -> Tensor:
    """What the token after the accepted drafts is drawn from (B, 1, V): the residual, or the row after the window.

    mass: of what is deferred (B, n). Without a bonus the row after the window gives a draw without meaning.
    """
    n_drafts = q.shape[1]
    places = n_passed.clamp(max=n_drafts - 1)
    pi, of_proxy = _row(first, places), _row(q, places)
    if deferred is not None and mass is not None:
        pi = policy.cascade(pi, of_proxy, _row(deferred, places), _row(mass, places))
    return policy.residual(pi, of_proxy).where((n_passed < n_drafts)[:, None, None], first[:, -1:])


def _row(rows: Tensor, places: Tensor) -> Tensor:
    """What rows (B, n, ...) hold at one place of each: (B, 1, ...)."""
    return rows[torch.arange(len(places), device=rows.device), places].unsqueeze(1)
