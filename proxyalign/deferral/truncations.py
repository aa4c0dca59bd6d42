"""Truncation samplers as rules: the tokens that a sampler would cut off are the deferred ones; and, as controls, alone.

min_keep: 1 keeps a token whatever the sampler says, as samplers do, so that the proxy alone is out of reach; 0 lets the
rule defer all of them. Which token that is, each sampler says.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from proxyalign.deferral import policy
from proxyalign.deferral.law import Law, widen
from proxyalign.deferral.prefix import longest_prefix
from proxyalign.deferral.rule import (
    About,
    Proposal,
    Rule,
    below,
    entropy,
    everywhere,
    highest,
    rounded_up,
    smallest_not_below,
)
from proxyalign.errors import InputError
from proxyalign.validation import Domain

KEEPS = Domain(0, 1, "pass 1 to keep a token always, or 0", whole=True)
TRANSFORMERS = "as a sampler in transformers"


class Sampler(Rule, ABC):
    """A rule that defers what a sampler cuts off."""

    min_keep: int

    @abstractmethod
    def kept(self, p: Tensor) -> Tensor:
        """p (..., V) -> the sampler's set (..., V) bool, before `min_keep`."""

    def defer(self, p: Tensor, q: Tensor | None = None, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> what the sampler cuts off (..., V) bool."""
        kept = self.kept(p)
        return ~(kept | self.floor(p, kept)) if self.min_keep else ~kept

    def floor(self, p: Tensor, kept: Tensor) -> Tensor:
        """What `min_keep` adds to the set (..., V): the first likeliest token of rows of which nothing is kept."""
        likeliest = torch.zeros_like(kept).scatter_(-1, p.argmax(-1, keepdim=True), True)
        return likeliest & ~kept.any(-1, keepdim=True)


@dataclass(frozen=True)
class TopK(Sampler):
    """Keep the `k` likeliest tokens and what ties with the last of them."""

    k: int
    min_keep: int = 1
    name: ClassVar[str] = "top-k"
    domains: ClassVar[dict[str, Domain]] = {
        "k": Domain(1, math.inf, "it is a number of tokens", whole=True),
        "min_keep": KEEPS,
    }
    about: ClassVar[About] = About("1[p_y < k-th largest p]", "k = V", "none", TRANSFORMERS)

    def kept(self, p: Tensor) -> Tensor:
        """p_y >= the k-th largest."""
        k = int(min(self.k, p.shape[-1]))
        return p >= p.topk(k, dim=-1).values[..., -1:]


@dataclass(frozen=True)
class TopP(Sampler):
    """Keep the likeliest tokens whose mass reaches `mass`: the primal at 1 - mass."""

    mass: float
    min_keep: int = 1
    name: ClassVar[str] = "top-p"
    domains: ClassVar[dict[str, Domain]] = {"mass": Domain(0.0, 1.0, "it is a probability mass"), "min_keep": KEEPS}
    about: ClassVar[About] = About("primal at 1 - mass", "mass = 1", "mass = 0, min_keep = 0", TRANSFORMERS)

    def kept(self, p: Tensor) -> Tensor:
        """All but the longest prefix by rising p whose sum fits 1 - mass."""
        if self.mass == 0.0:
            return torch.zeros_like(p, dtype=torch.bool)
        return ~longest_prefix(p, 1.0 - self.mass)


@dataclass(frozen=True)
class MinP(Sampler):
    """Keep the tokens of at least the share `alpha` of the likeliest one's probability."""

    alpha: float
    min_keep: int = 1
    name: ClassVar[str] = "min-p"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, 1.0, "it is a share of max p"), "min_keep": KEEPS}
    about: ClassVar[About] = About("1[p_y < alpha max p]", "alpha = 0", "none", "arXiv 2407.01082")

    def kept(self, p: Tensor) -> Tensor:
        """p_y >= alpha max p."""
        return ~below(p, self.alpha * highest(p))

    def threshold(self, p_max: Tensor) -> Tensor:
        """As `Rule.threshold`."""
        return rounded_up(self.alpha * p_max.double())  # whatever min_keep: no share of max p is above it


