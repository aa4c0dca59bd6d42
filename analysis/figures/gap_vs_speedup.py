"""Draw the optimality gap and the price of the step budget against the measured speedup, from the table of points."""

import argparse
from pathlib import Path

import polars as pl

from analysis.figures.saving import save
from proxyalign.plotting import gap_vs_speedup


def main() -> None:
    """Read the table of points, draw and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=Path, required=True, help="points.parquet")
    parser.add_argument("--profile", required=True, help="the profile, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="the PDF; PNG and JSON go beside it")
    arguments = parser.parse_args()
    save(
        gap_vs_speedup(pl.read_parquet(arguments.points).to_dicts()),
        arguments.out,
        script="analysis/figures/gap_vs_speedup.py",
        sources=[arguments.points],
        profile=arguments.profile,
    )


if __name__ == "__main__":
    main()
