"""Write every number and table that the paper \\inputs, from the tables of results and the recorded second seed."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from analysis.experiments.latex_tables import HEADER, accuracy_table, find, gap_table, percent, speed_table
from analysis.product import started
from proxyalign.files import sha256, write_json
from proxyalign.plotting.style import CONTROL, PARENTS

Row = Mapping[str, Any]
TASKS = {"lab-facts": "Facts", "lab-math": "Math"}
RULES = {"dual": "Dual", "primal": "Primal", "nudging": "Nudging"}  # those that the text names


def margin(better: Row, worse: Row) -> float:
    """By how many standard errors of the difference one accuracy is above another; both have n questions."""
    spread = math.hypot(better["standard_error"], worse["standard_error"])
    return (better["accuracy"] - worse["accuracy"]) / spread if spread else math.inf


def accuracy_numbers(runs: Sequence[Row]) -> dict[str, str]:
    """What the text says about accuracy: for each task the chosen rules, the best parent, the best control, margins."""
    numbers = {"ExactQuestions": str(min((run["n"] for run in runs if run["rule"] == "exact"), default=0))}
    for task, name in TASKS.items():
        plain = [run for run in runs if run["task"] == task and run["split"] == "test" and run["mode"] != "speculative"]
        parents = [run for run in plain if run["rule"] in PARENTS and run["temperature"] == 1]
        controls = [
            run
            for run in plain
            if run["rule"].startswith(CONTROL) or (run["rule"] in PARENTS and run["temperature"] == 0)
        ]
        if not parents or not controls:
            raise LookupError(f"paper: {task} must have both parents and the controls; add them to the profile's grids")
        best = max([*parents, *controls], key=lambda run: float(run["accuracy"]))
        numbers[f"{name}Questions"] = str(best["n"])
        numbers[f"{name}BestParent"] = _accuracy(max(parents, key=lambda run: float(run["accuracy"])))
        numbers[f"{name}BestControl"] = _accuracy(max(controls, key=lambda run: float(run["accuracy"])))
        for rule, word in RULES.items():
            chosen = find(plain, rule=rule, chosen=True)
            numbers[f"{name}{word}"] = _accuracy(chosen)
            numbers[f"{name}{word}Parameter"] = f"{chosen['parameter']:g}"
            numbers[f"{name}{word}Margin"] = f"{margin(chosen, best):.1f}"
    return numbers


def _accuracy(run: Row) -> str:
    return f"{percent(run['accuracy'])} ({percent(run['standard_error'])})"


def optimality_numbers(knapsack: Sequence[Row], points: Sequence[Row]) -> dict[str, str]:
    """What the text says about optima: how many were solved and certified, how fast, and the largest gap and price."""
    if not knapsack or not points:
        raise LookupError("paper: there must be solved steps and timed runs; add n_rows and speed to the profile")

    def largest(rule: str, measure: str) -> str:
        return percent(max(run[f"{measure}.point"] for run in knapsack if run["rule"] == rule))

    return {
        "SolvedSteps": f"{sum(run['n_steps'] for run in knapsack):,}".replace(",", "\\,"),
        "CertifiedSteps": f"{sum(run['n_certified'] for run in knapsack):,}".replace(",", "\\,"),
        "AskedSteps": f"{sum(run['n_asked'] for run in knapsack):,}".replace(",", "\\,"),
        "DerivedSteps": f"{sum(run['n_derived'] for run in knapsack):,}".replace(",", "\\,"),
        "MedianSolve": f"{sorted(run['median_milliseconds'] for run in knapsack)[len(knapsack) // 2]:.2f}",
        "WorstSolve": f"{max(run['worst_milliseconds'] for run in knapsack):.0f}",
        "LargestPrimalGap": largest("primal", "gap"),
        "LargestPrimalPrice": largest("primal", "price"),
        "LargestExactPrice": largest("exact", "price"),
    }


def speed_numbers(runs: Sequence[Row], speed: Sequence[Row]) -> dict[str, str]:
    """What the text says about speed: the chosen dual rule's speedup when speculating on lab-math."""
    chosen = find(runs, task="lab-math", rule="dual", chosen=True, mode="autoregressive", temperature=1.0)
    fast = find(speed, task="lab-math", rule="dual", parameter=chosen["parameter"], mode="speculative")
    return {
        "MathDualSpeedup": f"{fast['speedup']:.2f} ({fast['speedup_low']:.2f} to {fast['speedup_high']:.2f})",
        "SpeedWindow": str(fast["window"]),
    }


def macros(numbers: Mapping[str, str], header: str = HEADER) -> str:
    """The numbers as LaTeX commands without arguments, sorted by name."""
    lines = [f"\\newcommand{{\\{name}}}{{{value}}}" for name, value in sorted(numbers.items())]
    return header + "\n".join(lines) + "\n"


def main() -> None:
    """Read the tables runs, knapsack, points and speed and the second seed's runs, and write what the paper reads.

    That is numbers.tex, three tables and provenance.json, the product that is asked for; a missing result stops it.
    """
    (*tables, recorded), out, record = started(__file__, __doc__)
    runs, knapsack, points, speed = (pl.read_parquet(table).to_dicts() for table in tables)
    replicate = json.loads(recorded.read_text())["runs"]
    texts = {
        "numbers.tex": macros(
            accuracy_numbers(runs) | optimality_numbers(knapsack, points) | speed_numbers(runs, speed)
        ),
        "accuracy_table.tex": accuracy_table(runs, replicate),
        "gap_table.tex": gap_table(knapsack),
        "speed_table.tex": speed_table(speed),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        out.with_name(name).write_text(text)
    files = [{"file": name, "sha256": sha256(out.with_name(name))} for name in texts]
    write_json(out, {"generated": files, **record})


if __name__ == "__main__":
    main()
