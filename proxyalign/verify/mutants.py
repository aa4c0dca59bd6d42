"""Mutants: deliberately broken variants of the functions under test, each of which some statement must catch.

A statement that no mutant can fail checks nothing. The list is code; a mutant that survives fails the run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proxyalign import knapsack
from proxyalign.deferral import policy, rules
from proxyalign.knapsack import Certificate, DeferralProblem, LPBound, Solution
from proxyalign.verify.claims import Claim
from proxyalign.verify.implementation import OURS, Implementation
from proxyalign.verify.statements import STATEMENTS, Statement
from proxyalign.verify.tally import make_case

MOST_CASES = 2000  # of each statement that may catch a mutant; most are caught within ten


@dataclass(frozen=True)
class Mutant:
    """One defect: its name, the statements that may catch it, and the functions that it breaks."""

    name: str
    statements: tuple[int, ...]
    broken: dict[str, Callable[..., Any]]

    @property
    def code(self) -> Implementation:
        """The functions under test with the broken ones in place."""
        return replace(OURS, **self.broken)


@dataclass(frozen=True)
class Kill:
    """What caught a mutant: the statement's number, the claim that failed, and how many cases it took."""

    statement: int
    claim: Claim
    n_cases: int


def hunt(mutant: Mutant, seed: int = 0, n_cases: int = MOST_CASES) -> Kill | None:
    """The first claim that the mutant fails, or None where it survives `n_cases` of each of its statements."""
    for number in mutant.statements:
        kill = _hunt_with(STATEMENTS[number - 1], mutant.code, seed, n_cases)
        if kill is not None:
            return kill
    return None


def _hunt_with(statement: Statement, code: Implementation, seed: int, n_cases: int) -> Kill | None:
    for number in range(n_cases):
        for claim in statement.claims(make_case(statement, number, n_cases, seed, None), code):
            if not claim.holds:
                return Kill(statement.number, claim, number + 1)
    return None


def _solution(problem: DeferralProblem, deferred: NDArray[np.bool_]) -> Solution:
    """A set that is called optimal, so that only what it defers gives it away."""
    return replace(problem.solution(deferred, Fraction(math.fsum(problem.values)), 0.0, "mutant"), is_optimal=True)


def _prefix(problem: DeferralProblem, order: NDArray[np.intp], n_taken: int) -> Solution:
    deferred = np.zeros(len(problem), dtype=np.bool_)
    deferred[order[: max(0, n_taken)]] = True
    return _solution(problem, deferred)


def _primal_strict(problem: DeferralProblem) -> Solution:
    """Sum below the budget instead of at most the budget."""
    weights = problem.weights[problem.order]
    total, n_taken = Fraction(0), 0
    for weight in weights.tolist():
        total += Fraction(weight)
        if total >= Fraction(problem.budget):
            break
        n_taken += 1
    return _prefix(problem, problem.order, n_taken)


def _primal_by(key: Callable[[DeferralProblem], NDArray[np.float64]]) -> Callable[[DeferralProblem], Solution]:
    """The longest prefix in another order, by rising `key`."""

    def primal(problem: DeferralProblem) -> Solution:
        order = np.argsort(key(problem), kind="stable")
        return _prefix(problem, order, knapsack.prefix_that_fits(problem.weights[order], problem.budget))

    return primal


def _primal_moved(by: int) -> Callable[[DeferralProblem], Solution]:
    """The prefix with items too many or too few."""

    def primal(problem: DeferralProblem) -> Solution:
        return _prefix(problem, problem.order, OURS.primal(problem).n_deferred + by)

    return primal


def _primal_summed(dtype: type[np.floating[Any]]) -> Callable[[DeferralProblem], Solution]:
    """The prefix by a running sum of this dtype, its rounding never settled."""

    def primal(problem: DeferralProblem) -> Solution:
        sums = np.cumsum(problem.weights[problem.order].astype(dtype), dtype=dtype)
        return _prefix(problem, problem.order, int((sums <= dtype(problem.budget)).sum()))

    return primal


