"""Solve the knapsack of every distribution that the runs kept, exactly, and measure each rule against the optima."""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.experiments.gap_and_price import (
    Step,
    Union,
    derived_anew,
    optimality_gap,
    price_of_step_budgets,
    solve_step,
    spent_budget,
)
from proxyalign.deferral.rules import Rule, make
from proxyalign.files import sha256, write_json
from proxyalign.knapsack import DeferralProblem, exact

KEY = ("grid", "task", "split", "mode", "temperature", "rule", "variant", "parameter")
DERIVE_EVERY = 10  # of so many steps one has its certificate checked, which takes some twenty times as long as solving


def is_measurable(rule: Rule) -> bool:
    """Whether the rule defers sets of tokens that the base's law decides, so that a visited law tells what it took."""
    return rule.needs == "p" and rule.defers_sets


def deferred_sets(rule: Rule, p: NDArray[np.float32], mass: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What the rule deferred of each of the laws p (n, V), where it handed over `mass` (n,).

    A rule that follows the text cannot be asked anew about a law alone; its sets are of the least likely tokens, so
    that their mass tells which.
    """
    if rule.start(1, torch.device("cpu")) is None:
        return rule.defer(torch.from_numpy(p)[:, None])[:, 0].numpy()  # each law as a window of its own
    return np.stack([_least_likely(law.astype(np.float64), spent) for law, spent in zip(p, mass, strict=True)])


def _least_likely(law: NDArray[np.float64], mass: float) -> NDArray[np.bool_]:
    """The tokens below some threshold whose mass is nearest to `mass`; those of one probability go together."""
    _, place = np.unique(law, return_inverse=True)
    spent = np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=law))])
    deferred: NDArray[np.bool_] = place < np.abs(spent - mass).argmin()
    return deferred


def step_budget(rule: Rule) -> float | None:
    """What the rule may spend at each step, its parameter; None for one without, which is measured at what it spent.

    Among those is one whose budget is a mean over the text, of which a step may spend more or less.
    """
    is_a_mean = rule.start(1, torch.device("cpu")) is not None
    return None if is_a_mean else rule.parameters().get("budget")


def measure(run: Mapping[str, Any], *, n_resamples: int, seed: int, steps_file: Any) -> dict[str, Any]:
    """Gap and price of one run, with its step count and solving times; each step is written to `steps_file` as JSON."""
    rule = make(run["rule"], **run["parameters"])
    with np.load(run["rows"]) as kept:
        p, mass, questions, positions = (kept[name] for name in ("p", "mass", "question", "position"))
    deferred = deferred_sets(rule, p, mass)
    laws = p.astype(np.float64)
    names, group = np.unique(questions, return_inverse=True)
    steps: list[Step] = []
    seconds = []
    for row, law in enumerate(laws):
        start = time.perf_counter()
        step = solve_step(law, deferred[row], step_budget(rule))
        seconds.append(time.perf_counter() - start)
        steps.append(step)
        where = {"question": str(questions[row]), "position": int(positions[row]), "largest_p": float(law.max())}
        key = {name: run[name] for name in ("grid", "task", "rule", "variant", "parameter")}
        steps_file.write(json.dumps({**key, **where, **asdict(step)}, allow_nan=False) + "\n")
    asked = range(0, len(laws), DERIVE_EVERY)
    union = Union.of(laws, group)
    gap = optimality_gap(steps, group, n_resamples=n_resamples, seed=seed)
    price, best = price_of_step_budgets(steps, union, group, n_resamples=n_resamples, seed=seed)
    return {
        **{name: run[name] for name in KEY},
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
    parser.add_argument("--decoded", type=Path, nargs="+", required=True, help="what decode_grid wrote")
    parser.add_argument("--grid", required=True, help="whose runs are measured, of those that are there")
    parser.add_argument("--task", required=True, help="whose runs are measured, of those that are there")
    parser.add_argument("--steps", type=Path, required=True, help="one JSON line for each solved step")
    parser.add_argument("--summary", type=Path, required=True, help="gap and price of each run")
    parser.add_argument("--n-resamples", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    decoded = [
        run
        for path in arguments.decoded
        for run in json.loads(path.read_text())["runs"]
        if (run["grid"], run["task"]) == (arguments.grid, arguments.task)
    ]
    exact(DeferralProblem.from_probs(np.array([0.5, 0.3, 0.2]), budget=spent_budget(np.array([0.2, 0.1]))))  # compiles
    arguments.steps.parent.mkdir(parents=True, exist_ok=True)
    asked = [run for run in decoded if run["rows"] and is_measurable(make(run["rule"], **run["parameters"]))]
    runs = []
    with arguments.steps.open("w") as steps_file:
        for run in asked:
            print(f"run {len(runs) + 1} of {len(asked)}, {run['rule']}", file=sys.stderr, flush=True)
            runs.append(measure(run, n_resamples=arguments.n_resamples, seed=arguments.seed, steps_file=steps_file))
    write_json(
        arguments.summary,
        {
            "decoded": [{"file": path.as_posix(), "sha256": sha256(path)} for path in arguments.decoded],
            "steps": {"file": arguments.steps.as_posix(), "sha256": sha256(arguments.steps)},
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
