"""Draw accuracy against each rule's parameter, from the table of runs."""

import argparse
from pathlib import Path

import polars as pl

from analysis.figures.saving import save
from proxyalign.plotting import accuracy_vs_parameter


def main() -> None:
    """Read the table of runs, keep the autoregressive ones on the test split, draw and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.parquet")
    parser.add_argument("--profile", required=True, help="the profile, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="the PDF; PNG and JSON go beside it")
    arguments = parser.parse_args()
    runs = pl.read_parquet(arguments.runs).filter(
        (pl.col("split") == "test") & (pl.col("mode") == "autoregressive") & (pl.col("temperature") == 1)
    )
    save(
        accuracy_vs_parameter(runs.to_dicts()),
        arguments.out,
        script="analysis/figures/accuracy_vs_parameter.py",
        sources=[arguments.runs],
        profile=arguments.profile,
    )


if __name__ == "__main__":
    main()
