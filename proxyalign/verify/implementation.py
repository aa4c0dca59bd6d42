"""What is under test: every function that a statement receives, so that a broken one can be put in its place."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from proxyalign import knapsack
from proxyalign.decoding.window import tokens_per_cycle
from proxyalign.deferral import policy, rules
from proxyalign.knapsack import Certificate, DeferralProblem, LPBound, Solution


def primal_rule(p: Tensor, budget: float) -> Tensor:
    """The set (..., V) of the batched primal rule."""
    return rules.Primal(budget).defer(p)


def dual_rule(p: Tensor, alpha: float) -> Tensor:
    """The set (..., V) of the batched dual rule."""
    return rules.Dual(alpha).defer(p)


def accept(pi: Tensor, q: Tensor) -> Tensor:
    """The chance (..., V) that a draft drawn from `q` is accepted: min(1, pi / q) (statement 10)."""
    return (pi / q).clamp(max=1.0).where(q > 0.0, 1.0)


def bonus(p: Tensor, deferred: Tensor) -> tuple[Tensor, Tensor]:
    """After a window accepted whole: what is emitted from `p` (..., V), and the chance that a draft is owed (...)."""
    return p * ~deferred, policy.deferral_mass(p, deferred)


def owed_accept(chance: Tensor) -> Tensor:
    """The chance that an owed draft is emitted, whatever the test would say: 1 (statement 11)."""
    return chance.new_ones(chance.shape)


def next_multiplier(multiplier: float, mass: float, budget: float, rate: float) -> float:
    """The hybrid rule's update: max(0, lambda + eta (D - b)) (statement 15)."""
    return max(0.0, multiplier + rate * (mass - budget))


@dataclass(frozen=True)
class Implementation:
    """The functions under test; a mutant replaces one of them.

    The first group is the knapsack's (NumPy, one problem), the second the deferral's (torch, (..., V)), the third the
    decoder's.
    """

    primal: Callable[[DeferralProblem], Solution] = knapsack.primal
    half: Callable[[DeferralProblem], Solution] = knapsack.half
    dual: Callable[..., Solution] = knapsack.dual
    exact: Callable[[DeferralProblem], Solution] = knapsack.exact
    lp_bound: Callable[[DeferralProblem], LPBound] = knapsack.lp_bound
    certificate: Callable[..., Certificate] = knapsack.certificate
    dual_function: Callable[..., float] = knapsack.dual_function

    cascade: Callable[[Tensor, Tensor, Tensor], Tensor] = policy.cascade
    deferral_mass: Callable[[Tensor, Tensor], Tensor] = policy.deferral_mass
    acceptance: Callable[[Tensor, Tensor], Tensor] = policy.acceptance
    residual: Callable[[Tensor, Tensor], Tensor] = policy.residual
    primal_rule: Callable[[Tensor, float], Tensor] = primal_rule
    dual_rule: Callable[[Tensor, float], Tensor] = dual_rule

    accept: Callable[[Tensor, Tensor], Tensor] = accept
    bonus: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = bonus
    owed_accept: Callable[[Tensor], Tensor] = owed_accept
    tokens_per_cycle: Callable[[float, int], float] = tokens_per_cycle
    next_multiplier: Callable[[float, float, float, float], float] = next_multiplier


OURS = Implementation()
