"""What every rule has, and the other way to make one law of two models: a mixture."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from proxyalign.deferral import policy
from proxyalign.deferral.law import Law, tempered, widen
from proxyalign.displays import as_card
from proxyalign.errors import InputError
from proxyalign.validation import Domain, check_number

T = TypeVar("T")


class About(NamedTuple):
    """What the table of rules says of one.

    formula: d_y, or pi where nothing is deferred. base, proxy: the parameters for which every token is the base's, or
    the proxy's, "none" where there are none. source: where the rule was published.
    """

    formula: str
    base: str
    proxy: str
    source: str


class Proposal(NamedTuple):
    """What a rule makes of n positions in a row.

    first: (B, n, V), the law of the token y that is drawn first. deferred: (B, n, V) bool, which y are then redrawn
    from the proxy, None where none is. states: (B, n + 1), the rule's state before each position and after the last,
    or (B, n + 1, k) where a state is k numbers; None for a rule without one.
    """

    first: Tensor
    deferred: Tensor | None
    states: Tensor | None = None


class Rule:
    """What every rule has: a name, what it reads, and the law that it makes of `p` and `q`.

    needs: "p" where the decision reads the base alone, which lets the proxy stay idle until a token is deferred and
    makes the free bonus of statement 11 possible; "p q" where it reads the proxy as well, "p q q0" the reference too.
    constant: True or False where the decision is the same for every token of every law, else None.
    asks_proxy: whether some token of the law may come from the proxy. decides_on_host: whether `propose` computes on
    the host wherever the laws lie; these are then brought there once. follows_tokens: whether its state depends on the
    tokens that are emitted, and not on laws alone. domains: of the parameters, checked when a rule is made, with
    InputError. about: its line in the table of rules.
    """

    name: ClassVar[str]
    needs: ClassVar[str] = "p"
    constant: ClassVar[bool | None] = None
    asks_proxy: ClassVar[bool] = True
    decides_on_host: ClassVar[bool] = False
    follows_tokens: ClassVar[bool] = False
    domains: ClassVar[dict[str, Domain]] = {}
    about: ClassVar[About]

    def __post_init__(self) -> None:
        for name, domain in self.domains.items():
            check_number(type(self).__name__, name, getattr(self, name), domain)

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        decides = {"defer", "hands_over", "kept", "propose", "target"}.intersection(vars(cls))
        if decides and "threshold" not in vars(cls):
            cls.threshold = Rule.threshold  # type: ignore[method-assign]  # a parent's says nothing of this decision

    def threshold(self, p_max: Tensor) -> Tensor | None:
        """The t (...), float32, for which the rule defers {y: p_y < t} in rows of float32 whose largest p is p_max.

        Infinity where it defers the whole row. None, where nothing else is said: the sets are no such sets, or need
        more of p than its maximum. A class that decides otherwise than its parent says so anew.
        """
        return None

    def parameters(self) -> dict[str, Any]:
        """The rule's parameters by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={value:g}" for key, value in self.parameters().items())
        return f"{self.name}({inside})"

    def _repr_html_(self) -> str:
        """The rule in a notebook: its formula, what it reads, its limits and its source."""
        facts = {"reads": self.needs}
        about = getattr(self, "about", None)  # which a rule of someone's own need not have
        if about is not None:
            facts |= {
                "formula": about.formula, "the base alone": about.base, "the proxy alone": about.proxy,
                "source": about.source,
            }  # fmt: skip
        return as_card(str(self), facts)

    def reads(self, law: str) -> bool:
        """Whether the decision reads this law: "p", "q" or "q0"."""
        return law in self.needs.split()

    @property
    def has_bonus(self) -> bool:
        """Whether the row after a window of drafts, which the proxy has not read, can be decided (statement 11)."""
        return self.needs == "p"

    @property
    def defers_sets(self) -> bool:
        """Whether it says of a law which tokens are deferred; others make a law of their own of what they read."""
        return type(self).defer is not Rule.defer

    @property
    def compares_tokens(self) -> bool:
        """Whether p is held against q or q0 token by token, which two vocabularies do not allow."""
        return self.reads("q") or self.reads("q0")

    def bound(self, tokenizer: Any, ends: Sequence[int]) -> "Rule":
        """The rule for a vocabulary and the ids that end a text: itself, unless it looks at what tokens spell."""
        return self

    def start(self, n: int, device: torch.device) -> Tensor | None:
        """The state (n,), or (n, k), of n sequences before their first token; None for a rule without one."""
        return None

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p, q, q0 (..., V) -> deferred (..., V) bool, each row from itself alone."""
        raise InputError(f"{self.name} defers nothing, since it is no deferral rule; use its target(p, q)")

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q, q0 (..., V) -> pi (..., V), the law of an emitted token."""
        return policy.cascade(p, q, self.defer(p, q, q0))

    def propose(self, p: Law, q: Law | None = None, q0: Law | None = None, state: Tensor | None = None) -> Proposal:
        """What the rule makes of the laws (B, n, V) of n positions in a row, from `state` (B,) before the first."""
        if self.constant is False:
            return Proposal(p.drawn, None)
        return Proposal(p.drawn, self.defer(p.own, None if q is None else q.own, None if q0 is None else q0.own))

    def propose_along(
        self,
        written: Tensor | None,
        p: Law,
        q: Law | None = None,
        q0: Law | None = None,
        state: Tensor | None = None,
    ) -> Proposal:
        """As `propose`, along the tokens (B, m) that come at the first m places, for a rule that follows them."""
        return self.propose(p, q, q0, state)

    def settled(
        self, states: Tensor | None, deferred: Tensor | None, tokens: Tensor, n_passed: Tensor, p: Law
    ) -> Tensor | None:
        """The states (B, n + 1) once it is known which tokens (B, m) came after `n_passed` (B,) of those foreseen.

        deferred, p: (B, n, V), of the proposal that had these states.
        """
        return states


