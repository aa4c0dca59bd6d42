"""Knapsacks as integer programmes for the solvers behind cvxpy: how each is asked, and what it answers, unjudged."""

import math
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack.problem import DeferralProblem

# What each solver needs. Zero gaps, since HiGHS's default relative one of 1e-4 stops below the primal's own value; no
# presolve in HiGHS, since that of 1.14 and 1.15 lost optima (ERGO-Code/HiGHS #3073, #3094, #3271; SCIP's has not been
# seen to); the tightest tolerances that each keeps without complaint (SCIP's on the dual would fill stderr), and the
# least threshold of HiGHS below which it takes a weight for zero.
OPTIONS: dict[str, dict[str, Any]] = {
    "HIGHS": {
        "presolve": "off",
        "output_flag": False,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": 0.0,
        "mip_feasibility_tolerance": 1e-10,
        "primal_feasibility_tolerance": 1e-10,
        "dual_feasibility_tolerance": 1e-10,
        "small_matrix_value": 1e-12,
    },
    "SCIP": {
        "limits/gap": 0.0,
        "limits/absgap": 0.0,
        "numerics/feastol": 1e-9,
    },
}
TIME_LIMIT = {"HIGHS": "time_limit", "SCIP": "limits/time"}

# The solvers' tolerances are absolute: large numbers make them small beside the budget and the values. At 1 and 1,
# answers of 500 and 1,000 items were now and then over the budget by 1e-10, or short of the optimum by 1e-10.
BUDGET_SCALE = 2.0**20
VALUE_SCALE = 2.0**10
MOST_CUTS = 20  # far more than rounding has been seen to need

_GREETING = Lock()  # two threads that redirect stdout at once could put each other's redirection back


@dataclass(frozen=True)
class Answer:
    """The items that a solver chose, indices into the problem, and its own word for how it ended.

    is_claimed: whether the solver says that no set is better.
    """

    chosen: NDArray[np.intp]
    claim: str
    is_claimed: bool


def check_limit(owner: str, time_limit: float | None) -> None:
    """InputError unless the limit is a positive number of seconds, or None for no limit."""
    if time_limit is not None and not time_limit > 0.0:
        raise InputError(f"{owner}: time_limit must be above 0 seconds, got {time_limit}; pass None for no limit")


def modelling(owner: str, solver: str) -> ModuleType:
    """The cvxpy module, or InputError where it or the solver is missing."""
    try:
        import cvxpy
    except ImportError as missing:
        raise InputError(
            f"{owner}: cvxpy must be installed, got none; run pip install 'proxyalign[oracle]' or use exact"
        ) from missing
    installed = [name for name in OPTIONS if name in cvxpy.installed_solvers()]
    if solver not in installed:
        raise InputError(
            f"{owner}: solver must be an installed one of {', '.join(OPTIONS)}, got {solver!r} and the installed "
            f"{', '.join(installed) or 'none'}; choose one of them, or run pip install 'proxyalign[oracle]'"
        )
    if solver == "HIGHS":
        _silence_greeting()
    return cvxpy  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _silence_greeting() -> None:
    """Have HiGHS greet where nobody reads it: 1.16 prints to C's stdout, once, before any option can be set."""
    import highspy

    with _GREETING:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # first, so that descriptor 1 exists even where stdout is closed
        stdout = os.dup(1)
        try:
            os.dup2(nowhere, 1)
            highspy.Highs()  # type: ignore[no-untyped-call]
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
            os.close(nowhere)


def usable_items(problem: DeferralProblem) -> NDArray[np.intp]:
    """Indices of the items that a solver has to decide: those that weigh something and fit the budget alone."""
    return np.flatnonzero((problem.weights <= problem.budget) & (problem.weights > 0.0))


def ask(
    problem: DeferralProblem,
    steps: Sequence[NDArray[np.intp]],
    solver: str,
    time_limit: float | None,
    *,
    n_cuts: int = MOST_CUTS,
    spared: float = 0.0,
    as_it_comes: bool = False,
) -> Answer:
    """What `solver` chooses among the items of `steps`, which share the one budget of `problem`.

    The programme: maximise the sum over t of v_t @ d_t subject to the sum over t of w_t @ d_t <= budget, with one
    vector d_t of booleans for each step, with a zero gap, the budget scaled to 2^20 and the largest value to 2^10.
    spared: the share of the budget that is not to be spent. as_it_comes: numbers and options as cvxpy and the solver
    have them by themselves, without any of this.

    An answer that is over the budget is ruled out by its extended cover inequality, which every set within the budget
    satisfies (Balas 1975), and the solver is asked again, at most `n_cuts` times. time_limit: seconds for all of it.
    """
    cvxpy = modelling("oracle", solver)
    deadline = math.inf if time_limit is None else time.perf_counter() + time_limit
    usable = np.concatenate(steps)
    share, room = problem.weights[usable], problem.budget * (1.0 - spared)
    worth = problem.values[usable]
    if not as_it_comes:
        share, room = share / problem.budget * BUDGET_SCALE, BUDGET_SCALE * (1.0 - spared)
        if worth.max() > 0.0:
            worth = worth / worth.max() * VALUE_SCALE
    choices = [cvxpy.Variable(step.size, boolean=True) for step in steps]
    parts = np.split(np.arange(usable.size), np.cumsum([step.size for step in steps])[:-1])
    spent = sum(share[part] @ choice for part, choice in zip(parts, choices, strict=True))
    gained = sum(worth[part] @ choice for part, choice in zip(parts, choices, strict=True))
    constraints = [spent <= room]
    answer = Answer(usable[:0], "stopped before an answer", False)
    for _ in range(1 + n_cuts):
        left = deadline - time.perf_counter()
        if left <= 0.0:
            break
        programme = cvxpy.Problem(cvxpy.Maximize(gained), constraints)
        options = ({} if as_it_comes else OPTIONS[solver]) | ({} if left == math.inf else {TIME_LIMIT[solver]: left})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the status says that an answer may be inaccurate
                programme.solve(solver=solver, **options)
        except cvxpy.SolverError:
            return Answer(answer.chosen, "failed", False)
        if any(choice.value is None for choice in choices):
            return Answer(answer.chosen, f"{programme.status}, no answer", False)
        taken = np.concatenate([choice.value for choice in choices]) > 0.5
        answer = Answer(usable[taken], str(programme.status), programme.status == cvxpy.OPTIMAL)
        cover = _minimal_cover(problem, answer.chosen)
        if cover.size == 0:
            break
        extended = np.isin(usable, cover) | (problem.weights[usable] >= problem.weights[cover].max())
        count = sum(cvxpy.sum(choice[extended[part]]) for part, choice in zip(parts, choices, strict=True))
        constraints.append(count <= cover.size - 1)
    return answer


def _minimal_cover(problem: DeferralProblem, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """The heaviest of `chosen`, as few as are over the budget together; none where all of them fit."""
    room, cover = Fraction(problem.budget), []
    for item in chosen[np.argsort(-problem.weights[chosen], kind="stable")].tolist():
        room -= Fraction(float(problem.weights[item]))
        cover.append(item)
        if room < 0:
            return np.array(cover, dtype=np.intp)
    return chosen[:0]
