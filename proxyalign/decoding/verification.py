"""From the logits of a window to its outcome: each draft is tested against pi, and the token after them is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding import fused
from proxyalign.decoding.cache import BoolArray, IntArray
from proxyalign.decoding.cycle import Cycle
from proxyalign.decoding.job import Job
from proxyalign.decoding.sampling import at_tokens, check_finite, draw, fetch
from proxyalign.deferral import policy
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import Rule


@dataclass(frozen=True)
class Drafted:
    """A window of g drafts for each row of a batch (B,), and all that its outcome depends on.

    logits: (B, g + 1, V) of the base, and of the reference if the rule reads it. proxy_laws: the g laws (B, 1, V) that
    drew the drafts (B, g). state, owed, u, n_before: as for `examine`.
    """

    logits: Mapping[str, Tensor]
    proxy_laws: Sequence[Law]
    state: Tensor | None
    drafts: Tensor
    owed: BoolArray
    u: Tensor
    n_before: IntArray

    def rows(self, rows: slice) -> "Drafted":
        """The windows of these rows of the batch alone."""
        laws = [law.mapped(lambda of_batch: of_batch[rows]) for law in self.proxy_laws]
        state = None if self.state is None else self.state[rows]
        logits = {role: of_role[rows] for role, of_role in self.logits.items()}
        return Drafted(logits, laws, state, self.drafts[rows], self.owed[rows], self.u[rows], self.n_before[rows])


Outcome = tuple[Cycle, Tensor | None, npt.NDArray[np.floating] | None]


def verify(job: Job, drafted: Drafted) -> Outcome:
    """The outcome of a window, the rule's states before each of its tokens, and, if asked for, the base's laws.

    On a device the whole batch is examined at once, in a few kernels where the rule allows; on a processor a few rows
    at a time.
    """
    logits, n_rows = drafted.logits["base"], len(drafted.drafts)
    if logits.is_cuda:
        return _verify_fused(job, drafted) or _verify(job, drafted)
    at_once = max(1, policy.AT_ONCE // (logits.shape[1] * logits.shape[2]))
    if at_once >= n_rows:
        return _verify(job, drafted)
    parts = [_verify(job, drafted.rows(slice(first, first + at_once))) for first in range(0, n_rows, at_once)]
    cycles, states, laws = zip(*parts, strict=True)
    return (
        Cycle.joined(cycles),
        None if states[0] is None else torch.cat(states),
        None if laws[0] is None else np.concatenate(laws),
    )


def _verify_fused(job: Job, drafted: Drafted) -> Outcome | None:
    """As `verify`, in the kernels; None where they cannot be asked."""
    shaping = job.shaping
    if job.distributions or not fused.is_available(drafted.drafts.device):
        return None
    shaped = shaping.shaped("base", drafted.logits["base"], drafted.n_before)
    if not fused.covers(job.rule, shaped.dtype, shaping.rule_temperature):
        return None
    cycle = fused.examine_fused(
        job.rule,
        shaped,
        _side_by_side(drafted.proxy_laws),
        drafted.drafts,
        drafted.owed,
        drafted.u,
        drafted.n_before,
        rule_temperature=shaping.rule_temperature,
    )
    return cycle, None, None


def _verify(job: Job, drafted: Drafted) -> Outcome:
    """As `verify`, in torch and all rows together."""
    p, q0 = (
        job.shaping.law(role, drafted.logits[role], drafted.n_before) if role in drafted.logits else None
        for role in ("base", "reference")
    )
    assert p is not None
    q = _side_by_side(drafted.proxy_laws)
    cycle, states = examine(
        job.rule, p, q, q0, drafted.state, drafted.drafts, drafted.owed, drafted.u, drafted.n_before
    )
    return cycle, states, p.own.cpu().numpy() if job.distributions else None


def _side_by_side(laws: Sequence[Law]) -> Law:
    """One law (B, g, V) of g laws (B, 1, V)."""
    own = torch.cat([law.own for law in laws], dim=1)
    is_one = laws[0].drawn is laws[0].own
    return Law(own, own if is_one else torch.cat([law.drawn for law in laws], dim=1), laws[0].temperature)


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
) -> tuple[Cycle, Tensor | None]:
    """Test the drafts (B, g) in turn, and draw the token after the accepted ones: from the residual, or as a bonus.

    p, q0: (B, g + 1, V). q: (B, g, V), the laws that drew the drafts. state: the rule's, before the drafts; its states
    before each of them come back too. owed: rows whose first draft is emitted untested. u: (B, 2 longest + 1). Rules
    without a bonus leave the row after the window undecided. n_before: new tokens before these (B,), for messages.
    Raises InputError where a model gave NaN or infinity.
    """
    n_drafts, has_bonus = drafts.shape[1], rule.has_bonus
    read = p if has_bonus else p.rows(slice(0, n_drafts))
    of_reference = None if q0 is None else q0.rows(slice(0, n_drafts))
    first, deferred, states = rule.propose(read, None if has_bonus else q, of_reference, state)
    # Of pi no more is computed than the test reads: its values at the drafts, and the row at the first rejection.
    pi_x, q_x = at_tokens(first[:, :n_drafts], drafts), at_tokens(q.drawn, drafts)
    drawn_mass = None
    if deferred is not None:
        drawn_mass = policy.deferral_mass(first, deferred)
        own_mass = drawn_mass if first is read.own else policy.deferral_mass(read.own, deferred)
        is_deferred = at_tokens(deferred[:, :n_drafts], drafts)
        pi_x = pi_x.masked_fill(is_deferred, 0.0) + drawn_mass[:, :n_drafts] * q_x
    passed = u[:, 1 : 2 * n_drafts : 2] * q_x < pi_x  # r < pi / q, and never where pi = 0
    if owed.any():
        passed[:, 0] |= torch.from_numpy(owed).to(drafts.device)
    n_passed = passed.long().cumprod(1).sum(1)
    final = draw(_next_weights(first, deferred, drawn_mass, q.drawn, n_passed), u[:, -1:])  # (B, 1)
    tokens = torch.cat([drafts, final], dim=1).scatter_(1, n_passed.unsqueeze(1), final)
    nothing = final[:, :0]
    ids, passes, p_y, q_y, q0_y, some_mass, thrown = fetch(
        tokens,
        n_passed.unsqueeze(1),
        at_tokens(p.own, tokens),
        q_x if q.own is q.drawn else at_tokens(q.own, drafts),
        nothing if q0 is None else at_tokens(q0.own, drafts),
        nothing if deferred is None else own_mass,
        at_tokens(deferred[:, n_drafts:], final) if has_bonus and deferred is not None else nothing,
    )
    check_finite(q_y, "proxy", n_before)
    check_finite(q0_y, "reference", n_before)
    check_finite(p_y, "base", n_before)
    mass = np.zeros(ids.shape)
    mass[:, : some_mass.shape[1]] = some_mass
    is_thrown = thrown[:, 0] > 0 if thrown.size else np.zeros(len(ids), dtype=bool)
    return Cycle.of(ids, passes[:, 0], is_thrown, owed, p_y, mass, has_bonus), states


def _next_weights(first: Tensor, deferred: Tensor | None, mass: Tensor | None, q: Tensor, n_passed: Tensor) -> Tensor:
    """What the token after the accepted drafts is drawn from (B, 1, V): the residual, or the row after the window.

    mass: of what is deferred (B, n). Without a bonus the row after the window gives a draw without meaning.
    """
    n_drafts = q.shape[1]
    rejected = n_passed < n_drafts
    if not first.is_cuda:  # where to look costs nothing, and what is not drawn from need not be computed
        if bool(rejected.all()):
            return _replacement(first, deferred, mass, q, n_passed)
        if not bool(rejected.any()):
            return first[:, -1:]
    replacement = _replacement(first, deferred, mass, q, n_passed.clamp(max=n_drafts - 1))
    return replacement.where(rejected[:, None, None], first[:, -1:])


def _replacement(first: Tensor, deferred: Tensor | None, mass: Tensor | None, q: Tensor, places: Tensor) -> Tensor:
    """The residual (B, 1, V) at one place of each row."""
    pi, of_proxy = _row(first, places), _row(q, places)
    if deferred is not None and mass is not None:
        pi = policy.cascade(pi, of_proxy, _row(deferred, places), _row(mass, places))
    return policy.residual(pi, of_proxy)


def _row(rows: Tensor, places: Tensor) -> Tensor:
    """What rows (B, n, ...) hold at one place of each: (B, 1, ...)."""
    if len(places) == 1 and not rows.is_cuda:  # an index tensor costs as much as all the rest of a test
        place = int(places)
        return rows[:, place : place + 1]
    return rows[torch.arange(len(places), device=rows.device), places].unsqueeze(1)
