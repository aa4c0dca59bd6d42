"""`proxyalign compare`: hold runs against a reference, question by question, and beside what others report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxyalign.cli.common import notes, print_json, table

if TYPE_CHECKING:
    from proxyalign.evaluation.comparison import Comparison


def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders of runs, or results folders, which stand for their runs.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="What the others are held against: a folder, a label or a rule; by default the first run."),
    ] = None,
    measures: Annotated[
        bool, typer.Option("--measures", help="Compare length, endings, repetition and the like as well.")
    ] = False,
    questions: Annotated[
        bool, typer.Option("--questions", help="List the questions that each run helps and harms.")
    ] = False,
    published: Annotated[bool, typer.Option("--published", help="Show the authors' published numbers beside.")] = False,
    harness: Annotated[
        list[Path] | None,
        typer.Option(help="Show results or samples of lm-evaluation-harness beside: a file or a folder; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON and nothing else.")] = False,
) -> None:
    """Compare runs on the same questions: differences with intervals, exact tests, helps and harms, and what they cost.

    Differences are in percentage points, with 95 percent intervals of a bootstrap over questions; p is McNemar's exact
    test, and p (Holm) its correction for all runs of the table.

    Example: proxyalign compare runs/RUN runs/OTHER --measures
    """
    from proxyalign.evaluation.comparison import compare
    from proxyalign.evaluation.comparison import table as results

    named = runs or []
    beside = results(named, published=published, harness=harness or []) if published or harness else None
    found = None
    # One run beside the numbers of others needs no second one.
    if beside is None or reference is not None or _n_runs(named) > 1:
        found = compare(named, reference, measures=measures)
    if json:
        answer = {"comparison": found, "results": beside}
        print_json({name: None if it is None else it.as_dict() for name, it in answer.items()})
        return
    blocks = []
    if found is not None:
        blocks += [_headline(found), table(found.cells())]
        blocks += [table(found.measure_cells())] if measures else []
        blocks += [_turned(found)] if questions else []
    if beside is not None:
        blocks.append(table(beside.cells()))
    print("\n\n".join(blocks))
    for note in dict.fromkeys([*(found.notes if found else ()), *(beside.notes if beside else ())]):
        notes.print(f"note: {note}", markup=False)


def _n_runs(folders: list[Path]) -> int:
    from proxyalign.evaluation.comparison.runs import load_runs

    return len(load_runs(folders))


def _headline(found: "Comparison") -> str:
    """The answer in a sentence: how many runs differ for sure, and the best of them."""
    best = max(found.runs, key=lambda one: one.accuracy.value)
    sure = sum(one.p_holm <= 0.05 for one in found.runs)
    low, high = (100 * end for end in best.accuracy.interval or (0.0, 0.0))
    return (
        f"{found.task} {found.split}, {found.n} questions: {best.run} {100 * best.accuracy.difference:+.1f} points "
        f"[{low:+.1f}, {high:+.1f}] against {found.reference}, p (Holm) {best.p_holm:.2g}; {sure} of "
        f"{len(found.runs)} runs differ at 5 percent"
    )


def _turned(found: "Comparison") -> str:
    """The questions that went either way, a line for each run and way."""
    return "\n".join(
        f"{one.run} {verb}: {' '.join(ids) or 'none'}"
        for one in found.runs
        for verb, ids in (("helps", one.helps), ("harms", one.harms))
    )
