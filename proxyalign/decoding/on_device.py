"""The test of a window in torch's operations, without a question to the device until all is known."""

import torch
from torch import Tensor

from proxyalign.decoding.cache import BoolArray
from proxyalign.decoding.cycle import Tested
from proxyalign.decoding.sampling import at_tokens, draw, fetch
from proxyalign.deferral import policy
from proxyalign.deferral.law import Law


def test(
    p: Law, q: Law, q0: Law | None, first: Tensor, deferred: Tensor | None, drafts: Tensor, owed: BoolArray, u: Tensor
) -> Tested:
    """Test the drafts (B, g) of each row in turn, and draw the token after the accepted ones.

    p, first, deferred: (B, n, V), the latter two the rule's proposal; n = g without a bonus, else g + 1. q, q0: (B, g,
    V). owed, u: as for `verification.examine`.
    """
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
    if owed.any():
        passed[:, 0] |= torch.from_numpy(owed).to(drafts.device)
    n_passed = passed.long().cumprod(1).sum(1)
    final = draw(_next_weights(first, deferred, drawn_mass, q.drawn, n_passed), u[:, -1:])  # (B, 1)
    tokens = torch.cat([drafts, final], dim=1).scatter_(1, n_passed.unsqueeze(1), final)
    nothing = final[:, :0]
    ids, passes, p_y, q_y, q0_y, mass, thrown = fetch(
        tokens,
        n_passed.unsqueeze(1),
        at_tokens(p.own, tokens[:, : first.shape[1]]),
        q_x if q.own is q.drawn else at_tokens(q.own, drafts),
        nothing if q0 is None else at_tokens(q0.own, drafts),
        nothing if deferred is None else own_mass,
        at_tokens(deferred[:, n_drafts:], final) if has_bonus and deferred is not None else nothing,
    )
    return Tested(ids, passes[:, 0], thrown, p_y, mass, q_y, q0_y)


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
