"""Draw the optimality gap and the price of the step budget against the measured speedup, from the table of points."""

import json

import polars as pl

from analysis.figures.saving import chosen, save
from analysis.product import started
from proxyalign.plotting import gap_vs_speedup

COLUMNS = [
    "task", "rule", "variant", "parameter", "accuracy", "n_steps",
    *(f"{name}{end}" for name in ("speedup", "gap", "price") for end in ("", "_low", "_high")),
]  # fmt: skip


def main() -> None:
    """Read the table of points, and those recorded of other pairs, whose panels name the pair; draw and save."""
    (table, *others), out, record = started(__file__, __doc__)
    points = chosen(pl.read_parquet(table).sort("task", maintain_order=True).to_dicts(), COLUMNS)
    for found in (json.loads(source.read_text()) for source in others):
        pair = found["profile"]["pair"]
        points += [{**point, "task": f"{point['task']} ({pair})"} for point in chosen(found["points"], COLUMNS)]
    save(gap_vs_speedup(points), out, record, points)


if __name__ == "__main__":
    main()
