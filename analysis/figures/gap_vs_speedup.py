"""Draw the optimality gap and the price of the step budget against the measured speedup, from the table of points."""

import polars as pl

from analysis.figures.saving import chosen, save
from analysis.product import started
from proxyalign.plotting import gap_vs_speedup

COLUMNS = [
    "task", "rule", "variant", "parameter", "accuracy", "n_steps",
    *(f"{name}{end}" for name in ("speedup", "gap", "price") for end in ("", "_low", "_high")),
]  # fmt: skip


def main() -> None:
    """Read the table of points, draw and save."""
    (table,), out, record = started(__file__, __doc__)
    points = chosen(pl.read_parquet(table).to_dicts(), COLUMNS)
    save(gap_vs_speedup(points), out, record, points)


if __name__ == "__main__":
    main()
