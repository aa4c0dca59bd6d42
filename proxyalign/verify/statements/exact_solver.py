"""What statement 2 asks of the exact solver: its set, its bound, its word on optimality, and the proofs of it.

A proof is asked for where it must fail too: for a set that is no optimum, one over the budget, and one that a twin of
one of its items outdoes by a millionth.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch

from proxyalign.deferral import rules
from proxyalign.knapsack import DeferralProblem, Solution, certify, exact, primal
from proxyalign.verify.cases import Knapsack
from proxyalign.verify.cases.extremes import FEW, Extreme
from proxyalign.verify.reference.integer_knapsack import MOST_ITEMS, IntegerKnapsack
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.exact_search import search_claims

GAP = 1e-12  # of `exact` where nothing else is asked for, relative
EXACT_GAP = Fraction(1, 10**12)
BEYOND = Fraction(2) ** 1024  # for an infinite bound
TWIN = 2.0**-20  # by how much less a twin is worth
LEAST_WORTH = 1e-290  # of which that is no subnormal number


def fits(whole: IntegerKnapsack, solution: Solution, name: str) -> Claim:
    """That a set's exact mass is within the budget."""
    return Claim(f"{name} fits the budget", whole.mass(solution.deferred), Fraction(whole.budget, whole.scale))


def bracket(whole: IntegerKnapsack, solution: Solution | None = None) -> tuple[Fraction, Fraction]:
    """Two rationals with OPT between them: the same one where it is found by hand, else the solution's own."""
    if solution is None or len(whole) <= MOST_ITEMS:
        best = whole.best()
        return best, best
    return whole.value(solution.deferred), _rational(solution.upper_bound)


def is_worth(whole: IntegerKnapsack, solution: Solution, low: Fraction, name: str, gap: float = GAP) -> Iterator[Claim]:
    """That a solution's numbers are those of its set, that its bound holds, and that it is not called optimal in vain.

    low: what the optimum is at least.
    """
    value, mass = whole.value(solution.deferred), whole.mass(solution.deferred)
    bound = _rational(solution.upper_bound)
    yield fits(whole, solution, name)
    yield Claim(f"{name}'s value is its sum, rounded", solution.value, float(value), "==")
    yield Claim(f"{name}'s mass is its sum, rounded", solution.mass, float(mass), "==")
    yield Claim(f"OPT <= {name}'s upper bound", low, bound)
    yield Claim(f"{name}'s value <= its upper bound", value, bound)
    if solution.is_optimal:
        yield Claim(f"{name} is called optimal only to its gap", low, value * (1 + Fraction(gap)))


def solved_exactly(case: Knapsack, prefix: Solution) -> Iterator[Claim]:
    """That `exact` and its rule find the optimum, and that what they find can be proved, and nothing else.

    prefix: the primal's answer.
    """
    whole, problem = case.in_integers, case.problem
    found = exact(problem)
    low, high = bracket(whole, found)
    yield from is_worth(whole, found, low, "the exact set")
    yield Claim("exact <= OPT", whole.value(found.deferred), high)
    yield Claim("OPT <= exact and its gap", low, whole.value(found.deferred) * (1 + EXACT_GAP))
    yield Claim("the exact set is called optimal", int(not found.is_optimal), 0, "==")
    if len(whole) > MOST_ITEMS:
        return
    if case.p is not None:
        deferred = rules.Exact(case.budget).defer(torch.from_numpy(case.p)).numpy()
        yield Claim("the exact rule's set fits the budget", whole.mass(deferred), Fraction(problem.budget))
        yield Claim("OPT <= the exact rule's set and its gap", low, whole.value(deferred) * (1 + EXACT_GAP))
    yield from _proofs(problem, whole, found, prefix, low)


def _proofs(
    problem: DeferralProblem, whole: IntegerKnapsack, found: Solution, prefix: Solution, low: Fraction
) -> Iterator[Claim]:
    """What certificates of the optimum and of other sets come to; low: what the optimum is at least."""
    verdict = certify(problem, found).check()
    yield Claim("the optimum's certificate is not refused", int(verdict.problem is not None), 0, "==")
    yield Claim("OPT <= what the certificate shows", low, verdict.upper_bound)
    if whole.value(prefix.deferred) * (1 + EXACT_GAP) < low:
        proof = certify(problem, prefix)
        every = replace(proof, fixed=np.ones(len(problem), dtype=np.bool_))
        yield Claim("no proof that the prefix is optimal where it is not", int(bool(proof.check())), 0, "==")
        yield Claim("nor one that settles every item", int(bool(every.check())), 0, "==")
    if sum(whole.weights) > whole.budget:
        all_of_them = replace(found, deferred=np.ones(len(problem), dtype=np.bool_))
        yield Claim("no proof for a set over the budget", int(bool(certify(problem, all_of_them).check())), 0, "==")
    dearest = int(np.argmax(np.where(found.deferred, problem.values, -1.0)))
    worth = float(problem.values[dearest])
    if found.deferred[dearest] and worth > LEAST_WORTH:
        values = np.append(problem.values, worth * (1.0 - TWIN))
        twin = DeferralProblem(values, np.append(problem.weights, problem.weights[dearest]), problem.budget)
        deferred = np.append(found.deferred, True)
        deferred[dearest] = False
        proof = certify(twin, replace(found, deferred=deferred))
        yield Claim("no proof for a set that a twin outdoes", int(bool(proof.check())), 0, "==")


def tried(case: Extreme) -> Iterator[Claim]:
    """That what `exact` says of a case of a wide dynamic range is true."""
    whole, problem = case.in_integers, case.problem
    found = exact(
        problem,
        gap=case.gap,
        time_limit=case.time_limit if case.time_limit < math.inf else None,
        memory_limit=case.memory_limit,
        start=case.start,
    )
    optimum, value, greedy = whole.best(), whole.value(found.deferred), primal(problem)
    yield from is_worth(whole, found, optimum, "the set found", case.gap)
    yield Claim("the set found <= OPT", value, optimum)
    yield Claim("G <= the set found", whole.value(greedy.deferred), value)
    if case.start is not None:
        yield Claim("the start <= the set found", whole.value(case.start), value)
    if not case.is_limited and len(whole) <= FEW:  # of which the sets are too few to fill any memory
        yield Claim("the set found is called optimal", int(not found.is_optimal), 0, "==")
    if case.in_parts:
        yield from search_claims(problem)
        if found.is_optimal and case.gap <= GAP:
            yield from _proofs(problem, whole, found, greedy, optimum)


def _rational(number: float) -> Fraction:
    return Fraction(number) if number < math.inf else BEYOND
