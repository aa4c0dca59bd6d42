"""Laws made of two or three models' laws at once, from which tokens are drawn directly; nothing is deferred."""

import re
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from proxyalign.deferral import policy
from proxyalign.deferral.comparisons import ConfidenceBet, ProxyMinP, ProxyVeto
from proxyalign.deferral.gates import Chow, Diff, EntropyGate, Opt
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import About, Mixture, Proposal, Rule, below, given, highest
from proxyalign.errors import InputError
from proxyalign.validation import Domain, check_number

INFINITE = float("inf")


@dataclass(frozen=True)
class StaticMixture(Mixture):
    """Every token from the base with probability `weight`, from the proxy else: what an uninformed rule gets."""

    weight: float
    name: ClassVar[str] = "static-mixture"
    domains: ClassVar[dict[str, Domain]] = {"weight": Domain(0.0, 1.0, "it is the base's share")}
    about: ClassVar[About] = About("pi = w p + (1 - w) q", "weight = 1", "weight = 0", "arXiv 2604.07622")
    compares_tokens = False

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> weight p + (1 - weight) q (..., V)."""
        return self.weight * p + (1.0 - self.weight) * q


@dataclass(frozen=True)
class ProxyTuning(Mixture):
    """The base's logits, moved by `alpha` times what alignment did to the proxy's: s_p + alpha (s_q - s_q0).

    alpha: at least 0; 0 is the base alone, 1 the published rule. Tokens that the reference rules out stay ruled out.
    """

    alpha: float
    name: ClassVar[str] = "proxy-tuning"
    needs: ClassVar[str] = "p q q0"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, INFINITE, "1 is the published rule")}
    about: ClassVar[About] = About("pi ~ p (q / q0)^alpha", "alpha = 0", "none", "Liu et al., arXiv 2401.08565")

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q, q0 (..., V) -> p (q / q0)^alpha, normalised (..., V)."""
        ratio = _log_ratio(q, _reference(q0))
        return p if self.alpha == 0.0 else _normalised(p.log() + self.alpha * ratio, p)  # 0 times infinity is none


@dataclass(frozen=True)
class ImplicitReward(Mixture):
    """The base's law, reweighted by the reward that alignment put into the proxy: p q / q0, normalised."""

    name: ClassVar[str] = "implicit-reward"
    needs: ClassVar[str] = "p q q0"
    about: ClassVar[About] = About("pi = p (q / q0) / Z", "none", "none", "authors' code (ar, spec_q)")

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q, q0 (..., V) -> p q / q0, normalised (..., V)."""
        return _normalised(p.log() + _log_ratio(q, _reference(q0)), p)


@dataclass(frozen=True)
class Contrastive(Mixture):
    """The base against the reference, p / q0, among the tokens of at least the share `alpha` of the base's best one."""

    alpha: float
    name: ClassVar[str] = "contrastive"
    needs: ClassVar[str] = "p q0"
    asks_proxy: ClassVar[bool] = False
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, 1.0, "0.1 is the published share")}
    about: ClassVar[About] = About("pi ~ 1[p_y >= alpha max p] p / q0", "none", "none", "Li et al., arXiv 2210.15097")

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q0 (..., V) -> p / q0 on the likely tokens, normalised (..., V); `q` is not read."""
        likely = ~below(p, self.alpha * highest(p))
        ratio = _log_ratio(p, _reference(q0)).masked_fill(~likely, -INFINITE)
        return _normalised(ratio, p)


CRITERIA = {
    "chow": Chow,
    "chow-log": EntropyGate,
    "diff": Diff,
    "opt": Opt,
    "token-v1": ConfidenceBet,
    "token-v2": ProxyVeto,
    "token-v3": ProxyMinP,
}


@dataclass(frozen=True)
class SpeculativeCascade(Mixture):
    """A speculative cascade as published: the small model writes, and hands over to the large one where it should.

    criterion: one of `CRITERIA`, whose rule decides with the two models' parts exchanged; alpha: that rule's
    parameter. Draws from q, and anew from p where the criterion hands over: (1 - r) q + (sum r q) p.
    """

    criterion: str
    alpha: float

    @property
    def about(self) -> About:  # type: ignore[override]
        """The criterion, which is its rule's with the models exchanged, as are the limits."""
        formula, base, proxy, _ = CRITERIA[self.criterion].about
        criterion = re.sub(r"\b[pq](?=_|\b)", lambda law: "q" if law[0] == "p" else "p", formula)
        return About(f"pi = (1 - r) q + (sum r q) p, r = {criterion}", proxy, base, "Narasimhan et al., ICLR 2025")

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise InputError(
                f"SpeculativeCascade: criterion must be one of {', '.join(CRITERIA)}, got {self.criterion!r}; "
                "choose one"
            )
        domain = CRITERIA[self.criterion].domains["alpha"]
        remedy = f"it is that of {CRITERIA[self.criterion].name}, with the models exchanged"
        check_number(self.name, "alpha", self.alpha, domain._replace(remedy=remedy))

    @property
    def name(self) -> str:  # type: ignore[override]
        """`cascade-` and the criterion."""
        return f"cascade-{self.criterion}"

    @property
    def domains(self) -> dict[str, Domain]:  # type: ignore[override]
        """The criterion's."""
        return self.mirrored().domains

    def parameters(self) -> dict[str, float]:
        """The criterion's parameter."""
        return {"alpha": self.alpha}

    def mirrored(self) -> Rule:
        """The rule that decides as this one does, with the base in the place of the small model."""
        return CRITERIA[self.criterion](self.alpha)

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p, q (..., V) -> (1 - r) q + (sum r q) p (..., V)."""
        return policy.cascade(q, p, self.mirrored().defer(q, p))

    def propose(self, p: Law, q: Law | None = None, q0: Law | None = None, state: Tensor | None = None) -> Proposal:
        """As for any rule: decided at temperature 1, drawn at another."""
        of_proxy = given(q)
        return Proposal(policy.cascade(of_proxy.drawn, p.drawn, self.mirrored().defer(of_proxy.own, p.own)), None)


def _reference(q0: Tensor | None) -> Tensor:
    if q0 is None:
        raise InputError("rules: this law needs the reference's q0, got None; pass the proxy before alignment")
    return q0


def _log_ratio(above: Tensor, under: Tensor) -> Tensor:
    """log(above / under), minus infinity where either is 0."""
    return (above.log() - under.log()).masked_fill((above == 0) | (under == 0), -INFINITE)


def _normalised(logits: Tensor, otherwise: Tensor) -> Tensor:
    """softmax(logits) (..., V); the law `otherwise` in rows that leave no token."""
    logits = logits.nan_to_num(nan=-INFINITE, neginf=-INFINITE, posinf=INFINITE)
    pi = logits.softmax(-1)
    return pi.where(logits.amax(-1, keepdim=True) > -INFINITE, otherwise)
