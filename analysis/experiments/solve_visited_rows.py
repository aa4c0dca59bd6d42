"""Solve the knapsack of every distribution that the runs kept, exactly, and measure each rule against the optima."""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.experiments.gap_and_price import (
    Step,
    Union,
    derived_anew,
    optimality_gap,
    price_of_step_budgets,
    solve_step,
    spent_budget,
)
from analysis.provenance import sha256
from proxyalign.deferral.rules import make
from proxyalign.files import write_json
from proxyalign.knapsack import DeferralProblem, exact

DERIVE_EVERY = 10  # of so many steps one has its certificate checked, which takes some twenty times as long as solving


def measure(run: Mapping[str, Any], *, n_resamples: int, seed: int, steps_file: Any) -> dict[str, Any]:
    """Gap and price of one run, with its step count and solving times; each step is written to `steps_file` as JSON."""
    rule = make(run["rule"], **run["parameters"])
    with np.load(run["rows"]) as kept:
        p, questions, positions = kept["p"], kept["question"], kept["position"]
    deferred = rule.defer(torch.from_numpy(p)).numpy()
    laws = p.astype(np.float64)
    names, group = np.unique(questions, return_inverse=True)
    steps: list[Step] = []
    seconds = []
    for row, law in enumerate(laws):
        start = time.perf_counter()
        step = solve_step(law, deferred[row], run["parameters"].get("budget"))
        seconds.append(time.perf_counter() - start)
        steps.append(step)
        where = {"question": str(questions[row]), "position": int(positions[row]), "largest_p": float(law.max())}
        key = {name: run[name] for name in ("grid", "task", "rule", "parameter")}
        steps_file.write(json.dumps({**key, **where, **asdict(step)}, allow_nan=False) + "\n")
    asked = range(0, len(laws), DERIVE_EVERY)
    union = Union.of(laws, group)
    gap = optimality_gap(steps, group, n_resamples=n_resamples, seed=seed)
    price, best = price_of_step_budgets(steps, union, group, n_resamples=n_resamples, seed=seed)
    return {
        **{name: run[name] for name in ("grid", "task", "split", "mode", "temperature", "rule", "parameter")},
        "n_steps": len(steps),
        "n_questions": len(names),
        "n_certified": sum(step.is_optimal for step in steps),
        "n_asked": len(asked),
        "n_derived": sum(derived_anew(laws[row], steps[row].budget) for row in asked),
        "value": sum(step.value for step in steps),
        "optimum": sum(step.optimum for step in steps),
        "mass": sum(step.mass for step in steps),
        "best_at_same_mass": best,
        "gap": asdict(gap),
        "price": asdict(price),
        "median_milliseconds": 1000 * float(np.median(seconds)),
        "worst_milliseconds": 1000 * max(seconds),
    }


def main() -> None:
    """Measure every run of one grid and task that kept its rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decoded", type=Path, required=True, help="what decode_grid wrote")
    parser.add_argument("--steps", type=Path, required=True, help="one JSON line for each solved step")
    parser.add_argument("--summary", type=Path, required=True, help="gap and price of each run")
    parser.add_argument("--n-resamples", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    decoded = json.loads(arguments.decoded.read_text())
    exact(DeferralProblem.from_probs(np.array([0.5, 0.3, 0.2]), budget=spent_budget(np.array([0.2, 0.1]))))  # compiles
    arguments.steps.parent.mkdir(parents=True, exist_ok=True)
    with arguments.steps.open("w") as steps_file:
        runs = [
            measure(run, n_resamples=arguments.n_resamples, seed=arguments.seed, steps_file=steps_file)
            for run in decoded["runs"]
            if run["rows"]
        ]
    write_json(
        arguments.summary,
        {
            "decoded": {"file": arguments.decoded.as_posix(), "sha256": sha256(arguments.decoded)},
            "steps": {"file": arguments.steps.as_posix(), "sha256": sha256(arguments.steps)},
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
