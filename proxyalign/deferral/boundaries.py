"""Where a rule may change hands: anywhere, or between words alone, where who wrote last goes on until one ends."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import Mixture, Proposal, Rule
from proxyalign.errors import InputError

BOUNDARIES = ("any", "word")
FREE, BASE, PROXY = range(3)  # the state: between words, or in one that is the base's or the proxy's


@dataclass(frozen=True)
class WithinWords(Rule):
    """Another rule that acts between words; inside a word who wrote last holds the pen (statement 16).

    A token belongs to the proxy if it was deferred where it stands, else to the base, whoever drew it: a function of
    the text, so that drafts are tested against an exact law and a rejected one leaves no trace. Inside the base's word
    no token that goes on with it is deferred; inside the proxy's all of them are. A token that begins something else is
    deferred or not as the rule says.

    continues, ends_inside: (V,) bool, tokens that go on with a word, and tokens after which one goes on.
    """

    rule: Rule
    continues: Tensor = field(repr=False)
    ends_inside: Tensor = field(repr=False)
    _placed: dict[torch.device, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False, compare=False)
    name: ClassVar[str] = "within-words"
    follows_tokens: ClassVar[bool] = True

    @property
    def needs(self) -> str:  # type: ignore[override]
        """As the rule that acts."""
        return self.rule.needs

    @property
    def decides_on_host(self) -> bool:  # type: ignore[override]
        """As the rule that acts."""
        return self.rule.decides_on_host

    def parameters(self) -> dict[str, Any]:
        """Those of the rule that acts."""
        return self.rule.parameters()

    def start(self, n: int, device: torch.device) -> Tensor:
        """The states (n,) before the first token: free."""
        return torch.full((n,), FREE, device=device)

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """What the rule that acts defers between words."""
        return self.rule.defer(p, q, q0)

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
        """As for any rule: the states (B, n + 1) are those along the tokens `written` (B, m)."""
        first, deferred, _ = self.rule.propose(p, q, q0)
        assert deferred is not None, "a mixture holds no pen, and is refused"
        continues, _ = self._kinds(first.device)
        states, sets = [self.start(len(first), first.device) if state is None else state], []
        for place, own in enumerate(deferred.unbind(1)):
            pen = states[-1].unsqueeze(-1)
            sets.append(torch.where(continues & (pen != FREE), pen == PROXY, own))
            is_known = written is not None and place < written.shape[1]
            states.append(self._after(sets[-1], written[:, place]) if is_known and written is not None else states[-1])
        return Proposal(first, torch.stack(sets, 1), torch.stack(states, 1))

    def settled(
        self, states: Tensor | None, deferred: Tensor | None, tokens: Tensor, n_passed: Tensor, p: Law
    ) -> Tensor | None:
        """As for any rule: the state after the token that came in the place of a draft, or after the last one."""
        assert states is not None
        assert deferred is not None
        places = n_passed.clamp(max=deferred.shape[1] - 1)
        rows = torch.arange(len(places), device=places.device)
        after = self._after(deferred[rows, places], tokens[rows, places]).unsqueeze(1)
        places = places.unsqueeze(1) + 1
        return states.scatter(1, places, after.where(n_passed.unsqueeze(1) < places, states.gather(1, places)))

    def _after(self, deferred: Tensor, tokens: Tensor) -> Tensor:
        """The states (B,) after tokens (B,), where these sets (B, V) were deferred."""
        _, ends_inside = self._kinds(tokens.device)
        pen = torch.where(deferred.gather(-1, tokens.unsqueeze(-1)).squeeze(-1), PROXY, BASE)
        return pen.where(ends_inside[tokens], FREE)

    def _kinds(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device not in self._placed:
            self._placed[device] = self.continues.to(device), self.ends_inside.to(device)
        return self._placed[device]


def within_words(owner: str, rule: Rule, continues: Tensor, ends_inside: Tensor) -> Rule:
    """The rule with the pen held inside words; itself where it never changes hands.

    owner: who refuses, in messages. continues, ends_inside: of the tokens. Raises InputError for a rule that defers
    nothing, and for one that has a state of its own.
    """
    if rule.constant is not None or not rule.asks_proxy:
        return rule
    if isinstance(rule, Mixture) or rule.start(1, torch.device("cpu")) is not None:
        what = "a mixture" if isinstance(rule, Mixture) else "one that follows the text by itself"
        raise InputError(
            f'{owner}: boundaries="word" must go with a rule that defers each token by itself, got {rule}, {what}; '
            'take boundaries="any"'
        )
    return WithinWords(rule, continues, ends_inside)
