"""On a processor: draws and the test of a window in compiled passes, a few rows at a time, and nothing to wait for."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding.backends.processor_kernels import draw_rows, test_rows
from proxyalign.decoding.backends.reference import Backend, DraftedWindow, Outcome, Untested
from proxyalign.decoding.cycle import Cycle, Tested
from proxyalign.decoding.readers.contract import BoolArray, Both
from proxyalign.decoding.sampling import at_tokens
from proxyalign.decoding.shaping import Shaping
from proxyalign.deferral import policy
from proxyalign.deferral.rule import Rule
from proxyalign.deferral.verifiers import Verifier


class ProcessorBackend(Backend):
    """The reference with its draws and tests compiled."""

    def draw(self, weights: Tensor, uniforms: Tensor) -> Tensor:
        """As the reference's."""
        tokens = np.empty(uniforms.shape, dtype=np.int64)
        rows = np.ascontiguousarray(weights.numpy()).reshape(-1, weights.shape[-1])
        draw_rows(rows, uniforms.numpy().reshape(-1), tokens.reshape(-1))
        return torch.from_numpy(tokens)

    def send(self, device: torch.device, *parts: npt.NDArray[Any]) -> list[Both]:
        """As the reference's: they are there already."""
        return [Both(part, torch.from_numpy(part)) for part in parts]

    def fetch(self, *parts: Tensor) -> list[npt.NDArray[Any]]:
        """As the reference's, in their own dtypes, since they are there already."""
        return [part.numpy() for part in parts]

    def verify(
        self,
        rule: Rule,
        shaping: Shaping,
        window: DraftedWindow,
        *,
        wanted: BoolArray | None = None,
        verifier: Verifier | None = None,
    ) -> Outcome:
        """As the reference's, of so many rows together that caches hold their laws."""
        logits, n_rows = window.logits["base"], len(window.drafts)
        at_once = max(1, policy.AT_ONCE // (logits.shape[1] * logits.shape[2]))
        if at_once >= n_rows:
            return super().verify(rule, shaping, window, wanted=wanted, verifier=verifier)
        some = [slice(first, first + at_once) for first in range(0, n_rows, at_once)]
        parts = [
            Backend.verify(
                self,
                rule,
                shaping,
                window.rows(rows),
                wanted=None if wanted is None else wanted[rows],
                verifier=verifier,
            )
            for rows in some
        ]
        cycles, states, laws = zip(*parts, strict=True)
        return Outcome(
            Cycle.joined(cycles),
            None if states[0] is None else torch.cat(states),
            None if laws[0] is None else np.concatenate(laws),
        )

    def test(self, untested: Untested) -> Tested:
        """As the reference's. Masses are 0 after the last new token."""
        p, q, q0, first, deferred, drafts, owed, u = untested
        (n_rows, n_drafts), n_places = drafts.shape, first.shape[1]
        ids, of_first = drafts.numpy(), _array(first)
        own = of_first if p.own is first else _array(p.own, of_first.dtype)
        sets = np.empty((n_rows, n_places, 0), dtype=np.bool_) if deferred is None else _array(deferred)
        outcome, thrown = np.empty((n_rows, 2), dtype=np.int64), np.zeros((n_rows, 1), dtype=np.bool_)
        p_y, mass = np.zeros((n_rows, n_drafts + 1)), np.zeros((n_rows, n_drafts + 1))
        of_proxy = _array(q.drawn, of_first.dtype)
        given = (own, of_first, own is of_first, of_proxy, sets, ids, owed.host, u.numpy())
        test_rows(*given, outcome, thrown, p_y, mass)
        n_passed, final = outcome[:, 0], outcome[:, 1:]
        tokens = np.concatenate([ids, final], axis=1)
        tokens[np.arange(n_rows), n_passed] = final[:, 0]
        q_y = at_tokens(q.own, drafts).numpy()
        q0_y = q_y[:, :0] if q0 is None else at_tokens(q0.own, drafts).numpy()
        return Tested(tokens, n_passed, thrown, p_y, mass, q_y, q0_y)


def _array(rows: Tensor, dtype: np.dtype[Any] | None = None) -> npt.NDArray[Any]:
    """Rows as kernels take them: one after the other in memory."""
    return np.ascontiguousarray(rows.numpy(), dtype)
