"""`proxyalign lab`: make a lab pair of one's own, as the shipped one was made."""

from pathlib import Path
from typing import Annotated, Any

import typer

from proxyalign.cli.common import notes, print_json

app = typer.Typer(help="Make lab pairs: a base that knows a made-up world, a proxy that answers.", no_args_is_help=True)


@app.callback()
def lab() -> None:
    """Keep `train` a subcommand although it is the only one."""


@app.command("train")
def train(
    out: Annotated[Path, typer.Option(help="Folder for base/, proxy/ and lab.json; a killed training goes on there.")],
    seed: Annotated[int, typer.Option(help="Seed of the world, the corpus and the weights.")],
    preset: Annotated[str, typer.Option(help="full (about half an hour on one thread) or smoke (seconds).")] = "full",
    as_json: Annotated[bool, typer.Option("--json", help="Print lab.json alone on stdout.")] = False,
) -> None:
    """Train a lab pair from nothing: the same seed gives the same weights.

    Example: proxyalign lab train --out my-pair --seed 3
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from transformers.utils import logging

    from proxyalign.models.lab.recipe import preset as find_preset
    from proxyalign.models.lab.train import train as train_pair

    logging.disable_progress_bar()
    columns = (TextColumn("{task.description:7}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
    with Progress(*columns, TimeRemainingColumn(), console=notes, disable=not notes.is_terminal) as progress:
        bars: dict[str, Any] = {}

        def report(stage: str, done: int, total: int, loss: float) -> None:
            starts = stage not in bars
            if starts:
                bars[stage] = progress.add_task(stage, total=total, loss="")
            progress.update(bars[stage], completed=done, loss=f"loss {loss:.3f}")
            if progress.disable and (starts or done == total):  # a log file gets lines in place of bars
                notes.print(f"{stage}: step {done} of {total}, loss {loss:.3f}")

        waiting = progress.add_task("corpus", total=None, loss="")
        record = train_pair(out, seed, find_preset(preset), report=report)
        progress.remove_task(waiting)
    if as_json:
        print_json(record)
        return
    seconds, sizes = sum(record["seconds"].values()), record["parameters"]
    print(f"lab pair of seed {record['seed']} ({preset}) in {out}: base {sizes['base']:,} parameters, proxy", end=" ")
    print(f"{sizes['proxy']:,}; trained in {seconds / 60:.1f} minutes, {record['precision']}")
    print(
        f"next: proxyalign evaluate --pair {out} --task lab-math --rule dual --grid alpha=0.4 --out results/{out.name}"
    )
