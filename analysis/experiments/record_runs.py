"""Keep a profile's table of runs in the repository, as small JSON with where it comes from."""

import argparse
import json
from pathlib import Path

import polars as pl

from analysis.provenance import describe, write_json

COLUMNS = (
    "task", "split", "mode", "temperature", "rule", "parameter", "chosen", "seed", "n", "n_correct", "accuracy",
    "standard_error", "low", "high", "strict_accuracy", "n_unparsed", "n_tokens", "deferral_rate", "records_sha256",
)  # fmt: skip


def main() -> None:
    """Write the runs, one object a run, and their provenance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.parquet")
    parser.add_argument("--profile", required=True, help="the profile, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    provenance = describe("analysis/experiments/record_runs.py", [arguments.runs], json.loads(arguments.profile))
    runs = pl.read_parquet(arguments.runs).select(COLUMNS).to_dicts()
    write_json(arguments.out, {**provenance, "runs": runs})


if __name__ == "__main__":
    main()
