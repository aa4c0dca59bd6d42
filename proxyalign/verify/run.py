"""A whole verification: all cases of the chosen statements on several processes, then tightness, then the mutants."""

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from proxyalign.errors import InputError
from proxyalign.verify.cases import Case, Floats
from proxyalign.verify.cases.recorded_laws import read_rows
from proxyalign.verify.claim_counts import ClaimCounts, check, merge, n_real
from proxyalign.verify.mutants import MUTANTS
from proxyalign.verify.mutants.hunt import Kill, hunt
from proxyalign.verify.mutants.mutation import Mutant
from proxyalign.verify.statements import STATEMENTS, Statement, statement
from proxyalign.verify.tightness import INEQUALITIES, Inequality, Tightest, tightest

CHUNK = 200  # cases of one task of a process
IN_PROCESS = 1000  # cases in all below which processes, which load torch anew, cost more than they save
MOST_PROCESSES = 8
MOST_WAITING = 100  # tasks in work, or done while an earlier one is not

Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True)
class Checked:
    """One statement's cases: its claims' counts, how many cases were generated and recorded, and processor seconds."""

    statement: Statement
    counts: ClaimCounts
    n_generated: int
    n_recorded: int
    seconds: float

    @property
    def n_violations(self) -> int:
        """Claims that did not hold, over all cases."""
        return sum(count.n_violations for count in self.counts.values())

    @property
    def worst(self) -> str:
        """The name of the claim with a violation if any, else of the tightest inequality, before equalities."""
        claims = {name: count.claim for name, count in self.counts.items()}
        return min(claims, key=lambda name: (claims[name].holds, claims[name].relation == "==", claims[name].margin))


@dataclass(frozen=True)
class Report:
    """What a verification found."""

    checked: list[Checked]
    tightest: list[Tightest]
    kills: list[tuple[Mutant, Kill | None]]
    n_cases: int
    seed: int
    rows: Floats | None
    source: Path | None
    seconds: float

    @property
    def n_violations(self) -> int:
        """Claims that did not hold, over all statements."""
        return sum(one.n_violations for one in self.checked)

    @property
    def survivors(self) -> list[str]:
        """The mutants that no statement caught."""
        return [mutant.name for mutant, kill in self.kills if kill is None]


def verify(
    number: int | None = None,
    *,
    n_cases: int = 10_000,
    seed: int = 0,
    source: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check one statement, or all: `n_cases` generated cases each, the recorded rows in `source`, tightness, mutants.

    The result is a function of the arguments alone, however many processes work on it, but for what a time limit that
    is to end a search lets it find. Raises InputError for a number
    that is no statement's, fewer than one case, a seed below 0, and rows that are none.
    """
    chosen = list(STATEMENTS) if number is None else [statement(number)]
    if n_cases < 1:
        raise InputError(f"verify: cases must be at least 1, got {n_cases}; 10000 is usual")
    if seed < 0:
        raise InputError(f"verify: seed must be at least 0, got {seed}; pass 0 or more")
    rows = None if source is None else read_rows(source)
    start = time.perf_counter()
    numbers = {one.number for one in chosen}
    inequalities = [index for index, one in enumerate(INEQUALITIES) if one.statement in numbers]
    mutants = [index for index, one in enumerate(MUTANTS) if numbers.intersection(one.statements)]
    tasks: list[tuple[str, int, int, int]] = []
    for one in chosen:
        n = n_cases + n_real(one, rows)
        # Recorded rows are slow, so that each is a task of its own.
        tasks += [("cases", one.number, low, min(low + CHUNK, n_cases)) for low in range(0, n_cases, CHUNK)]
        tasks += [("cases", one.number, low, low + 1) for low in range(n_cases, n)]
    tasks += [("tightness", index, seed, 0) for index in inequalities]
    tasks += [("mutant", index, seed, 0) for index in mutants]
    found: dict[str, dict[int, Any]] = {"tightness": {}, "mutant": {}}
    counts: dict[int, ClaimCounts] = {one.number: {} for one in chosen}
    seconds = dict.fromkeys(numbers, 0.0)
    if progress is not None:
        progress("starting", 0, len(tasks))
    for done, ((kind, index, *_), answer, spent) in enumerate(_answers(tasks, n_cases, seed, source, rows), 1):
        if kind == "cases":
            merge(counts[index], answer)
            seconds[index] += spent
        else:
            found[kind][index] = answer
        if progress is not None:
            progress(f"statement {index}" if kind == "cases" else kind, done, len(tasks))
    return Report(
        checked=[Checked(one, counts[one.number], n_cases, n_real(one, rows), seconds[one.number]) for one in chosen],
        tightest=[
            Tightest(INEQUALITIES[index], *_rate(INEQUALITIES[index], found["tightness"][index]))
            for index in inequalities
        ],
        kills=[(MUTANTS[index], found["mutant"][index]) for index in mutants],
        n_cases=n_cases,
        seed=seed,
        rows=rows,
        source=source,
        seconds=time.perf_counter() - start,
    )


def _rate(inequality: Inequality, case: Case) -> tuple[float, Case]:
    return inequality.ratio(case), case


# What a process needs for every task; set once in each.
_shared: dict[str, Any] = {}


def _set_up(n_cases: int, seed: int, source: Path | None) -> None:
    torch.set_num_threads(1)  # of tensors this small, a second thread only waits
    _shared.update(n_cases=n_cases, seed=seed, rows=None if source is None else read_rows(source))


def _work(task: tuple[str, int, int, int]) -> tuple[Any, float]:
    """The answer to one task, and the processor's seconds."""
    kind, index, low, high = task
    start = time.process_time()
    answer: Any
    if kind == "cases":
        numbers = range(low, high)
        answer = check(statement(index), numbers, _shared["n_cases"], _shared["seed"], _shared["rows"])
    elif kind == "tightness":
        answer = tightest(INEQUALITIES[index], seed=low).case
    else:
        answer = hunt(MUTANTS[index], seed=low)
    return answer, time.process_time() - start


def _answers(
    tasks: list[tuple[str, int, int, int]], n_cases: int, seed: int, source: Path | None, rows: Floats | None
) -> Iterator[tuple[tuple[str, int, int, int], Any, float]]:
    """(task, answer, seconds) in the order of the tasks, from processes where there is enough to do.

    In this order, since of claims that are equally tight the report names the first. Few answers wait at a time, so
    that a million cases take no more memory than a thousand.
    """
    n_processes = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, MOST_PROCESSES)
    n_all = sum(high - low for kind, _, low, high in tasks if kind == "cases")
    if n_processes == 1 or (rows is None and n_all <= IN_PROCESS):
        _shared.update(n_cases=n_cases, seed=seed, rows=rows)
        for task in tasks:
            yield task, *_work(task)
        return
    pool = ProcessPoolExecutor(
        n_processes, multiprocessing.get_context("spawn"), initializer=_set_up, initargs=(n_cases, seed, source)
    )
    try:
        waiting: deque[tuple[tuple[str, int, int, int], Future[tuple[Any, float]]]] = deque()
        for task in tasks:
            waiting.append((task, pool.submit(_work, task)))
            if len(waiting) > MOST_WAITING:
                asked, ended = waiting.popleft()
                yield asked, *ended.result()
        for asked, ended in waiting:
            yield asked, *ended.result()
    finally:
        pool.shutdown(cancel_futures=True)
