"""The solvers that people would take instead of `exact`, each asked in a process of its own that can be stopped."""

import importlib
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from proxyalign.errors import InputError
from proxyalign.knapsack.oracle.instances import Instance
from proxyalign.knapsack.oracle.judgement import Reply, reply
from proxyalign.knapsack.oracle.milp import modelling, usable_items
from proxyalign.knapsack.problem import DeferralProblem

# The cvxpy models come twice: as anyone would write them, under the solver's own settings, and as `oracle` asks, with
# a zero gap, scaled, and without HiGHS's presolve. OR-tools is its knapsack solver, branch and bound on 64-bit
# integers, without the reduction that is its default and takes the whole limit on large rows.
RIVALS = ("HiGHS", "HiGHS zero-gap", "SCIP", "SCIP zero-gap", "OR-tools")
INTEGER_SUM = 2.0**52  # of the scaled values and of the scaled weights: OR-tools multiplies and adds in 64 bits
GRACE = 5.0  # seconds over the limit after which a solver is stopped: HiGHS has been seen to go on for minutes


@dataclass(frozen=True, eq=False)
class Case:
    """An instance of the contest: what it is called, where it comes from, and the problem.

    integers: the instance that the problem was scaled from, which OR-tools then solves as it is.
    """

    name: str
    source: str
    problem: DeferralProblem
    integers: Instance | None = None


SMALL = Case("small", "", DeferralProblem.from_probs([0.3, 0.25, 0.2, 0.15, 0.1], budget=0.56))


def check_rival(rival: str) -> None:
    """InputError unless it is one of `RIVALS` and what it needs is installed."""
    if rival not in RIVALS:
        raise InputError(f"bench exact: rivals must be among {', '.join(RIVALS)}, got {rival!r}; choose some of those")
    if rival == "OR-tools":
        _knapsack_solver()
    else:
        modelling("bench exact", _engine(rival))


class Apart:
    """A process that asks the rivals, and that is stopped and replaced where one does not keep its limit."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._warm: set[str] = set()

    def __enter__(self) -> "Apart":
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop()

    def ask(self, rival: str, case: Case, limit: float) -> Reply:
        """The rival's answer; where it is not there `GRACE` seconds after the limit, that it was stopped.

        What loads on first use is done on a small problem before, and not counted.
        """
        if self._process is None or not self._process.is_alive():
            self._start()
        is_ready = rival in self._warm or self._asked(rival, SMALL, 60.0) is not None
        self._warm.add(rival)
        start = time.perf_counter()
        answer = self._asked(rival, case, limit) if is_ready else None
        if answer is None:
            self._stop()
            seconds = time.perf_counter() - start
            return Reply(case.problem.weights == 0.0, "did not keep the limit and was stopped", False, seconds)
        return answer

    def _asked(self, rival: str, case: Case, limit: float) -> Reply | None:
        assert self._connection is not None
        self._connection.send((rival, case, limit))
        try:
            answer: Reply | None = self._connection.recv() if self._connection.poll(limit + GRACE) else None
        except EOFError:  # it was killed, by the system for want of memory
            answer = None
        return answer

    def _start(self) -> None:
        context = get_context("spawn")  # what a fork would take over of the solvers' threads is not usable
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._warm = set()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _serve(connection: Connection) -> None:
    """Answer what comes in until nobody asks any more."""
    while True:
        try:
            rival, case, limit = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        connection.send(answer_of(rival, case, limit))


def answer_of(rival: str, case: Case, limit: float) -> Reply:
    """The rival's answer, in this process; it keeps the limit by itself, or not."""
    if rival == "OR-tools":
        return _ortools(case, limit)
    return reply(case.problem, _engine(rival), time_limit=limit, as_it_comes=" " not in rival)


def _engine(rival: str) -> str:
    """The solver as cvxpy calls it."""
    return rival.split()[0].upper()


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
