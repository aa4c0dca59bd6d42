"""`exact` beside the solvers that people would take instead, on the same instances, each answer judged in rationals."""

import math
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import median
from typing import Any

from proxyalign.errors import InputError
from proxyalign.knapsack.exact.solver import exact
from proxyalign.knapsack.oracle.judgement import Reply, judge
from proxyalign.knapsack.oracle.other_solvers import RIVALS, SMALL, Apart, Case, check_rival
from proxyalign.knapsack.problem import Solution
from proxyalign.knapsack.rationals import exact_sum

SOLVERS = ("exact", *RIVALS)


def contest(
    cases: Sequence[Case],
    *,
    limit: float,
    rivals: Sequence[str] = RIVALS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """`exact` and its rivals on every case, one after the other; one record a case, answers judged beside one another.

    rivals: names out of `RIVALS`; limit: seconds for each solver on each case; a rival that goes on for 5 seconds more
    is stopped. What compiles or loads on first use is done before. An answer is judged against the best value
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
        check_rival(rival)
    exact(SMALL.problem, time_limit=limit)  # compiles
    records = []
    n_solvers = 1 + len(rivals)
    total = len(cases) * n_solvers
    with Apart() as apart:
        for number, case in enumerate(cases):
            progress(number * n_solvers, total)
            start = time.perf_counter()
            solution = exact(case.problem, time_limit=limit)
            seconds = time.perf_counter() - start
            claim = "optimal" if solution.is_optimal else "stopped by the limit"
            replies = {"exact": Reply(solution.deferred, claim, solution.is_optimal, seconds)}
            for place, rival in enumerate(rivals, start=1):
                progress(number * n_solvers + place, total)
                replies[rival] = apart.ask(rival, case, limit)
            records.append(_judged(case, solution, replies))
    progress(total, total)
    return records


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
