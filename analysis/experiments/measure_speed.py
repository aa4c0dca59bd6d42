"""Time every rule in both modes on one task, question by question beside the base alone and transformers' own ways."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis import pairs
from analysis.product import commit, versions
from analysis.profile import Values, called, expand
from proxyalign.files import write_json


def contestants(rules: Mapping[str, Values], window: int) -> list[Any]:
    """The base alone, transformers plain and assisted, the base verified by drafts, and each rule in both modes."""
    from proxyalign.bench.decoding_speed import ASSISTED, BASE_ALONE, TRANSFORMERS, Contestant
    from proxyalign.deferral.rules import Never

    field = [
        BASE_ALONE,
        Contestant(Never(), "speculative", window),
        Contestant(Never(), engine=TRANSFORMERS),
        Contestant(Never(), "speculative", window, engine=ASSISTED),
    ]
    for rule in expand(rules):
        field += [Contestant(rule), Contestant(rule, "speculative", window)]
    return field


def main() -> None:
    """Measure and write one JSON file; on one thread, and on questions of the test split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="what to measure, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="the measurement; its name is the task's")
    arguments = parser.parse_args()
    wanted = json.loads(arguments.settings)

    import torch

    from proxyalign import tasks
    from proxyalign.bench.decoding_speed import measure
    from proxyalign.deferral.rules import make

    torch.set_num_threads(1)
    task = tasks.get(wanted["task"])
    questions = task.questions("test", data=wanted["data"], limit=wanted["n_questions"])
    numbers = measure(
        pairs.load(wanted["pair"]),
        [question.prompt for question in questions],
        contestants(wanted["rules"], wanted["window"]),
        max_new_tokens=task.max_new_tokens,
        stop=task.stop,
        repeats=wanted["n_rounds"],
        seed=wanted["seed"],
        progress=lambda done, n: print(f"{task.name}: {done} of {n} questions", file=sys.stderr, flush=True),
    )
    runs = [{"task": task.name, **run, **called(make(run["rule"], **run["parameters"]))} for run in numbers.pop("runs")]
    write_json(arguments.out, {"settings": wanted, **commit(), "versions": versions(), **numbers, "runs": runs})


if __name__ == "__main__":
    main()