def _primal_high_ties(problem: DeferralProblem) -> Solution:
    """Ties from the highest index."""
    order = np.lexsort([-np.arange(len(problem)), -problem.densities])
    return _prefix(problem, order, knapsack.prefix_that_fits(problem.weights[order], problem.budget))


def _primal_skipping(problem: DeferralProblem) -> Solution:
    """Go on past the critical item and take what still fits."""
    deferred, room = np.zeros(len(problem), dtype=np.bool_), Fraction(problem.budget)
    for item in problem.order.tolist():
        weight = Fraction(float(problem.weights[item]))
        if weight <= room:
            deferred[item], room = True, room - weight
    return _solution(problem, deferred)


def _dual_not_strict(
    problem: DeferralProblem, alpha: float | None = None, *, multiplier: float | None = None
) -> Solution:
    """v >= lambda w instead of v > lambda w."""
    if alpha is not None:
        return _solution(problem, problem.weights <= alpha)
    return _solution(problem, problem.densities >= (multiplier or 0.0))


def _dual_turned(problem: DeferralProblem, alpha: float | None = None, *, multiplier: float | None = None) -> Solution:
    """Defer the likely tokens."""
    return _solution(problem, ~OURS.dual(problem, alpha=alpha, multiplier=multiplier).deferred)


def _dual_by_value(
    problem: DeferralProblem, alpha: float | None = None, *, multiplier: float | None = None
) -> Solution:
    """The value instead of the density."""
    price = multiplier if alpha is None else -math.log(alpha) if alpha else math.inf
    return _solution(problem, problem.values > (price or 0.0))


def _dual_single(problem: DeferralProblem, alpha: float | None = None, *, multiplier: float | None = None) -> Solution:
    """alpha rounded to float32 before the comparison."""
    if alpha is not None:
        return _solution(problem, problem.weights < float(np.float32(alpha)))
    return OURS.dual(problem, multiplier=multiplier)


def _half_of_prefix(problem: DeferralProblem) -> Solution:
    """The prefix alone."""
    return OURS.primal(problem)


def _half_too_heavy(problem: DeferralProblem) -> Solution:
    """The critical item counts though it is heavier than the budget."""
    prefix, critical = OURS.primal(problem), OURS.lp_bound(problem).critical
    if critical is None or problem.values[critical] <= prefix.value:
        return prefix
    return _solution(problem, np.arange(len(problem)) == critical)


def _bound_without_critical(problem: DeferralProblem) -> LPBound:
    found = OURS.lp_bound(problem)
    value = found.bound - (Fraction(problem.budget) - Fraction(found.prefix_weight)) * found.price
    return replace(found, bound=value, value=float(value))


def _bound_next_critical(problem: DeferralProblem) -> LPBound:
    """The price of the item after the critical one."""
    found = OURS.lp_bound(problem)
    if found.n_prefix + 1 >= len(problem):
        return found
    item = int(problem.order[found.n_prefix + 1])
    price = Fraction(float(problem.values[item])) / Fraction(float(problem.weights[item]))
    bound = found.bound + (price - found.price) * (Fraction(problem.budget) - Fraction(found.prefix_weight))
    return replace(found, critical=item, price=price, bound=bound, value=knapsack.rational.round_up(bound))


def _bound_rounded_down(problem: DeferralProblem) -> LPBound:
    found = OURS.lp_bound(problem)
    return replace(found, value=math.nextafter(found.value, 0.0))


def _certificate(problem: DeferralProblem, price: float | Fraction | None, negative: bool, share: int) -> Certificate:
    """L with the surplus of every item where `negative`, and with `share` times lambda b."""
    right = OURS.certificate(problem, price)
    by = Fraction(right.multiplier)
    surplus = [
        Fraction(value) - by * Fraction(weight)
        for value, weight in zip(problem.values.tolist(), problem.weights.tolist(), strict=True)
    ]
    kept = sum((one for one in surplus if negative or one > 0), Fraction(0))
    return Certificate(right.multiplier, share * by * Fraction(problem.budget) + kept)


