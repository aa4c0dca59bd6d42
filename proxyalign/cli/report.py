"""`proxyalign report`: one HTML file of runs, to open from a disk or to send."""

from pathlib import Path
from typing import Annotated

import typer

from proxyalign.cli.common import check_out, notes, print_json


def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders of runs, or results folders, which stand for their runs.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file; one that exists is replaced.")] = Path(
        "report.html"
    ),
    reference: Annotated[
        str | None,
        typer.Option(help="What the others are held against: a folder, a label or a rule; by default the first run."),
    ] = None,
    figure: Annotated[
        list[Path] | None, typer.Option(help="A PNG, SVG or JPEG file to put into the page; repeatable.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the task's files, for the questions' texts; by default PROXYALIGN_DATA."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the file's name and size as JSON and nothing else.")
    ] = False,
) -> None:
    """Write one HTML file that shows runs on the same questions: numbers, figures, and every reply side by side.

    It needs nothing beside it and asks nothing of a network. Replies are coloured by who wrote each token where the
    runs were made with evaluate --traces.

    Example: proxyalign report runs/RUN runs/OTHER -o report.html
    """
    from proxyalign.report import write_report

    check_out("report", out)
    path = write_report(runs or [], out, reference=reference, figures=figure or [], data=data)
    if json:
        print_json({"report": str(path), "n_bytes": path.stat().st_size})
        return
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    notes.print("next: open it in a browser", markup=False)
