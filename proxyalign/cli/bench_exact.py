"""`proxyalign bench exact`: the exact solver beside the solvers that people would take instead, in one run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxyalign.cli.common import check_out, notes, print_json, table
from proxyalign.errors import InputError
from proxyalign.validation import check_count

if TYPE_CHECKING:
    from proxyalign.knapsack.oracle.other_solvers import Case

BUDGETS = (0.05, 0.1, 0.3, 0.5, 0.9)
_COLUMNS = (
    ("solver", "solver"),
    ("n", "n"),
    ("certified", "certified"),
    ("within_tolerance", "within 1e-9"),
    ("wrong", "wrong"),
    ("unfinished", "unfinished"),
    ("over_budget", "over budget"),
    ("median_seconds", "median s"),
    ("worst_seconds", "worst s"),
    ("slower", "x exact's time"),
)


def exact(
    rows: Annotated[
        Path | None, typer.Option(help="Rows that `proxyalign rows` recorded; by default those of smol, or of the lab.")
    ] = None,
    instances: Annotated[int, typer.Option(help="So many instances of rows, with budgets from 0.05 to 0.9.")] = 5,
    classes: Annotated[
        bool, typer.Option("--classes", help="Also one instance of each of Pisinger's classes.")
    ] = False,
    size: Annotated[int, typer.Option(help="Items of an instance of --classes.")] = 10_000,
    limit: Annotated[float, typer.Option(help="Seconds for each solver on each instance.")] = 60.0,
    rivals: Annotated[
        str | None, typer.Option(help="Only these, with commas: HiGHS, HiGHS zero-gap, SCIP, SCIP zero-gap, OR-tools.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the made-up rows and of the classes.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Also write all numbers to this JSON file; one that exists is replaced.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON and nothing else.")] = False,
) -> None:
    """Solve the same knapsacks with exact, cvxpy + HiGHS, cvxpy + SCIP and OR-tools, and judge every answer.

    HiGHS and SCIP come twice, under their own settings and with the zero gap that `oracle` asks for. An answer is
    judged in rational arithmetic: certified by a proved bound, within 1e-9 of the best known value and of the budget,
    wrong (over the budget, or called optimal and worth less), or unfinished. Times include the building of the model.

    Example: proxyalign bench exact --limit 60
    """
    if instances < 0:
        raise InputError(f"bench exact: --instances must be at least 0, got {instances}; pass for example 5")
    check_count("bench exact", "seed", seed, least=0)
    check_out("bench exact", out)

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from proxyalign.evaluation.provenance import surroundings
    from proxyalign.files import write_json
    from proxyalign.knapsack.oracle.comparison import contest, summary
    from proxyalign.knapsack.oracle.other_solvers import RIVALS

    asked = RIVALS if rivals is None else tuple(name.strip() for name in rivals.split(","))
    source, cases = _row_cases(rows, instances, seed)
    if classes:
        cases += _class_cases(size, seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes) as bars:
        bar = bars.add_task("solves", total=None)
        records = contest(
            cases,
            limit=limit,
            rivals=asked,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    lines = summary(records)
    packages = ("proxyalign", "numba", "numpy", "cvxpy", "highspy", "pyscipopt", "ortools")
    answer = {
        "limit_seconds": limit,
        "rows": source,
        "classes": {"size": size, "seed": seed} if classes else None,
        **surroundings(packages),
        "summary": lines,
        "instances": records,
    }
    if out is not None:
        write_json(out, answer)
    if json:
        print_json(answer)
        return
    header = [title for _, title in _COLUMNS]
    print(table([header, *([_shown(line[key]) for key, _ in _COLUMNS] for line in lines)]))
    print(f"\n{len(records)} instances, {limit:g} s for each solver on each; add --json or --out for every answer")


def _row_cases(rows: Path | None, instances: int, seed: int) -> "tuple[dict[str, Any] | None, list[Case]]":
    """Instances from rows spread over the file, each with one of the budgets in turn, and where the rows come from."""
    import numpy as np

    from proxyalign.knapsack import DeferralProblem
    from proxyalign.knapsack.oracle.other_solvers import Case
    from proxyalign.laws import Laws, laws_at_hand
    from proxyalign.rows import read_rows

    if instances == 0:
        return None, []
    if rows is not None:
        recorded = read_rows(rows)
        found = Laws(list(recorded.p), recorded.names, {"file": rows.name, **recorded.provenance})
    else:
        found = laws_at_hand(instances, seed)
    laws, names = found.laws, found.names
    chosen = np.linspace(0, len(laws) - 1, min(instances, len(laws))).round().astype(int).tolist()
    cases = [
        Case(f"{names[row]}, budget {budget:g}", "rows", DeferralProblem.from_probs(laws[row], budget))
        for row, budget in ((row, BUDGETS[place % len(BUDGETS)]) for place, row in enumerate(chosen))
    ]
    return found.source, cases


def _class_cases(size: int, seed: int) -> "list[Case]":
    from proxyalign.knapsack.oracle.instances import CLASSES, pisinger
    from proxyalign.knapsack.oracle.other_solvers import Case

    drawn = [pisinger(kind, size, seed) for kind in CLASSES]
    return [Case(instance.kind, "classes", instance.problem, instance) for instance in drawn]


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