def _exact_is_primal(problem: DeferralProblem) -> Solution:
    return OURS.primal(problem)


def _exact_over(problem: DeferralProblem) -> Solution:
    """A budget that is larger by a tolerance, as a solver with one has it."""
    loose = DeferralProblem(problem.values, problem.weights, problem.budget + 1e-6)
    return _solution(problem, OURS.exact(loose).deferred)


def _cascade_q_for_p(p: Tensor, q: Tensor, deferred: Tensor) -> Tensor:
    """The deferral mass under q."""
    return p * ~deferred + (q * deferred).sum(-1, keepdim=True) * q


def _cascade_masked(p: Tensor, q: Tensor, deferred: Tensor) -> Tensor:
    """The proxy's law on deferred tokens alone."""
    return p * ~deferred + q * deferred


def _flat_primal_rule(p: Tensor, budget: float) -> Tensor:
    """One budget shared by all rows, which is that of one row times their number."""
    return rules.Primal(budget).defer(p.reshape(1, -1) / len(p)).reshape(p.shape)


def _single_primal_rule(p: Tensor, budget: float) -> Tensor:
    """The running sum in float32."""
    law, order = p.float().sort(dim=-1, stable=True)
    return torch.zeros_like(p, dtype=torch.bool).scatter_(-1, order, law.cumsum(-1) <= budget)


def _bonus_always(p: Tensor, deferred: Tensor) -> tuple[Tensor, Tensor]:
    """The bonus emitted although it is deferred."""
    return p, torch.zeros_like(p[..., 0])


def _bonus_normalised(p: Tensor, deferred: Tensor) -> tuple[Tensor, Tensor]:
    """The bonus drawn from the kept tokens, so that no draft is ever owed."""
    kept = p * ~deferred
    total = kept.sum(-1, keepdim=True)
    return (kept / total).where(total > 0, p), torch.zeros_like(p[..., 0])


