"""Gap against speedup of the real pair: its knapsacks and accuracies beside the speeds that were recorded of it.

The speeds are of eight texts at once, in one run, so that they have no interval.

    python -m analysis.experiments.real_points --out analysis/recorded/real/points.json
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.experiments.tabulate import KEY, points_table
from analysis.product import describe
from analysis.profile import called
from proxyalign.deferral.rules import make
from proxyalign.files import write_json

RUNS = Path("analysis/recorded/real/runs.json")
SPEEDS = Path("analysis/recorded/real_pair.json")


def points(record: Mapping[str, Any], timed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each setting that has a gap and a speed; as `tabulate.points_table`, of what the repository keeps."""
    knapsack = [
        {**run, **{name: {end: run[f"{name}.{end}"] for end in ("point", "low", "high")} for name in ("gap", "price")}}
        for run in record["knapsack"]
    ]
    (alone,) = (run for run in timed["runs"] if run["rule"] == "never" and run["mode"] == "autoregressive")
    tasks = sorted({run["task"] for run in knapsack})
    speeds = []
    for run in timed["runs"]:
        speedup = run["tokens_per_second"] / alone["tokens_per_second"]
        told = {"mode": run["mode"], "engine": "proxyalign", "window": timed["settings"]["window"]}
        told |= called(make(run["rule"], **run["parameters"]))
        if run["boundaries"] == "any" and run["rule"] != "never":
            speeds += [
                {**told, "task": task, "speedup": speedup, "speedup_low": speedup, "speedup_high": speedup}
                for task in tasks
            ]
    return points_table(record["runs"], knapsack, speeds).sort(KEY).to_dicts()


def main() -> None:
    """Join both records, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    record, timed = (json.loads(path.read_text(encoding="utf-8")) for path in (RUNS, SPEEDS))
    described = describe("analysis/experiments/real_points.py", [RUNS, SPEEDS], {"pair": record["profile"]["pair"]})
    write_json(arguments.out, {**described, "points": points(record, timed)})


if __name__ == "__main__":
    main()
