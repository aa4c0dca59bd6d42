"""Our runs, the published numbers and what lm-evaluation-harness wrote, in one table."""

from collections.abc import Sequence
from pathlib import Path

from proxyalign.errors import InputError
from proxyalign.evaluation.comparison.harness_files import METRICS, read_harness
from proxyalign.evaluation.comparison.published import caveat
from proxyalign.evaluation.comparison.published import published as published_results
from proxyalign.evaluation.comparison.results import Result, Results
from proxyalign.evaluation.comparison.runs import load_runs
from proxyalign.evaluation.metrics import summarise

_OTHERS = "numbers of other sources are of other prompts, decoding and questions: no test here compares them with ours"


def table(runs: Sequence[str | Path] = (), *, published: bool = False, harness: Sequence[str | Path] = ()) -> Results:
    """Accuracies with what is known of their uncertainty, ours first.

    runs: folders of runs, or results folders. published: whether the authors' numbers are among them, on the benchmarks
    of the other rows, or on all where there are none. harness: files of lm-evaluation-harness, or folders with its
    results (`harness_files.read_harness`). Raises InputError where nothing is asked for, or a file cannot be used.
    """
    rows: list[Result] = []
    for run in load_runs(runs):
        found = summarise(run.records)
        task = str(run.settings.get("task"))
        pair = str(run.settings.get("pair"))
        rows.append(Result("proxyalign", pair, task, run.label, "accuracy", found.accuracy, found.interval, found.n))
    for path in harness:
        rows += _checked(path, read_harness(path))
    notes = [_OTHERS] if harness or published else []
    if published:
        benchmarks = {_benchmark(row.task) for row in rows}
        rows += [row for row in published_results() if not benchmarks or _benchmark(row.task) in benchmarks]
        notes.append(caveat())
    if not rows:
        raise InputError("compare: there must be something to show, got no run; name a run or a file, or --published")
    return Results(tuple(rows), tuple(notes))


def _checked(path: str | Path, rows: list[Result]) -> list[Result]:
    if not rows:
        raise InputError(f"compare: {str(path)!r} must hold one of {', '.join(METRICS)}, got none; name another file")
    return rows


def _benchmark(task: str) -> str:
    """The benchmark of a task, in whatever form it is asked."""
    return task.removesuffix("-reply").removesuffix("-0shot")
