"""Gather the experiments' JSON into Parquet tables: runs, samples, speed, and the points of the key figure."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from proxyalign.evaluation import read_records

Run = Mapping[str, Any]
KEY = ("task", "rule", "variant", "parameter")
_MEASURE = pl.Struct(
    {"name": pl.String, **dict.fromkeys(("value", "standard_error", "low", "high"), pl.Float64), "n": pl.Int64}
)
_OF_A_REPLY = ("index", "id", "reply", "extracted", "correct", "strict", "n_tokens", "seconds", "deferral_mass")


def choose(runs: Iterable[Run]) -> set[tuple[Any, ...]]:
    """For each task and rule the parameters with the best accuracy on the development questions, as `KEY` has them.

    Between equals the one that hands less to the proxy is taken.
    """
    best: dict[tuple[str, str], Run] = {}
    for run in runs:
        if run["split"] != "dev" or run["parameter"] is None:
            continue
        place = (run["task"], run["rule"])
        if place not in best or _rank(run) > _rank(best[place]):
            best[place] = run
    return {_key(run) for run in best.values()}


def _rank(run: Run) -> tuple[float, float]:
    return run["accuracy"], -run["deferral_rate"]


def runs_table(decoded: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """One row a decoding run; `chosen` marks the others' runs whose parameter was best on the development questions."""
    runs = [
        {name: value for name, value in run.items() if name != "parameters"} for file in decoded for run in file["runs"]
    ]
    chosen = choose(runs)
    rows = [{**run, "chosen": run["split"] != "dev" and _key(run) in chosen} for run in runs]
    return pl.DataFrame(rows, schema_overrides={"measures": pl.List(_MEASURE)}, infer_schema_length=None)


def samples_table(runs: Sequence[Run]) -> pl.DataFrame:
    """One row an answer: which run, which question, what was extracted, whether it is right, and what it took.

    A choice is no reply, which is None there.
    """
    frames = []
    for run in runs:
        records = read_records(run["records"])
        key = {name: run[name] for name in ("grid", *KEY, "split", "mode", "temperature")}
        rows = [{**key, **{name: record.get(name) for name in _OF_A_REPLY}, **_meta(record)} for record in records]
        frames.append(pl.DataFrame(rows, infer_schema_length=None))
    return pl.concat(frames, how="diagonal_relaxed")


def _meta(record: Mapping[str, Any]) -> dict[str, Any]:
    return {f"meta_{name}": value for name, value in record["meta"].items()}


def points_table(runs: Iterable[Run], knapsack: Iterable[Run], speed: Iterable[Run]) -> pl.DataFrame:
    """One row for each run that has all three measurements: accuracy, gap and price, and speed when speculating."""
    accuracy = {_key(run): run for run in runs if _is_plain(run)}
    speeds = {_key(run): run for run in speed if run["mode"] == "speculative" and run["engine"] == "proxyalign"}
    rows = []
    for measured in knapsack:
        key = _key(measured)
        if not _is_plain(measured) or key not in accuracy or key not in speeds:
            continue
        fast = speeds[key]
        rows.append(
            {
                **dict(zip(KEY, key, strict=True)),
                **{name: accuracy[key][name] for name in ("accuracy", "deferral_rate", "chosen")},
                **{name: fast[name] for name in ("speedup", "speedup_low", "speedup_high", "window")},
                **_ends("gap", measured["gap"]),
                **_ends("price", measured["price"]),
                **{name: measured[name] for name in ("n_steps", "value", "optimum", "best_at_same_mass")},
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _key(run: Run) -> tuple[Any, ...]:
    return tuple(run[name] for name in KEY)


def _is_plain(run: Run) -> bool:
    return run["split"] == "test" and run["mode"] == "autoregressive" and run["temperature"] == 1


def _ends(name: str, interval: Mapping[str, float]) -> dict[str, float]:
    return {name: interval["point"], f"{name}_low": interval["low"], f"{name}_high": interval["high"]}


def _read(paths: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in paths]


def main() -> None:
    """Read what the experiments wrote and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("decoded", "knapsack", "speed"):
        parser.add_argument(f"--{name}", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True, help="the folder of the tables")
    arguments = parser.parse_args()
    runs = runs_table(_read(arguments.decoded))
    knapsack = [run for file in _read(arguments.knapsack) for run in file["runs"]]
    timed = [run for file in _read(arguments.speed) for run in file["runs"]]
    speed = [{name: value for name, value in run.items() if name != "parameters"} for run in timed]
    arguments.out.mkdir(parents=True, exist_ok=True)
    runs.write_parquet(arguments.out / "runs.parquet")
    samples_table(runs.to_dicts()).write_parquet(arguments.out / "samples.parquet")
    pl.DataFrame(speed, infer_schema_length=None).write_parquet(arguments.out / "speed.parquet")
    pl.json_normalize(knapsack, infer_schema_length=None).write_parquet(arguments.out / "knapsack.parquet")
    points_table(runs.to_dicts(), knapsack, speed).write_parquet(arguments.out / "points.parquet")


if __name__ == "__main__":
    main()
