"""Decode one task under all rules of one grid, going on where a killed run stopped, and summarise every run."""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis import pairs
from analysis.product import commit, versions
from analysis.profile import called, expand
from proxyalign import tasks
from proxyalign.evaluation import Settings, run_grid
from proxyalign.files import sha256, write_json


def records_folder(records: Path, grid: str, task: str, settings: str, code: str) -> Path:
    """Where the grid's records live: another folder for other settings or other code, so that neither mixes."""
    key = hashlib.sha256(f"{settings} {code}".encode()).hexdigest()[:12]
    return records / f"{grid}_{task}_{key}"


def main() -> None:
    """Decode the grid and write its summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="what to decode, as JSON")
    parser.add_argument("--code", required=True, help="fingerprint of the package")
    parser.add_argument("--records", type=Path, required=True, help="folder of all records of this profile")
    parser.add_argument("--out", type=Path, required=True, help="the summary; grid and task are read off its path")
    arguments = parser.parse_args()
    grid, task = arguments.out.parent.name, arguments.out.stem
    wanted = json.loads(arguments.settings)
    summary = decode(wanted, records_folder(arguments.records, grid, task, arguments.settings, arguments.code))
    runs = [{"grid": grid, **run} for run in summary]
    write_json(
        arguments.out,
        {"settings": wanted, "code": arguments.code, **commit(), "versions": versions(), "runs": runs},
    )


def decode(wanted: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Run the grid into `folder` and return one dictionary a run: settings, numbers, the files and their hashes."""
    import torch

    torch.set_num_threads(1)
    pair = pairs.load(wanted["pair"])
    task = tasks.get(wanted["task"])
    common = {
        "pair": pairs.called(wanted["pair"]),
        "task": task.name,
        "task_version": task.version,
        "max_new_tokens": task.max_new_tokens,
        "rows": wanted["n_rows"],
        "proxy_chat": wanted.get("proxy_chat", False),
        **{name: wanted[name] for name in ("split", "limit", "mode", "window", "temperature", "seed")},
    }
    rules = list(expand(wanted["rules"]))
    settings = [Settings(**common, rule=rule.name, parameters=rule.parameters()) for rule in rules]
    done = run_grid(
        pair,
        settings,
        folder,
        data=wanted.get("data"),
        batch_size=wanted["batch_size"],
        progress=lambda run, first, n: print(f"{run.slug}: {first} of {n} questions", file=sys.stderr, flush=True),
    )
    runs = []
    for setting, rule, run in zip(settings, rules, done["runs"], strict=True):
        records, rows = (folder / run["folder"] / name for name in ("records.jsonl", "rows.npz"))
        low, high = run.pop("interval")
        strict_low, strict_high = run.pop("strict_interval")
        runs.append(
            {
                **{name: getattr(setting, name) for name in ("task", "split", "mode", "window", "temperature", "seed")},
                **run,
                **called(rule),
                "low": low,
                "high": high,
                "strict_low": strict_low,
                "strict_high": strict_high,
                "records": records.as_posix(),
                "records_sha256": sha256(records),
                "rows": rows.as_posix() if rows.exists() else None,  # a rule that always defers visits none
            }
        )
    return runs


if __name__ == "__main__":
    main()