MUTANTS: tuple[Mutant, ...] = (
    Mutant("primal: < budget for <= budget", (1, 6), {"primal": _primal_strict}),
    Mutant("primal: prefix one item too long", (2, 7), {"primal": _primal_moved(1)}),
    Mutant("primal: prefix one item too short", (2,), {"primal": _primal_moved(-1)}),
    Mutant("primal: float32 cumulative sum", (2, 1), {"primal": _primal_summed(np.float32)}),
    Mutant("primal: float64 cumulative sum, unsettled", (1, 2), {"primal": _primal_summed(np.float64)}),
    Mutant("primal: ties from the highest index", (6,), {"primal": _primal_high_ties}),
    Mutant("primal: likeliest tokens first", (5,), {"primal": _primal_by(lambda problem: problem.densities)}),
    Mutant("primal: by value for by density", (5,), {"primal": _primal_by(lambda problem: -problem.values)}),
    Mutant("primal: fills up after the critical item", (7, 6), {"primal": _primal_skipping}),
    Mutant("dual: >= for >", (6,), {"dual": _dual_not_strict}),
    Mutant("dual: comparison turned round", (5,), {"dual": _dual_turned}),
    Mutant("dual: value for density", (5,), {"dual": _dual_by_value}),
    Mutant("dual: alpha in float32", (6,), {"dual": _dual_single}),
    Mutant("half: the prefix alone", (3,), {"half": _half_of_prefix}),
    Mutant("half: a critical item over the budget", (3,), {"half": _half_too_heavy}),
    Mutant("LP bound: critical item forgotten", (1, 2), {"lp_bound": _bound_without_critical}),
    Mutant("LP bound: critical item off by one", (2, 4), {"lp_bound": _bound_next_critical}),
    Mutant("LP bound: rounded down", (1,), {"lp_bound": _bound_rounded_down}),
    Mutant(
        "dual function: lambda b left out",
        (4,),
        {"certificate": lambda problem, price=None: _certificate(problem, price, False, 0)},
    ),
    Mutant(
        "dual function: negative surplus added",
        (4,),
        {"certificate": lambda problem, price=None: _certificate(problem, price, True, 1)},
    ),
    Mutant(
        "dual function: rounded down", (4,), {"dual_function": lambda *given: OURS.dual_function(*given) * (1 - 1e-15)}
    ),
    Mutant("exact: the primal's set", (2, 14), {"exact": _exact_is_primal}),
    Mutant("exact: a tolerance on the budget", (2,), {"exact": _exact_over}),
    Mutant("cascade: q for p in the deferral mass", (8,), {"cascade": _cascade_q_for_p}),
    Mutant("cascade: q on the deferred tokens alone", (10, 8), {"cascade": _cascade_masked}),
    Mutant(
        "deferral mass: of the kept tokens", (8, 13), {"deferral_mass": lambda p, deferred: (p * ~deferred).sum(-1)}
    ),
    Mutant("deferral mass: number of tokens", (13,), {"deferral_mass": lambda p, deferred: deferred.double().mean(-1)}),
    Mutant("primal rule: one budget for all positions", (8,), {"primal_rule": _flat_primal_rule}),
    Mutant("primal rule: float32 cumulative sum", (8,), {"primal_rule": _single_primal_rule}),
    Mutant("dual rule: <= for <", (8,), {"dual_rule": lambda p, alpha: p <= alpha}),
    Mutant("acceptance: q for pi", (9,), {"acceptance": lambda pi, q: q.minimum(q).sum(-1)}),
    Mutant("acceptance: product for minimum", (9,), {"acceptance": lambda pi, q: (pi * q).sum(-1)}),
    Mutant("test: q / pi for pi / q", (10,), {"accept": lambda pi, q: (q / pi).clamp(max=1.0).where(pi > 0, 1.0)}),
    Mutant("test: q for pi, so that every draft passes", (10,), {"accept": lambda pi, q: torch.ones_like(pi)}),
    Mutant("residual: forgotten, a draw from pi", (10,), {"residual": lambda pi, q: pi}),
    Mutant("residual: q - pi for pi - q", (10,), {"residual": lambda pi, q: policy.residual(q, pi)}),
    Mutant("residual: not normalised", (10,), {"residual": lambda pi, q: (pi - q).clamp_min(0)}),
    Mutant("bonus: emitted although deferred", (11,), {"bonus": _bonus_always}),
    Mutant("bonus: drawn from the kept tokens", (11,), {"bonus": _bonus_normalised}),
    Mutant("bonus: the owed draft is tested", (11,), {"owed_accept": lambda chance: chance}),
    Mutant(
        "tokens a cycle: no bonus",
        (12,),
        {"tokens_per_cycle": lambda rate, window: OURS.tokens_per_cycle(rate, window - 1)},
    ),
    Mutant(
        "tokens a cycle: the quotient near 1",
        (12,),
        {"tokens_per_cycle": lambda rate, window: window + 1 if rate == 1 else (1 - rate ** (window + 1)) / (1 - rate)},
    ),
    Mutant(
        "hybrid: b - D for D - b",
        (15,),
        {"next_multiplier": lambda now, mass, budget, rate: max(0.0, now + rate * (budget - mass))},
    ),
    Mutant(
        "hybrid: no floor at 0",
        (15,),
        {"next_multiplier": lambda now, mass, budget, rate: now + rate * (mass - budget)},
    ),
    Mutant("hybrid: the multiplier stays", (15,), {"next_multiplier": lambda now, mass, budget, rate: now}),
    Mutant("dual: value for density, over many steps", (14,), {"dual": _dual_by_value}),
)
