"""Record what guessing is worth on the questions of the real pair's choice tasks: analysis/recorded/real/chance.json.

python -m analysis.figures.record_chance --out analysis/recorded/real/chance.json

Run it after real/runs.json was renewed, with the benchmarks' files in PROXYALIGN_DATA: it asks for the questions that
those runs answered, and takes the mean of one over the number of choices.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

from analysis.product import ROOT, describe
from proxyalign import tasks
from proxyalign.files import write_json

RUNS = Path("analysis/recorded/real/runs.json")


def chance(task: str, split: str, n: int) -> dict[str, Any]:
    """How often one of the choices, drawn evenly, is right on the first n questions."""
    questions = tasks.get(task).questions(split, limit=n)
    return {"task": task, "split": split, "n": n, "chance": fmean(1 / len(one.choices) for one in questions)}


def main() -> None:
    """Find which questions the recorded runs answered, and write what guessing is worth on them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the record")
    arguments = parser.parse_args()
    runs = json.loads((ROOT / RUNS).read_text())["runs"]
    asked = sorted({(run["task"], run["split"], run["n"]) for run in runs if run["kind"] == "choice"})
    record = describe("analysis/figures/record_chance.py", [RUNS], {})
    write_json(arguments.out, {**record, "chances": [chance(*one) for one in asked]})


if __name__ == "__main__":
    main()
