"""`exact` beside the solvers that people would take instead, on the same instances, each answer judged in rationals."""

import importlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np

from proxyalign.errors import InputError
from proxyalign.knapsack.exact import exact
from proxyalign.knapsack.instances import Instance
from proxyalign.knapsack.milp import modelling, usable_items
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rational import exact_sum
from proxyalign.knapsack.verdict import Reply, judge, reply

# The contestants. The cvxpy models come twice: as anyone would write them, under the solver's own settings, and as
# `oracle` asks, with a zero gap, scaled, and without HiGHS's presolve. OR-tools is its knapsack solver, branch and
# bound on 64-bit integers, without the reduction that is its default and takes the whole limit on large rows.
SOLVERS = ("exact", "HiGHS", "HiGHS zero-gap", "SCIP", "SCIP zero-gap", "OR-tools")
INTEGER_SUM = 2.0**52  # of the scaled values and of the scaled weights: OR-tools multiplies and adds in 64 bits


@dataclass(frozen=True, eq=False)
class Case:
    """An instance of the contest: what it is called, where it comes from, and the problem.

    integers: the instance that the problem was scaled from, which OR-tools then solves as it is.
    """

    name: str
    source: str
    problem: DeferralProblem
    integers: Instance | None = None


def contest(
    cases: Sequence[Case],
    *,
    limit: float,
    rivals: Sequence[str] = SOLVERS[1:],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """`exact` and its rivals on every case, one after the other; one record a case, answers judged beside one another.

    rivals: names out of `SOLVERS`; limit: seconds for each solver on each case, which each keeps by itself and may
    overrun a little. What compiles or loads on first use is done before. An answer is judged against the best value
    that any of them found within the budget, and against the bound that `exact` proved. progress(done, total) counts
    the solves.

    Raises InputError where cvxpy, a solver or OR-tools is missing, for an unknown name, a limit that is not positive,
    and where there is no case.
    """
    if not 0.0 < limit < math.inf:
        raise InputError(f"bench exact: limit must be a positive number of seconds, got {limit}; pass for example 60")
    if not cases:
        raise InputError(
            "bench exact: there must be an instance to solve, got none; raise --instances, or add --classes"
        )
    for rival in rivals:
        if rival not in SOLVERS[1:]:
            raise InputError(
                f"bench exact: rivals must be among {', '.join(SOLVERS[1:])}, got {rival!r}; choose some of those"
            )
        if rival == "OR-tools":
            _knapsack_solver()
        else:
            modelling("bench exact", _engine(rival))
    small = Case("small", "", DeferralProblem.from_probs([0.3, 0.25, 0.2, 0.15, 0.1], budget=0.56))
    _records([small], limit, rivals, lambda done, total: None)
    return _records(cases, limit, rivals, progress)


def _records(
    cases: Sequence[Case], limit: float, rivals: Sequence[str], progress: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    records = []
    n_solvers = 1 + len(rivals)
    total = len(cases) * n_solvers
    for number, case in enumerate(cases):
        progress(number * n_solvers, total)
        start = time.perf_counter()
        solution = exact(case.problem, time_limit=limit)
        seconds = time.perf_counter() - start
        claim = "optimal" if solution.is_optimal else "stopped by the limit"
        replies = {"exact": Reply(solution.deferred, claim, solution.is_optimal, seconds)}
        for place, solver in enumerate(rivals, start=1):
            progress(number * n_solvers + place, total)
            replies[solver] = _ortools(case, limit) if solver == "OR-tools" else _modelled(solver, case.problem, limit)
        records.append(_judged(case, solution, replies))
    progress(total, total)
    return records


def _engine(rival: str) -> str:
    """The solver as cvxpy calls it."""
    return rival.split()[0].upper()


def _modelled(rival: str, problem: DeferralProblem, limit: float) -> Reply:
    """The answer through cvxpy, as the solver's own settings or `oracle`'s have it."""
    return reply(problem, _engine(rival), time_limit=limit, as_it_comes=" " not in rival)


def _judged(case: Case, solution: Solution, replies: dict[str, Reply]) -> dict[str, Any]:
    """The record of a case: the instance, and for each solver what its answer is worth.

    The value to reach is the best one of all sets within the budget, not `exact`'s own, so that `exact` can lose.
    """
    problem = case.problem
    fitting = [
        answer.deferred for answer in replies.values() if exact_sum(problem.weights[answer.deferred]) <= problem.budget
    ]
    best = max(fitting, key=lambda deferred: exact_sum(problem.values[deferred]))
    known = problem.solution(best, max(Fraction(solution.upper_bound), exact_sum(problem.values[best])), 0.0, "best")
    told = ("claim", "judgement", "value", "mass", "over_budget", "shortfall", "gap", "seconds")
    answers = {}
    for solver, answer in replies.items():
        verdict = judge(problem, solver, answer, known)
        answers[solver] = {key: getattr(verdict, key) for key in told}
        answers[solver]["gap"] = verdict.gap if math.isfinite(verdict.gap) else None
    return {
        "name": case.name,
        "source": case.source,
        "n_items": len(problem),
        "budget": problem.budget,
        "largest_weight": float(problem.weights.max()),
        "answers": answers,
    }


def summary(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each solver: how many of its answers were what, and its times in seconds; slower: the median over cases of
    its time by that of `exact` on the same case, a lower bound where it ran into the limit."""
    lines = []
    for solver in records[0]["answers"]:
        answers = [record["answers"][solver] for record in records]
        ratios = [record["answers"][solver]["seconds"] / record["answers"]["exact"]["seconds"] for record in records]
        judgements = [answer["judgement"] for answer in answers]
        lines.append(
            {
                "solver": solver,
                "n": len(answers),
                "certified": judgements.count("certified"),
                "within_tolerance": judgements.count("within tolerance"),
                "wrong": judgements.count("wrong"),
                "unfinished": judgements.count("unfinished"),
                "over_budget": sum(answer["over_budget"] > 0.0 for answer in answers),
                "median_seconds": median(answer["seconds"] for answer in answers),
                "worst_seconds": max(answer["seconds"] for answer in answers),
                "slower": median(ratios),
            }
        )
    return lines


def _knapsack_solver() -> Any:
    """OR-tools' knapsack module, or InputError where OR-tools is missing."""
    try:
        return importlib.import_module("ortools.algorithms.python.knapsack_solver")
    except ImportError as missing:
        raise InputError(
            "bench exact: ortools must be installed, got none; run pip install 'proxyalign[oracle,bench]'"
        ) from missing


def _ortools(case: Case, limit: float) -> Reply:
    """The answer of OR-tools' own knapsack solver, which needs integers.

    Weights are rounded up and the capacity down, so that what it chooses fits; values are rounded down.
    """
    module = _knapsack_solver()
    problem = case.problem
    start = time.perf_counter()
    usable = usable_items(problem)
    if case.integers is not None:
        values, weights, capacity = case.integers.values, case.integers.weights, case.integers.capacity
        values, weights = values[usable], weights[usable]
    else:
        unit = INTEGER_SUM / float(problem.weights[usable].sum())
        weights = np.ceil(problem.weights[usable] * unit).astype(np.int64)
        capacity = int(problem.budget * unit)
        worth = float(problem.values[usable].sum()) or 1.0
        values = np.floor(problem.values[usable] * (INTEGER_SUM / worth)).astype(np.int64)
    solver = module.KnapsackSolver(module.SolverType.KNAPSACK_MULTIDIMENSION_BRANCH_AND_BOUND_SOLVER, "contest")
    solver.set_use_reduction(False)
    solver.set_time_limit(limit)
    solver.init(values.tolist(), [weights.tolist()], [capacity])
    solver.solve()
    deferred = problem.weights == 0.0
    deferred[usable[[solver.best_solution_contains(item) for item in range(usable.size)]]] = True
    is_claimed = bool(solver.is_solution_optimal())
    return Reply(deferred, "optimal" if is_claimed else "stopped by the limit", is_claimed, time.perf_counter() - start)
