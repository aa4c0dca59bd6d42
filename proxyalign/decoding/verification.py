"""From the logits of a window to its outcome: each draft is tested against pi, and the token after them is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding import fused, on_device, on_processor
from proxyalign.decoding.cache import BoolArray, IntArray
from proxyalign.decoding.cycle import Cycle
from proxyalign.decoding.job import Job
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
    """As `verify`, of the laws of all rows together."""
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
    where = on_processor if first.device.type == "cpu" else on_device
    tested = where.test(read, q, of_reference, first, deferred, drafts, owed, u)
    return Cycle.of(tested, owed, n_before, has_bonus), states
