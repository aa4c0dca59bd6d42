"""Exact optima by the thousand: rows and budgets at once, and the optimum as a function of the budget."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxyalign.errors import InputError
from proxyalign.knapsack import arguments
from proxyalign.knapsack.bounds import lp_bound
from proxyalign.knapsack.exact.breakpoints import breakpoints
from proxyalign.knapsack.exact.solver import exact
from proxyalign.knapsack.problem import DeferralProblem, Solution

MOST_LISTED_ITEMS = 24  # with a positive weight; 2^24 sets at worst, and mostly far fewer that nothing dominates


def exact_many(
    rows: ArrayLike,
    budgets: Sequence[float],
    *,
    workers: int | None = None,
    gap: float = 1e-12,
    time_limit: float | None = None,
    progress: bool = False,
) -> list[list[Solution]]:
    """The exact optimum of every row at every budget, surprisal values: `result[i][j]` is of row i at budgets[j].

    rows: (n, V) next-token laws, as for `DeferralProblem.from_probs`; budgets: masses in [0, 1]; workers: processes,
    None for one per processor, 1 for none but this one. gap, time_limit: of `exact`, for each solution. progress: show
    a bar on stderr. A row is sorted once for all its budgets.

    Processes start by importing the script that runs, so that this has to call it below `if __name__ == "__main__":`.
    Raises InputError, naming the row, before any is solved, and where a process ends before its time.
    """
    laws = arguments.array("exact_many", "rows", rows)
    if laws.ndim != 2:
        raise InputError(
            f"exact_many: rows must be (n, V), got shape {laws.shape}; pass one law a row, p[None] for one"
        )
    if workers is not None:
        workers = arguments.whole("exact_many", "workers", workers, "pass None for one per processor")
    masses = tuple(arguments.masses("exact_many", "budgets", budgets))
    gap, time_limit = arguments.gap("exact_many", gap), arguments.time_limit("exact_many", time_limit)
    for index, law in enumerate(laws):
        try:
            DeferralProblem.from_probs(law, 1.0)
        except InputError as wrong:
            raise InputError(f"exact_many: row {index}: {wrong}") from wrong
    n_workers = min(workers or os.cpu_count() or 1, max(1, len(laws)))
    solve = partial(_solve_row, budgets=masses, gap=gap, time_limit=time_limit)
    if n_workers == 1:
        return list(_shown(map(solve, laws), len(laws), progress))
    try:
        with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
            return list(_shown(pool.map(solve, laws, chunksize=1), len(laws), progress))
    except BrokenProcessPool as broken:
        raise InputError(
            f"exact_many: its {n_workers} processes must be able to start and to find memory, got one that ended; in a "
            'script call it below `if __name__ == "__main__":`, or pass workers=1'
        ) from broken


def _solve_row(
    law: NDArray[np.float64], budgets: tuple[float, ...], gap: float, time_limit: float | None
) -> list[Solution]:
    problem = DeferralProblem.from_probs(law, 1.0)
    return [exact(problem.at_budget(budget), gap=gap, time_limit=time_limit) for budget in budgets]


def _shown(results: Iterator[list[Solution]], total: int, progress: bool) -> Iterator[list[Solution]]:
    """The results one by one, with a bar on stderr where asked for."""
    if not progress:
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(results, "exact optima", total=total, console=Console(stderr=True))


@dataclass(frozen=True, eq=False)
class ExactPath:
    """The optimum as a function of the budget, beside the linear relaxation's.

    budgets: (k,) rising; values: (k,) the exact optimum at each, a step function's values where `is_complete`: the
    optimum at any budget in [budgets[j], budgets[j + 1]) is values[j]. lp_values: (k,) the concave envelope U, rounded
    up. upper_bounds: (k,) what is proved of the optimum.
    """

    budgets: NDArray[np.float64]
    values: NDArray[np.float64]
    lp_values: NDArray[np.float64]
    upper_bounds: NDArray[np.float64]
    is_complete: bool


def exact_path(
    p: ArrayLike, budgets: Sequence[float] | None = None, *, up_to: float = 1.0, time_limit: float | None = None
) -> ExactPath:
    """The value of the exact optimum against the budget, for one law `p` (V,) and surprisal values.

    budgets: where to evaluate it; None for all of its steps up to the budget `up_to`, each at the least float64 budget
    that reaches it, for laws of at most 24 tokens of positive mass, and for 65 equally spaced budgets for larger ones.
    A budget of 1 buys every token, as for `DeferralProblem.from_probs`. time_limit: of `exact`, for each budget. Raises
    InputError for budgets outside [0, 1].
    """
    up_to = arguments.real("exact_path", "up_to", up_to, "pass a probability mass")
    time_limit = arguments.time_limit("exact_path", time_limit)
    masses = None if budgets is None else np.sort(arguments.masses("exact_path", "budgets", budgets))
    if not 0.0 <= up_to <= 1.0:
        raise InputError(f"exact_path: up_to must be in [0, 1], got {up_to}; pass a probability mass")
    problem = DeferralProblem.from_probs(p, 1.0)
    is_complete = masses is None and int((problem.weights > 0.0).sum()) <= MOST_LISTED_ITEMS
    if is_complete:
        at, values = breakpoints(problem, up_to)
        upper_bounds = values
    else:
        at = np.linspace(0.0, up_to, 65) if masses is None else masses
        solutions: list[Solution] = []
        for budget in at.tolist():
            start = solutions[-1].deferred if solutions else None  # so that values never fall, whatever ends a search
            solutions.append(exact(problem.at_budget(budget), time_limit=time_limit, start=start))
        values = np.array([solution.value for solution in solutions])
        upper_bounds = np.array([solution.upper_bound for solution in solutions])
    envelope = np.array([lp_bound(problem.at_budget(budget)).value for budget in at.tolist()])
    return ExactPath(at, values, envelope, upper_bounds, is_complete)
