"""Decode the runs of one job, going on where a killed one stopped, and say what came of each.

A job is some runs, or a shard of the questions of each; once all shards are there, `--merge` joins them.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from analysis import pairs
from analysis.product import commit, versions
from analysis.profile import called
from proxyalign import tasks
from proxyalign.deferral.rules import make
from proxyalign.evaluation import Settings, merge, run_grid
from proxyalign.evaluation.shards import Shard
from proxyalign.files import sha256, write_json

Run = dict[str, Any]
_OF_DECODING = ("mode", "window", "temperature")


def settings_of(pair: pairs.Pair, run: Mapping[str, Any]) -> Settings:
    """The evaluation's settings of a run, as `analysis.jobs.Run.settings` told it, under a profile's pair."""
    named = {name: value for name, value in run.items() if name not in ("grid", "code")}
    return Settings(pair=pairs.called(pair), task_version=tasks.get(run["task"]).version, **named)


def records_folder(records: Path, grid: str, settings: Settings, told: Mapping[str, Any]) -> Path:
    """Where a run's records live: another folder for other settings, code or batches, so that none mix.

    told: whatever else decides them. The runs beside it in its job do not.
    """
    everything = {**settings.as_dict(), **told}
    key = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:12]
    return records / f"{grid}_{settings.task}_{key}"


def decode(wanted: Mapping[str, Any], records: Path, *, shard: str | None = None, merged: int = 0) -> list[Run]:
    """Decode the runs of a job and return a dictionary for each: settings, numbers, the files and their hashes.

    wanted: what `analysis.jobs.settings` wrote. shard: decode this part of the questions alone. merged: so many shards
    are there, to be joined without a model.
    """
    pair = None if merged else pairs.load(wanted["pair"], wanted["dtype"])
    shared = {name: wanted[name] for name in ("data", "dtype", "batch_size")}
    runs: list[Run] = []
    for run in wanted["runs"]:
        settings = settings_of(wanted["pair"], run)
        folder = records_folder(records, run["grid"], settings, {**shared, "code": run["code"]})
        if pair is None:
            parts = [folder / Shard(number, merged).folder for number in range(1, merged + 1)]
            summary = merge(parts, folder, grid=[settings])
        else:
            summary = run_grid(
                pair, [settings], folder, data=wanted["data"], batch_size=wanted["batch_size"], shard=shard,
                progress=partial(_say, f"run {len(runs) + 1} of {len(wanted['runs'])}", run["grid"]),
            )  # fmt: skip
        home = folder if shard is None else folder / Shard.parse(shard).folder
        runs.append({"grid": run["grid"], **_told(settings, home, summary)})
    return runs


def _say(which: str, grid: str, settings: Settings, n_done: int, n: int) -> None:
    print(f"{which}, {n_done} of {n} questions, {grid} {settings.slug}", file=sys.stderr, flush=True)


def _told(settings: Settings, folder: Path, summary: Mapping[str, Any]) -> Run:
    """A run as the tables have it; what says nothing of a choice task, which is not decoded, is None there."""
    (run,) = (dict(one) for one in summary["runs"])
    records, rows = (folder / run["folder"] / name for name in ("records.jsonl", "rows.npz"))
    low, high = run.pop("interval")
    strict_low, strict_high = run.pop("strict_interval")
    estimates = {**run.pop("measures", {}), **({"macro accuracy": run["macro"]} if "macro" in run else {})}
    run.pop("macro", None)
    kind = tasks.get(settings.task).kind
    decoding = {name: getattr(settings, name) if kind == "reply" else None for name in _OF_DECODING}
    return {
        **{name: getattr(settings, name) for name in ("task", "split", "seed", "proxy_chat")},
        "kind": kind,
        **decoding,
        "max_new_tokens": settings.max_new_tokens,
        **run,
        **called(make(settings.rule, **settings.parameters)),
        "low": low,
        "high": high,
        "strict_low": strict_low,
        "strict_high": strict_high,
        "measures": [_measure(name, one) for name, one in estimates.items()],
        "records": records.as_posix(),
        "records_sha256": sha256(records),
        "rows": rows.as_posix() if rows.exists() else None,  # a rule that always defers visits none
    }


def _measure(name: str, estimate: Mapping[str, Any]) -> dict[str, Any]:
    """A measure of the task with its 95 percent interval, None where there is too little to have one."""
    low, high = estimate["interval"] or (None, None)
    return {
        "name": name, "value": estimate["value"], "standard_error": estimate["standard_error"], "low": low,
        "high": high, "n": estimate["n"],
    }  # fmt: skip


def main() -> None:
    """Decode or merge, and write the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="what to decode, as JSON")
    parser.add_argument("--records", type=Path, required=True, help="folder of all records of this profile")
    parser.add_argument("--out", type=Path, required=True, help="the runs, as JSON")
    parser.add_argument("--threads", type=int, default=1, help="processor threads of one pass")
    parser.add_argument("--shard", help="decode a part of the questions, as 2/4")
    parser.add_argument("--merge", type=int, default=0, help="join so many shards, which are all there")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    wanted = json.loads(arguments.settings)
    runs = decode(wanted, arguments.records, shard=arguments.shard, merged=arguments.merge)
    write_json(arguments.out, {"settings": wanted, **commit(), "versions": versions(), "runs": runs})


if __name__ == "__main__":
    main()
