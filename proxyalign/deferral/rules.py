"""All rules by name: `rules.Dual(alpha=0.4)`, `rules.make("dual", alpha=0.4)`, and the table that describes them.

A rule acts on the last axis alone: every row (one position of one sequence) is decided from itself, whatever the
leading shape. `p` is the base's law, `q` the proxy's, both at temperature 1: floats (..., V), rows summing to 1. Four
rules do otherwise: `Hybrid`, `NudgingWords` and `WSD` follow a sequence, `PrimalPooled` a window.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from proxyalign.deferral.blending import BlendIn
from proxyalign.deferral.budgets import Advantage, Always, Dual, Exact, NearOptimal, Never, Primal, PrimalPooled
from proxyalign.deferral.comparisons import ConfidenceBet, Gap, ProxyDoubt, ProxyFavour, ProxyMinP, ProxyVeto
from proxyalign.deferral.divergences import FSD, JuDi
from proxyalign.deferral.gates import Chow, Diff, EntropyGate, Nudging, Opt
from proxyalign.deferral.handover import WSD
from proxyalign.deferral.hybrid import Hybrid
from proxyalign.deferral.mixtures import (
    CRITERIA,
    Contrastive,
    ImplicitReward,
    ProxyTuning,
    SpeculativeCascade,
    StaticMixture,
)
from proxyalign.deferral.rule import Mixture, Rule
from proxyalign.deferral.truncations import (
    Epsilon,
    Eta,
    MinP,
    Processed,
    TopH,
    TopK,
    TopNSigma,
    TopP,
    Truncated,
    Typical,
)
from proxyalign.deferral.words import NudgingWords
from proxyalign.errors import InputError

__all__ = [
    "CRITERIA", "FSD", "REGISTRY", "WSD", "Advantage", "Always", "BlendIn", "Chow", "ConfidenceBet", "Contrastive",
    "Diff", "Dual", "EntropyGate", "Epsilon", "Eta", "Exact", "Gap", "Hybrid", "ImplicitReward", "JuDi", "MinP",
    "Mixture", "NearOptimal", "Never", "Nudging", "NudgingWords", "Opt", "Primal", "PrimalPooled", "Processed",
    "ProxyDoubt", "ProxyFavour", "ProxyMinP", "ProxyTuning", "ProxyVeto", "Rule", "SpeculativeCascade",
    "StaticMixture", "TopH", "TopK", "TopNSigma", "TopP", "Truncated", "Typical", "make", "table",
]  # fmt: skip

_CLASSES: list[type[Rule]] = [
    Never, Always, Dual, Primal, NearOptimal, Exact, Advantage, Hybrid, PrimalPooled,
    Nudging, NudgingWords, WSD, Chow, EntropyGate, Diff, Opt, FSD, JuDi,
    ConfidenceBet, Gap, ProxyDoubt, ProxyFavour, ProxyVeto, ProxyMinP,
    TopK, TopP, MinP, Epsilon, Eta, Typical, TopH, TopNSigma,
    StaticMixture, BlendIn, ImplicitReward, ProxyTuning, Contrastive,
]  # fmt: skip
_TRUNCATING: list[type[Rule]] = [Dual, Primal]


def _truncated(rule: type[Rule]) -> Callable[..., Rule]:
    def build(**parameters: float) -> Rule:
        return Truncated(rule(**parameters))

    build.__signature__ = inspect.signature(rule)  # type: ignore[attr-defined]
    return build


# How each rule is built by name, and from which parameters.
REGISTRY: dict[str, Callable[..., Rule]] = {
    **{rule.name: rule for rule in _CLASSES},
    **{f"cascade-{criterion}": partial(SpeculativeCascade, criterion) for criterion in CRITERIA},
    **{f"truncated-{rule.name}": _truncated(rule) for rule in _TRUNCATING},
}


def make(name: str, /, **parameters: float) -> Rule:
    """The rule called `name`; raises InputError for an unknown name and for missing or other parameters."""
    if name not in REGISTRY:
        raise InputError(f"rules: name must be one of {', '.join(REGISTRY)}, got {name!r}; choose one of these")
    wanted = inspect.signature(REGISTRY[name]).parameters
    missing = {key for key, one in wanted.items() if one.default is inspect.Parameter.empty} - set(parameters)
    if missing or not set(parameters) <= set(wanted):
        takes = " and ".join(wanted) or "no parameter"
        given = ", ".join(parameters) or "none"
        raise InputError(f"rules: {name} takes {takes}, got {given}; pass what it takes and nothing else")
    return REGISTRY[name](**parameters)


def table() -> list[dict[str, Any]]:
    """One line a rule: its name, parameters with their domains, formula, what it needs, both limits, the source."""
    lines = []
    for name, build in REGISTRY.items():
        parameters = inspect.signature(build).parameters
        needed = [key for key, one in parameters.items() if one.default is inspect.Parameter.empty]
        rule = build(**dict.fromkeys(needed, 1))  # 1 is in the domain of every parameter without a default
        lines.append(
            {
                "name": name,
                "parameters": {key: list(rule.domains[key][:2]) for key in parameters},
                "formula": rule.about.formula,
                "needs": rule.needs,
                "always_base": rule.about.base,
                "always_proxy": rule.about.proxy,
                "source": rule.about.source,
            }
        )
    return lines
