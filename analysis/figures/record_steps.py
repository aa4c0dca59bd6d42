"""Record the knapsacks of real steps, for the figures that draw them: analysis/recorded/knapsack_steps.json.

    python -m analysis.figures.record_steps --out analysis/recorded/knapsack_steps.json

The laws are SmolLM2's on GSM8K questions where the extra [smol] and PROXYALIGN_DATA are there; the file says which.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.product import commit, versions
from proxyalign.files import write_json
from proxyalign.knapsack import DeferralProblem, dual_function, exact, exact_path, lp_bound, primal
from proxyalign.laws import laws_at_hand

Floats = NDArray[np.float64]

BUDGETS = (0.05, 0.1, 0.3, 0.5, 0.9)
SHAPES = {"flat": 0.95, "middle": 0.6, "peaked": 0.25}  # quantiles of the laws' entropy
PRICES = 4  # multipliers whose dual functions are drawn for each step, lines above the optimum


def entropy(p: Floats) -> float:
    """Of the law p (V,), in nats."""
    positive = p[p > 0]
    return float(-(positive * np.log(positive)).sum())


def step(p: Floats, name: str) -> list[dict[str, Any]]:
    """One row a budget: what the primal collects, the optimum, and how far statement 2 lets the two be apart (nats)."""
    rows = []
    for budget in BUDGETS:
        problem = DeferralProblem.from_probs(p, budget=budget)
        best, bound = exact(problem), lp_bound(problem)
        rows.append(
            {
                "name": name,
                "entropy": entropy(p),
                "largest_p": float(p.max()),
                "budget": budget,
                "primal": primal(problem).value,
                "optimum": best.value,
                "is_optimal": best.is_optimal,
                "lp": bound.value,
                "critical_value": 0.0 if bound.critical is None else float(problem.values[bound.critical]),
            }
        )
    return rows


def path(p: Floats, name: str, shape: str) -> dict[str, Any]:
    """The optimum, the primal, the relaxation and some dual functions of one step over the budget (nats)."""
    budgets = np.linspace(0.0, 1.0, 101)
    found = exact_path(p, budgets)
    problem = DeferralProblem.from_probs(p, budget=1.0)
    # At the multipliers where the relaxation's slope is that of these budgets, so that each line touches it there.
    prices = [lp_bound(problem.at_budget(budget)).multiplier for budget in np.linspace(0.05, 0.8, PRICES).tolist()]
    return {
        "name": name,
        "shape": shape,
        "entropy": entropy(p),
        "largest_p": float(p.max()),
        "budgets": budgets.tolist(),
        "exact": found.values.tolist(),
        "lp": found.lp_values.tolist(),
        "primal": [primal(problem.at_budget(budget)).value for budget in budgets.tolist()],
        "dual": [
            {"multiplier": price, "values": [dual_function(problem.at_budget(b), price) for b in budgets.tolist()]}
            for price in sorted(set(prices), reverse=True)
        ],
    }


def main() -> None:
    """Solve the steps of all laws, and trace three of them over the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laws", type=int, default=60, help="how many steps")
    parser.add_argument("--seed", type=int, default=0, help="of which they are")
    parser.add_argument("--out", type=Path, required=True, help="the record")
    arguments = parser.parse_args()
    found = laws_at_hand(arguments.laws, arguments.seed)
    by_entropy = sorted(range(len(found.laws)), key=lambda number: entropy(found.laws[number]))
    chosen = {shape: by_entropy[round(share * (len(by_entropy) - 1))] for shape, share in SHAPES.items()}
    write_json(
        arguments.out,
        {
            "script": "analysis/figures/record_steps.py",
            "laws": arguments.laws,
            "seed": arguments.seed,
            "source": found.source,
            **commit(),
            "versions": versions(),
            "steps": [row for law, name in zip(found.laws, found.names, strict=True) for row in step(law, name)],
            "paths": [path(found.laws[number], found.names[number], shape) for shape, number in chosen.items()],
        },
    )


if __name__ == "__main__":
    main()