@dataclass(frozen=True)
class Epsilon(Sampler):
    """Keep the tokens of probability at least `alpha`: the dual, but for the likeliest token."""

    alpha: float
    min_keep: int = 1
    name: ClassVar[str] = "epsilon"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, 1.0, "it is a probability"), "min_keep": KEEPS}
    about: ClassVar[About] = About("1[p_y < alpha]", "alpha = 0", "none", TRANSFORMERS)

    def kept(self, p: Tensor) -> Tensor:
        """p_y >= alpha."""
        return widen(p) >= smallest_not_below(self.alpha, p.dtype)

    def threshold(self, p_max: Tensor) -> Tensor:
        """As `Rule.threshold`."""
        bound = everywhere(smallest_not_below(self.alpha, torch.float32), p_max)
        return bound.minimum(p_max) if self.min_keep else bound

    def floor(self, p: Tensor, kept: Tensor) -> Tensor:
        """The likeliest token and its ties."""
        return p >= p.amax(-1, keepdim=True)


@dataclass(frozen=True)
class Eta(Sampler):
    """Keep the tokens of probability at least min(alpha, sqrt(alpha) exp(-H(p)))."""

    alpha: float
    min_keep: int = 1
    name: ClassVar[str] = "eta"
    domains: ClassVar[dict[str, Domain]] = {"alpha": Domain(0.0, 1.0, "it is a probability"), "min_keep": KEEPS}
    about: ClassVar[About] = About("1[p_y < min(alpha, sqrt(alpha) exp(-H(p)))]", "alpha = 0", "none", TRANSFORMERS)

    def kept(self, p: Tensor) -> Tensor:
        """p_y >= min(alpha, sqrt(alpha) exp(-H(p)))."""
        return ~below(p, (math.sqrt(self.alpha) * torch.exp(-entropy(p))).clamp(max=self.alpha))

    def floor(self, p: Tensor, kept: Tensor) -> Tensor:
        """The likeliest token and its ties."""
        return p >= p.amax(-1, keepdim=True)


@dataclass(frozen=True)
class Typical(Sampler):
    """Keep the tokens whose surprisal is nearest to the entropy, until their mass reaches `mass`, ties included.

    The likeliest token may be among the deferred ones. At least one token is kept in any case: `min_keep` adds nothing.
    """

    mass: float
    min_keep: int = 0
    name: ClassVar[str] = "typical"
    domains: ClassVar[dict[str, Domain]] = {"mass": Domain(0.0, 1.0, "it is a probability mass"), "min_keep": KEEPS}
    about: ClassVar[About] = About("all but the tokens of least |-log p - H(p)|", "mass = 1", "none", TRANSFORMERS)

    def kept(self, p: Tensor) -> Tensor:
        """The set of least |-log p - H| whose mass reaches `mass`."""
        law = p.double()
        distance = (-law.log() - entropy(p)).abs()
        rising, order = distance.sort(dim=-1, stable=True)
        sums = law.gather(-1, order).cumsum(-1)
        last = (sums < self.mass).sum(-1, keepdim=True).clamp_max(p.shape[-1] - 1)
        kept: Tensor = distance <= rising.gather(-1, last)
        return kept


@dataclass(frozen=True)
class TopH(Sampler):
    """Keep the likeliest tokens while their share of the entropy of the top 100 is at most `share`."""

    share: float
    min_keep: int = 1
    name: ClassVar[str] = "top-h"
    domains: ClassVar[dict[str, Domain]] = {
        "share": Domain(0.0, 1.0, "it is a share of the entropy"),
        "min_keep": KEEPS,
    }
    about: ClassVar[About] = About("all but the top, sum -p log p <= share H", "none", "none", "arXiv 2509.02510")

    def kept(self, p: Tensor) -> Tensor:
        """The prefix by falling p, among the top 100 renormalised, whose entropy terms sum to at most share H."""
        top, order = p.double().topk(min(100, p.shape[-1]), dim=-1)
        terms = torch.special.entr(top / top.sum(-1, keepdim=True))
        kept = terms.cumsum(-1) <= self.share * terms.sum(-1, keepdim=True)
        return torch.zeros_like(p, dtype=torch.bool).scatter_(-1, order, kept)


@dataclass(frozen=True)
class TopNSigma(Sampler):
    """Keep the tokens whose logit is within `n` standard deviations of the largest: the same set at any temperature.

    Over the tokens of positive probability, where the published formula would have no number.
    """

    n: float
    min_keep: int = 1
    name: ClassVar[str] = "top-n-sigma"
    domains: ClassVar[dict[str, Domain]] = {
        "n": Domain(0.0, math.inf, "it counts standard deviations"),
        "min_keep": KEEPS,
    }
    about: ClassVar[About] = About("1[log p_y < max log p - n std(log p)]", "n -> inf", "none", "arXiv 2411.07641")

    def kept(self, p: Tensor) -> Tensor:
        """log p_y >= max log p - n std(log p)."""
        logits = p.double().log()
        possible = logits > -math.inf
        count = possible.sum(-1, keepdim=True)
        finite = logits.masked_fill(~possible, 0.0)
        mean = finite.sum(-1, keepdim=True) / count
        square = ((finite - mean) ** 2).masked_fill(~possible, 0.0).sum(-1, keepdim=True)
        deviation = (square / (count - 1).clamp_min(1)).sqrt()
        return logits >= logits.amax(-1, keepdim=True) - self.n * deviation


