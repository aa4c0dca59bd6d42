"""Draw accuracy against each rule's parameter, from the table of runs, and which are promised little harm."""

import json

import polars as pl

from analysis.figures.saving import chosen, save
from analysis.product import started
from proxyalign.plotting import accuracy_vs_parameter

COLUMNS = ["task", "rule", "variant", "parameter", "temperature", "n", "accuracy", "low", "high"]
PROMISED = ["task", "rule", "parameter", "eps", "delta", "n"]


def main() -> None:
    """Read the table of runs, keep the autoregressive ones on the test split at temperature 1, draw and save.

    A second source, where there is one, has the promises.
    """
    (table, *guarantees), out, record = started(__file__, __doc__)
    runs = (
        pl.read_parquet(table)
        .filter(split="test", mode="autoregressive", temperature=1)
        .sort("task", maintain_order=True)
    )
    drawn = chosen(runs.to_dicts(), COLUMNS)
    promises = [one for source in guarantees for one in chosen(json.loads(source.read_text())["promises"], PROMISED)]
    save(accuracy_vs_parameter(drawn, promises), out, record, {"runs": drawn, "promises": promises})


if __name__ == "__main__":
    main()
