"""Keep a profile's runs, knapsacks and speeds in the repository, as small JSON with where it comes from."""

from pathlib import Path
from typing import Any

import polars as pl

from analysis.product import started
from proxyalign.files import write_json

KEY = ("grid", "task", "split", "mode", "temperature", "rule", "variant", "parameter")
COLUMNS = {
    "runs": (
        *KEY, "kind", "proxy_chat", "window", "max_new_tokens", "chosen", "seed", "n", "n_correct", "accuracy",
        "standard_error", "low", "high", "strict_accuracy", "strict_low", "strict_high", "n_unparsed", "measures",
        "n_tokens", "tokens_per_second", "deferral_rate", "acceptance_rate", "records_sha256",
    ),
    "knapsack": (
        *KEY, "n_steps", "n_questions", "n_certified", "n_asked", "n_derived", "value", "optimum", "mass",
        "best_at_same_mass", *(f"{name}.{end}" for name in ("gap", "price") for end in ("point", "low", "high")),
    ),
    "speed": (
        "task", "engine", "mode", "window", "rule", "variant", "parameter", "speedup", "speedup_low", "speedup_high",
        "n_tokens", "acceptance_rate", "tokens_per_cycle",
    ),
}  # fmt: skip


def kept(table: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a table, which a profile may have left empty, with the columns that are kept."""
    frame = pl.read_parquet(table)
    return frame.select(columns).to_dicts() if len(frame) else []


def main() -> None:
    """Write what is kept of the tables runs, knapsack and speed, one object a row, and their provenance."""
    tables, out, record = started(__file__, __doc__)
    write_json(out, record | {name: kept(table, COLUMNS[name]) for name, table in zip(COLUMNS, tables, strict=True)})


if __name__ == "__main__":
    main()