@dataclass(frozen=True)
class Processed(Sampler):
    """Defer what a LogitsProcessor of transformers sets to minus infinity.

    processor: called with (N, 0) ids and (N, V) log-probabilities, so it must look at the scores alone. Of the tokens
    that it leaves, the probabilities do not matter. min_keep: 1 keeps the likeliest token where it leaves none.
    """

    processor: Any
    min_keep: int = 1
    domains: ClassVar[dict[str, Domain]] = {"min_keep": KEEPS}
    name: ClassVar[str] = "processed"
    about: ClassVar[About] = About("1[the processor cuts y off]", "-", "-", "any LogitsProcessor of transformers")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.processor) or isinstance(self.processor, type):
            raise InputError(
                f"Processed: processor must be a LogitsProcessor, got {self.processor!r}; pass a warper of transformers"
            )

    def parameters(self) -> dict[str, Any]:
        """None that are numbers."""
        return {}

    def __str__(self) -> str:
        return f"{self.name}({type(self.processor).__name__})"

    def kept(self, p: Tensor) -> Tensor:
        """Where the processed log p is above minus infinity. Raises InputError for an answer of another shape."""
        scores = widen(p).reshape(-1, p.shape[-1]).log()
        ids = torch.empty(len(scores), 0, dtype=torch.long, device=p.device)
        processed = self.processor(ids, scores.clone())
        if getattr(processed, "shape", None) != scores.shape:
            raise InputError(
                f"Processed: processor must return scores of the shape that it got, {tuple(scores.shape)}, got "
                f"{tuple(processed.shape) if isinstance(processed, Tensor) else processed!r}; return the scores"
            )
        return ~torch.isneginf(processed).reshape(p.shape)


@dataclass(frozen=True)
class Truncated(Rule):
    """The base without a proxy, on the tokens that `rule` keeps: what remains of a rule when the proxy is taken away.

    The likeliest token is always kept (the first where several tie), as the samplers do: with Dual this is epsilon
    sampling, with Primal top-p sampling at 1 - budget. It is the control that tells the proxy's help from truncation's.
    """

    rule: Rule
    asks_proxy: ClassVar[bool] = False

    @property
    def about(self) -> About:  # type: ignore[override]
        """What `rule` defers, cut off."""
        return About(f"pi ~ (1 - d_y) p_y, d_y = {self.rule.about.formula}", self.rule.about.base, "none", "a control")

    @property
    def name(self) -> str:  # type: ignore[override]
        """`truncated-` and the name of the rule that truncates."""
        return f"truncated-{self.rule.name}"

    def __post_init__(self) -> None:
        is_rule = isinstance(self.rule, Rule) and not isinstance(self.rule, Truncated)
        if not is_rule or self.rule.needs != "p" or self.rule.start(1, torch.device("cpu")) is not None:
            raise InputError(
                f"Truncated: rule must be a deferral rule that reads one step of the base alone, such as Dual(0.4), "
                f"got {self.rule!r}; choose one of those"
            )

    @property
    def domains(self) -> dict[str, Domain]:  # type: ignore[override]
        """The truncating rule's."""
        return self.rule.domains

    @property
    def decides_on_host(self) -> bool:  # type: ignore[override]
        """As the truncating rule does."""
        return self.rule.decides_on_host

    def parameters(self) -> dict[str, Any]:
        """The truncating rule's parameters."""
        return self.rule.parameters()

    def keep(self, p: Tensor) -> Tensor:
        """p (..., V) -> kept (..., V) bool: what the rule does not defer, and the likeliest token."""
        kept = ~self.rule.defer(p)
        return kept.scatter(-1, p.argmax(-1, keepdim=True), True)

    def target(self, p: Tensor, q: Tensor, q0: Tensor | None = None) -> Tensor:
        """p (..., V) -> `p` on the kept tokens, normalised (..., V); `q` is not read."""
        return policy.restrict(p, self.keep(p))

    def propose(self, p: Law, q: Law | None = None, q0: Law | None = None, state: Tensor | None = None) -> Proposal:
        """As for any rule: the tempered law on the tokens kept at temperature 1; deferred is None."""
        return Proposal(policy.restrict(p.drawn, self.keep(p.own)), None)
