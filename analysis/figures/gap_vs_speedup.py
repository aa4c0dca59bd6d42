"""Draw the optimality gap and the price of the step budget against the measured speedup, from the table of points."""

import polars as pl

from analysis.figures.saving import save
from analysis.product import started
from proxyalign.plotting import gap_vs_speedup


def main() -> None:
    """Read the table of points, draw and save."""
    (table,), out, record = started(__file__, __doc__)
    save(gap_vs_speedup(pl.read_parquet(table).to_dicts()), out, record)


if __name__ == "__main__":
    main()
