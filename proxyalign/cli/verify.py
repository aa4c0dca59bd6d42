"""`proxyalign verify`: the numbered statements on generated and recorded cases, and the mutants they must catch."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxyalign.cli.common import check_out, notes, print_json

if TYPE_CHECKING:
    from proxyalign.verify.run import Report

_FOUND = 1  # exit code of a violation or a mutant that survives


def verify(
    statement: Annotated[int | None, typer.Option(help="One statement, 1 to 22; all if left out.")] = None,
    cases: Annotated[int, typer.Option(help="Generated cases of each statement.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the generated cases.")] = 0,
    rows: Annotated[
        Path | None, typer.Option(help="Recorded laws too: .npz with P or p (n, V), .npy, or a folder of them.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.json and the worst instances.")] = Path("results/verify"),
    json: Annotated[bool, typer.Option("--json", help="Print report.json alone.")] = False,
) -> None:
    """Check the statements on deferral: exit code 1 where one is violated or a defect put into the code is not caught.

    For each statement: how many cases, violations, and the tightest margin seen (0: attained). Then how near each
    inequality comes to an equality, and which statement caught each mutant. The worst instances are files that
    `proxyalign solve --probs FILE` reads. Most cases of statement 2 are trials of the exact solver on numbers of a wide
    dynamic range, and may be as many as you like: --statement 2 --cases 1000000 takes no more memory than a thousand.

    Example: proxyalign verify --statement 2 --cases 1000
    """
    check_out("verify", out, "folder")

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from proxyalign.verify.report import save
    from proxyalign.verify.run import verify as run

    columns = (TextColumn("{task.description:13}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with contextlib.ExitStack() as shown:
        bars = Progress(*columns, console=notes)
        bar = bars.add_task("starting")

        def progress(what: str, done: int, total: int) -> None:
            if done == 0:  # the input was good
                shown.enter_context(bars)
            bars.update(bar, description=what, completed=done, total=total)

        report = run(statement, n_cases=cases, seed=seed, source=rows, progress=progress)
    answer = save(report, out)
    if json:
        print_json(answer)
    else:
        print(_in_words(report, answer, out))
    if report.n_violations or report.survivors:
        raise typer.Exit(_FOUND)


def _in_words(report: "Report", answer: dict[str, Any], out: Path) -> str:
    """The tables for a reader, the verdict first."""
    killed = len(report.kills) - len(report.survivors)
    n_cases = sum(one["cases"] + one["recorded_cases"] for one in answer["statements"])
    verdict = (
        f"{report.n_violations} violations in {n_cases} cases; {killed} of {len(report.kills)} mutants caught; "
        f"{report.seconds:.0f} s"
    )
    lines = [verdict, "", f"{'':2} {'statement':22}{'cases':>7}{'violations':>12}{'margin':>10}  claim of that margin"]
    for one in answer["statements"]:
        margin = one["tightest"]["margin"]
        lines.append(
            f"{one['statement']:2} {one['title']:22}{one['cases'] + one['recorded_cases']:7}{one['violations']:12}"
            f"{'-' if margin is None else format(margin, '.2g'):>10}  {one['tightest']['claim']}"
        )
    if answer["tightness"]:
        lines += ["", f"{'':2} {'inequality':58}{'left / right':>13}"]
    for one in answer["tightness"]:
        of_what = f" ({one['extreme']} {one['how']})" if one["how"] == "found by search" else ""
        lines.append(f"{one['statement']:2} {one['claim']:58}{one['ratio']:13.9f}{of_what}")
    lines += ["", *(f"SURVIVED: {name}" for name in report.survivors)]
    violated = [(one, claim) for one in answer["statements"] for claim in one["claims"] if claim["violations"]]
    for one, claim in violated:
        lines.append(
            f"VIOLATED: statement {one['statement']}, {claim['claim']}: {claim['violations']} of {claim['cases']} "
            f"cases, the worst with {claim['left']} against {claim['right']}"
        )
    worst = answer["statements"][0]["worst_instance"]
    lines.append(f"report and worst instances in {out}; try: proxyalign solve --probs {worst}")
    return "\n".join(lines)
