"""SmolLM2-135M-Instruct alone on all of IFEval, greedy in its chat template: to stand beside its published score.

The replies are kept in --runs as they come, so that the same command goes on after an interruption.

    python -m analysis.experiments.real_ifeval --out analysis/recorded/real/ifeval.json
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.product import describe
from proxyalign import tasks
from proxyalign.evaluation import Settings, read_records, run_grid
from proxyalign.evaluation.measures import of_run
from proxyalign.files import write_json
from proxyalign.models import load_pair

ASKED = Settings(
    pair="gemma-smol",
    task="ifeval",
    task_version=tasks.get("ifeval").version,
    rule="always",
    temperature=0.0,
    max_new_tokens=512,
    proxy_chat=True,
)
BATCH = 32
PUBLISHED = {"mean_strict": 0.299, "source": "model card of HuggingFaceTB/SmolLM2-135M-Instruct"}
_SCORES = ("instruction_strict", "prompt_loose", "instruction_loose", "prompt_strict_plain", "ended")


def scores(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The benchmark's four numbers, that of the prompts that need no package, the mean of the strict two, and how many
    replies ended by themselves; shares in [0, 1], but for `n`, the number of prompts."""
    records = list(records)
    measured = of_run(records)
    strict = sum(record["correct"] for record in records) / len(records)
    return {
        "n": len(records),
        "prompt_strict": strict,
        **{name: measured[name] for name in _SCORES},
        "mean_strict": (strict + measured["instruction_strict"]) / 2,
    }


def main() -> None:
    """Answer what is not answered yet, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("results/real_ifeval"), help="the folder of the replies")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    summary = run_grid(
        load_pair(ASKED.pair, offline=True), [ASKED], arguments.runs, batch_size=BATCH,
        progress=lambda _, done, n: print(f"{done} of {n} prompts", flush=True),
    )  # fmt: skip
    records = arguments.runs / summary["runs"][0]["folder"] / "records.jsonl"
    described = describe("analysis/experiments/real_ifeval.py", [], {**asdict(ASKED), "batch_size": BATCH})
    write_json(arguments.out, {**described, "made_by": summary["made_by"],
                                 "scores": scores(read_records(records)), "published": PUBLISHED})  # fmt: skip


if __name__ == "__main__":
    main()
