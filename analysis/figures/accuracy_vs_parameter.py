"""Draw accuracy against each rule's parameter, from the table of runs."""

import polars as pl

from analysis.figures.saving import chosen, save
from analysis.product import started
from proxyalign.plotting import accuracy_vs_parameter

COLUMNS = ["task", "rule", "variant", "parameter", "temperature", "n", "accuracy", "low", "high"]


def main() -> None:
    """Read the table of runs, keep the autoregressive ones on the test split at temperature 1, draw and save."""
    (table,), out, record = started(__file__, __doc__)
    runs = pl.read_parquet(table).filter(split="test", mode="autoregressive", temperature=1)
    drawn = chosen(runs.to_dicts(), COLUMNS)
    save(accuracy_vs_parameter(drawn), out, record, drawn)


if __name__ == "__main__":
    main()
