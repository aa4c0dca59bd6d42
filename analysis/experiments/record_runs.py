"""Keep a profile's table of runs in the repository, as small JSON with where it comes from."""

import polars as pl

from analysis.product import started
from proxyalign.files import write_json

COLUMNS = (
    "grid", "task", "kind", "split", "proxy_chat", "mode", "window", "temperature", "max_new_tokens", "rule", "variant",
    "parameter", "chosen", "seed", "n", "n_correct", "accuracy", "standard_error", "low", "high", "strict_accuracy",
    "strict_low", "strict_high", "n_unparsed", "measures", "n_tokens", "tokens_per_second", "deferral_rate",
    "acceptance_rate", "records_sha256",
)  # fmt: skip


def main() -> None:
    """Write the runs, one object a run, and their provenance."""
    (table,), out, record = started(__file__, __doc__)
    write_json(out, {**record, "runs": pl.read_parquet(table).select(COLUMNS).to_dicts()})


if __name__ == "__main__":
    main()
