"""What a solver's answer is worth: added up in rationals, and held against proved bounds and known values."""

import math
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.approximations import GAP, half
from proxyalign.knapsack.oracle.milp import ask, check_limit, modelling, usable_items
from proxyalign.knapsack.oracle.solvers import bound_of_usable
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rationals import exact_sum, round_up

TOLERANCE = 1e-9  # relative, of the budget and of the value: what the solvers that are asked promise to keep

Judgement = Literal["certified", "within tolerance", "wrong", "unfinished"]


@dataclass(frozen=True, eq=False)
class Reply:
    """What a solver says: a set (n,) bool, its word for how it ended, whether it claims an optimum; and its time."""

    deferred: NDArray[np.bool_]
    claim: str
    is_claimed: bool
    seconds: float


@dataclass(frozen=True, eq=False)
class OracleVerdict:
    """A set that a solver answered with, as it came, and what exact arithmetic says of it.

    judgement: "certified" for a set that fits and is worth a proved upper bound within 1e-12, whatever the solver says;
    "wrong" for one that is over the budget, or that is called optimal and is worth less than a known value, by more
    than 1e-9 of it; "unfinished" where the solver itself says that it stopped early, without a set or with one that
    fits and is worth less than a known value; "within tolerance" for all else: what is amiss is at most 1e-9,
    or nothing that is known can tell.

    deferred: (n,) bool, the set; value, mass: its exact sums, rounded once; over_budget: by what share of the budget
    its mass exceeds that, 0.0 where it fits; shortfall: by what share the known value exceeds its own, 0.0 where it
    does not; gap: by what share of its own value the proved upper bound exceeds that, infinite for a set worth nothing
    under a bound that is not (all three from rationals, rounded up); claim: the solver's word; seconds: until it
    answered, the building of the model included.
    """

    solver: str
    claim: str
    judgement: Judgement
    deferred: NDArray[np.bool_]
    value: float
    mass: float
    over_budget: float
    shortfall: float
    gap: float
    seconds: float


def oracle_verdict(
    problem: DeferralProblem,
    solver: str = "HIGHS",
    known: Solution | float | None = None,
    *,
    time_limit: float | None = None,
    as_it_comes: bool = False,
) -> OracleVerdict:
    """Ask `solver` once, and judge the set that it answers with: nothing is ruled out, repaired or asked again.

    solver: "HIGHS" or "SCIP"; known: a value that some set within the budget has, or a Solution, whose proved upper
    bound then counts too; None for the better of the prefix and the critical item, which anyone can find.
    as_it_comes: the plain cvxpy model under the solver's own defaults, to see what these do; else as in `oracle`.

    Raises InputError as `oracle` does, and for a known value that is negative or not finite.
    """
    name = f"{solver}, as it comes" if as_it_comes else solver
    return judge(problem, name, reply(problem, solver, time_limit=time_limit, as_it_comes=as_it_comes), known)


def reply(
    problem: DeferralProblem, solver: str, *, time_limit: float | None = None, as_it_comes: bool = False
) -> Reply:
    """What `solver` answers when it is asked once, unjudged; see `oracle_verdict`."""
    check_limit("oracle_verdict", time_limit)
    modelling("oracle_verdict", solver)
    start = time.perf_counter()
    deferred, claim, is_claimed = problem.weights == 0.0, "nothing to choose", True
    usable = usable_items(problem)
    if usable.size:
        answer = ask(problem, [usable], solver, time_limit, n_cuts=0, as_it_comes=as_it_comes)
        deferred[answer.chosen] = True
        claim, is_claimed = answer.claim, answer.is_claimed
    return Reply(deferred, claim, is_claimed, time.perf_counter() - start)


def judge(problem: DeferralProblem, solver: str, answer: Reply, known: Solution | float | None = None) -> OracleVerdict:
    """The verdict on an answer, whoever gave it; `known` is that of `oracle_verdict`."""
    deferred = answer.deferred
    bound, best = _known(problem, known)
    value, mass, budget = exact_sum(problem.values[deferred]), exact_sum(problem.weights[deferred]), problem.budget
    over = _share(mass - Fraction(budget), Fraction(budget))
    short = _share(best - value, best)
    gap = _share(bound - value, value)
    judgement: Judgement = "within tolerance"
    if over > TOLERANCE or (short > TOLERANCE and answer.is_claimed):
        judgement = "wrong"
    elif over == 0.0 and gap <= GAP:
        judgement = "certified"
    elif short > TOLERANCE or not (answer.is_claimed or deferred.any()):
        judgement = "unfinished"
    return OracleVerdict(
        solver=solver,
        claim=answer.claim,
        judgement=judgement,
        deferred=deferred,
        value=float(value),
        mass=float(mass),
        over_budget=over,
        shortfall=short,
        gap=gap,
        seconds=answer.seconds,
    )


def _known(problem: DeferralProblem, known: Solution | float | None) -> tuple[Fraction, Fraction]:
    """A proved upper bound on the optimum, and the largest value that is known of a set within the budget."""
    bound = bound_of_usable(problem)
    if known is None:
        known = half(problem)
    if isinstance(known, Solution):
        if known.deferred.size != len(problem):
            raise InputError(
                f"oracle_verdict: known must be of the same {len(problem)} items, got a solution of "
                f"{known.deferred.size}; pass one of this problem"
            )
        return min(bound, Fraction(known.upper_bound)), exact_sum(problem.values[known.deferred])
    if not 0.0 <= known < math.inf:
        raise InputError(f"oracle_verdict: known must be finite and at least 0, got {known}; pass a set's value")
    return bound, Fraction(known)


def _share(excess: Fraction, whole: Fraction) -> float:
    """excess / whole rounded up, 0.0 where there is no excess, infinite where there is one over nothing."""
    if excess <= 0:
        return 0.0
    return round_up(excess / whole) if whole else math.inf
