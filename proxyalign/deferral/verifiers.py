"""Lossy verifiers: more drafts pass than do against pi, and the law of the text is no rule's; how far off is measured.

A verifier says against which law a draft is tested in pi's place, and so which law an emitted token has. `pi` is the
law that a rule makes, `q` the one that drafts come from, both as they are drawn: floats (..., V), rows summing to 1.
With pi = p (`rules.Never`) it is lossy speculative decoding as published. What is computed is float64.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from proxyalign.deferral.distances import DIVERGENCE, kullback_leibler
from proxyalign.deferral.mentored import most_accepted, sums_before, sums_from
from proxyalign.errors import InputError
from proxyalign.validation import Domain, check_number

__all__ = ["REGISTRY", "Cactus", "Distance", "Mentored", "Verifier", "make"]


class Distance(NamedTuple):
    """How far the law of a token is from pi: total_variation, and kl, which is KL(law || pi) in nats; float64 (...)."""

    total_variation: Tensor
    kl: Tensor


@dataclass(frozen=True)
class Verifier(ABC):
    """What a draft is tested against in pi's place; delta: how much may change, at least 0, where 0 changes nothing."""

    delta: float
    name: ClassVar[str]

    def __post_init__(self) -> None:
        check_number(type(self).__name__, "delta", self.delta, Domain(0.0, float("inf"), DIVERGENCE + "; 0 is exact"))

    def __str__(self) -> str:
        return f"{self.name}(delta={self.delta:g})"

    @abstractmethod
    def target(self, pi: Tensor, q: Tensor, drafts: Tensor) -> Tensor:
        """pi, q (..., V), drafts (...) int64 -> the law (..., V) that each draft is tested against.

        It passes with probability min(1, target / q), and is else replaced from max(0, target - q), normalised.
        """

    @abstractmethod
    def law(self, pi: Tensor, q: Tensor) -> Tensor:
        """pi, q (..., V) -> the law (..., V) of the token that is emitted, over all drafts."""

    def verified(self, pi: Tensor, q: Tensor, drafts: Tensor) -> tuple[Tensor, Tensor]:
        """`target` and `law` at once."""
        return self.target(pi, q, drafts), self.law(pi, q)

    def distance(self, pi: Tensor, q: Tensor) -> Distance:
        """pi, q (..., V) -> how far the law of the emitted token is from pi."""
        law = self.law(pi, q)
        return Distance(total_variation(law, pi), kullback_leibler(law, normalised(pi)).squeeze(-1))


class Mentored(Verifier):
    """The law that most drafts pass against, among all with KL(law || pi) <= delta in nats: clip(q, b pi, a pi).

    It is the same for every draft, so that the drafts' law is the emitted one. Statement and proof are in
    `deferral.mentored`. Published for the KL from the other side, KL(pi || law) (V. Tran-Thien, "An Optimal Lossy
    Variant of Speculative Decoding", 2023): the optimum lies in the same family, and delta names another member.
    """

    name: ClassVar[str] = "mentored"

    def target(self, pi: Tensor, q: Tensor, drafts: Tensor) -> Tensor:
        """The law itself, whatever the draft."""
        return self.law(pi, q)

    def verified(self, pi: Tensor, q: Tensor, drafts: Tensor) -> tuple[Tensor, Tensor]:
        """As for any verifier, solved once."""
        law = self.law(pi, q)
        return law, law

    def law(self, pi: Tensor, q: Tensor) -> Tensor:
        """As for any verifier."""
        return most_accepted(normalised(pi), normalised(q), self.delta)


