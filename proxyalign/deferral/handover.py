"""Weak-to-strong decoding: the proxy begins, and the base takes over for good once it would go on like that itself."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import About, Proposal, Rule
from proxyalign.validation import Domain

INFINITE = float("inf")


@dataclass(frozen=True)
class WSD(Rule):
    """Defer every token until the base's probabilities of the last `window` ones have a geometric mean of `alpha`.

    From then on the base writes alone. As in the authors' code (`inference/check.py`), a beginning shorter than the
    window is never enough, and the token that fills it is still the proxy's. That code has the proxy write its whole
    answer first, and the base read it then; here the base reads along, which has the same law. It is the probability
    at temperature 1 that counts, whatever the temperature of draws.

    The state of a sequence is log p of its last `window` tokens, minus infinity before there are so many, and no
    longer moves once the base has the pen: a function of the text, so that a draft which is rejected leaves no trace.

    alpha: probability in [0, 1], 0.8 as published; 0 is the base alone. window: a number of tokens.
    """

    alpha: float
    window: int = 6
    name: ClassVar[str] = "wsd"
    follows_tokens: ClassVar[bool] = True
    domains: ClassVar[dict[str, Domain]] = {
        "alpha": Domain(0.0, 1.0, "it is the mean probability at which the base takes over"),
        "window": Domain(1.0, INFINITE, "it is a number of tokens", whole=True),
    }
    about: ClassVar[About] = About(
        "1 until (p_y1 ... p_yn)^(1 / n) >= alpha for the last n = window tokens, then 0",
        "alpha = 0",
        "none",
        "Song et al., Findings of ACL 2025, arXiv 2506.07434",
    )

    def start(self, n: int, device: torch.device) -> Tensor:
        """The states (n, window) float64 before the first token."""
        return torch.full((n, int(self.window)), -INFINITE, dtype=torch.float64, device=device)

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> what is deferred of a first token: all, but for alpha = 0; `propose_along` follows the text."""
        return torch.full_like(p, self.alpha > 0.0, dtype=torch.bool)

    def propose(self, p: Law, q: Law | None = None, q0: Law | None = None, state: Tensor | None = None) -> Proposal:
        """As for any rule, for one position: what follows depends on its token."""
        return self.propose_along(None, p, q, q0, state)

    def propose_along(
        self,
        written: Tensor | None,
        p: Law,
        q: Law | None = None,
        q0: Law | None = None,
        state: Tensor | None = None,
    ) -> Proposal:
        """As for any rule: the states (B, n + 1, window) are those along the tokens `written` (B, m)."""
        states, sets = [self.start(len(p.own), p.own.device) if state is None else state], []
        for place, law in enumerate(p.own.unbind(1)):
            sets.append(~self._has_taken_over(states[-1]).unsqueeze(-1).expand(law.shape))
            is_known = written is not None and place < written.shape[1]
            states.append(
                self._after(states[-1], law, written[:, place]) if is_known and written is not None else states[-1]
            )
        return Proposal(p.drawn, torch.stack(sets, 1), torch.stack(states, 1))

    def settled(
        self, states: Tensor | None, deferred: Tensor | None, tokens: Tensor, n_passed: Tensor, p: Law
    ) -> Tensor | None:
        """As for any rule: the state after the token that came in the place of a draft, or after the last one."""
        assert states is not None
        places = n_passed.clamp(max=p.own.shape[1] - 1)
        rows = torch.arange(len(places), device=places.device)
        after = self._after(states[rows, places], p.own[rows, places], tokens[rows, places])
        settled = states.clone()
        settled[rows, places + 1] = after.where((n_passed <= places).unsqueeze(-1), states[rows, places + 1])
        return settled

    def _has_taken_over(self, state: Tensor) -> Tensor:
        """Whether the base writes from here on: (B, window) -> (B,)."""
        return state.mean(-1) >= (math.log(self.alpha) if self.alpha else -INFINITE)

    def _after(self, state: Tensor, p: Tensor, tokens: Tensor) -> Tensor:
        """The states (B, window) after tokens (B,), whose laws were p (B, V)."""
        last = p.gather(-1, tokens.unsqueeze(-1)).double().log()
        return state.where(self._has_taken_over(state).unsqueeze(-1), torch.cat([state[:, 1:], last], -1))