class Mixture(Rule, ABC):
    """A law made of `p` and `q`, and of `q0` where it needs that, which is drawn from directly: nothing is deferred.

    At other temperatures it is tempered as one law: pi^(1 / T), normalised.
    """

    needs: ClassVar[str] = "p q"

    @abstractmethod
    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q, q0 (..., V) -> pi (..., V), the law of an emitted token."""

    def propose(self, p: Law, q: Law | None = None, q0: Law | None = None, state: Tensor | None = None) -> Proposal:
        """As for any rule; deferred is None."""
        of_proxy = given(q) if self.reads("q") else p  # which is then not looked at
        pi = self.target(p.own, of_proxy.own, None if q0 is None else q0.own)
        return Proposal(pi if p.temperature == 1.0 else tempered(pi.log(), p.temperature), None)


def given(law: T | None) -> T:
    """`law`, the proxy's, which the decoder hands over where the rule needs it. Raises InputError for None."""
    if law is None:
        raise InputError("rules: this rule reads the proxy's q, got None; pass q")
    return law


@lru_cache(maxsize=64)
def smallest_not_below(alpha: float, dtype: torch.dtype) -> float:
    """The smallest number of p's dtype that is not below alpha: for p of that dtype, p < it iff p < alpha as reals.

    Torch would round alpha to float32 before comparing, so that float32(0.7) < 0.7, which is true, came out false.
    """
    if dtype == torch.float64:
        return alpha
    rounded = np.float32(alpha)
    if float(rounded) < alpha:
        rounded = np.nextafter(rounded, np.float32(math.inf))
    return float(rounded)


def everywhere(t: float, p_max: Tensor) -> Tensor:
    """The same threshold in all rows."""
    return torch.full_like(p_max, t)


def whole_where(hands_over: Tensor) -> Tensor:
    """The threshold of rows that are deferred whole or not at all."""
    return torch.zeros_like(hands_over, dtype=torch.float32).masked_fill(hands_over, math.inf)


def below(p: Tensor, bound: Tensor) -> Tensor:
    """Whether p (..., V) < bound (..., 1), a float64 tensor, compared as real numbers whatever the dtype of p."""
    p = widen(p)
    return p < (bound if p.dtype == torch.float64 else rounded_up(bound))


def rounded_up(bound: Tensor) -> Tensor:
    """The smallest float32 numbers not below `bound`, a float64 tensor: `smallest_not_below` for one bound a row."""
    rounded = bound.float()
    up = torch.nextafter(rounded, torch.full_like(rounded, math.inf))
    return up.where(rounded.double() < bound, rounded)


def highest(p: Tensor) -> Tensor:
    """max p: (..., V) -> float64 (..., 1)."""
    return p.amax(-1, keepdim=True).double()


def entropy(p: Tensor) -> Tensor:
    """H(p) in nats: (..., V) -> float64 (..., 1)."""
    total: Tensor = torch.special.entr(widen(p)).sum(-1, keepdim=True, dtype=torch.float64)
    return total