class Cactus(Verifier):
    """A draft n is tested against h: h_n = min(1, pi_n + sqrt(2 delta pi_n (1 - pi_n))), and the rest scaled to fit.

    Each draft has a target of its own, pi with the draft's share raised and all others lowered by one factor, whose
    KL from pi is about delta, to second order; the law of the emitted token, over all drafts, is none of them. Where
    pi is certain nothing changes. Hao & Mou, ICLR 2026, arXiv 2604.04987 (their code: `cactus/cactus.py`), with pi in
    place of their verifier's law.
    """

    name: ClassVar[str] = "cactus"

    def target(self, pi: Tensor, q: Tensor, drafts: Tensor) -> Tensor:
        """As for any verifier: h of the draft that was drawn."""
        pi, draft = normalised(pi), drafts.unsqueeze(-1)
        raised = self._raised(pi)
        lowered = pi * _left_to_others(pi, raised).gather(-1, draft)
        return lowered.scatter(-1, draft, raised.gather(-1, draft))

    def law(self, pi: Tensor, q: Tensor) -> Tensor:
        """As for any verifier, added up over the drafts that are rejected.

        Draft n is rejected with probability w_n = max(0, q_n - h_n), and then replaced by y with probability
        max(0, s_n pi_y - q_y) / Z_n, where s_n is the factor of the others. Z_n is a sum over the tokens whose q / pi
        is below s_n, and what y gains one over the drafts whose s is above y's q / pi: with the tokens in order of
        q / pi, both are cumulated sums.
        """
        pi, q = normalised(pi), normalised(q)
        raised = self._raised(pi)
        rejected = (q - raised).clamp_min(0.0)
        factor = _left_to_others(pi, raised)
        ratio, order = (q / pi).nan_to_num(nan=torch.inf).sort(-1)
        of_pi, of_q = pi.gather(-1, order), q.gather(-1, order)
        n_below = torch.searchsorted(ratio, factor)  # how many tokens have q / pi < s_n
        excess = factor * sums_before(of_pi).gather(-1, n_below) - sums_before(of_q).gather(-1, n_below)
        # Z_n is no less than w_n, of which rounding may leave nothing.
        weight = (rejected / excess.maximum(rejected)).nan_to_num(nan=0.0)
        factors, weights = (  # of all drafts that the token in each place may replace
            sums_from(torch.zeros_like(sums_before(pi)).scatter_add(-1, n_below, terms))[..., 1:-1]
            for terms in (weight * factor, weight)
        )
        replaced = (of_pi * factors - of_q * weights).clamp_min(0.0)
        return q.minimum(raised).scatter_add(-1, order, replaced)

    def _raised(self, pi: Tensor) -> Tensor:
        """h_n of each token as the draft (..., V)."""
        return (pi + (2.0 * self.delta * pi * (1.0 - pi).clamp_min(0.0)).sqrt()).clamp(max=1.0)


REGISTRY: dict[str, type[Verifier]] = {one.name: one for one in (Cactus, Mentored)}


def make(name: str | None, delta: float | None) -> Verifier | None:
    """The verifier called `name`, None where there is neither name nor delta.

    Raises InputError for an unknown name, and for one of the two without the other.
    """
    if name is None and delta is None:
        return None
    if name is None or delta is None:
        given = f"the verifier {name} alone" if delta is None else f"delta = {delta:g} alone"
        raise InputError(f"verifiers: a verifier and its delta must come together, got {given}; pass both, or neither")
    if name not in REGISTRY:
        raise InputError(f"verifiers: name must be one of {', '.join(REGISTRY)}, got {name!r}; choose one of these")
    return REGISTRY[name](delta)


def normalised(law: Tensor) -> Tensor:
    """A law (..., V) in float64, whose rounded sum is made 1."""
    law = law.double()
    return law / law.sum(-1, keepdim=True)


def total_variation(law: Tensor, pi: Tensor) -> Tensor:
    """TV between a law in float64 and pi (..., V), whose rounded sum is made 1: float64 (...)."""
    return (law - normalised(pi)).abs().sum(-1) / 2.0


def _left_to_others(pi: Tensor, raised: Tensor) -> Tensor:
    """By which factor the others shrink where a token's share is raised (..., V); 0 where it has all."""
    return ((1.0 - raised) / (1.0 - pi)).nan_to_num(nan=0.0, posinf=0.0).clamp(0.0, 1.0)
