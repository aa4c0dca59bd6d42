"""Write the report of one task: both models alone beside each rule with the parameter that was chosen for it."""

import argparse
from pathlib import Path

import polars as pl

from proxyalign.plotting.style import CONTROL, PARENTS
from proxyalign.report import write_report


def shown(runs: pl.DataFrame, task: str) -> list[Path]:
    """The folders of the runs that the report shows: all answer the same test questions, sampled token by token."""
    same = runs.filter(task=task, split="test", mode="autoregressive", temperature=1.0)
    rule = pl.col("rule")
    mine = same.filter(rule.is_in(list(PARENTS)) | pl.col("chosen") & ~rule.str.starts_with(CONTROL))
    return [Path(records).parent for records in mine.filter(pl.col("n") == mine["n"].max())["records"]]


def main() -> None:
    """Read the table of runs and write one HTML file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="the table of runs")
    parser.add_argument("--task", required=True)
    parser.add_argument("--figures", type=Path, nargs="*", default=[], help="images to put into it")
    parser.add_argument("--data", help="the folder of the task's files")
    parser.add_argument("--out", type=Path, required=True, help="the HTML file")
    arguments = parser.parse_args()
    folders = shown(pl.read_parquet(arguments.runs), arguments.task)
    write_report(folders, arguments.out, figures=arguments.figures, data=arguments.data)


if __name__ == "__main__":
    main()
