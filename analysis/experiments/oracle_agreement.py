"""Hold `exact` against HiGHS and SCIP on thousands of small instances; keep each disagreement with a certificate."""

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from analysis.product import describe
from proxyalign.files import write_json
from proxyalign.knapsack import DeferralProblem, Solution, certify, exact, oracle
from proxyalign.knapsack.oracle.instances import CLASSES, pisinger
from proxyalign.knapsack.oracle.judgement import oracle_verdict

SOLVERS = ("HIGHS", "SCIP")
COUNTS = (
    "n", "agree", "differ", "exact_certified", "first_certified", "first_within_tolerance", "first_wrong",
    "first_unfinished", "first_over_budget",
)  # fmt: skip
TOLERANCE = 1e-12  # relative, between two values that are called the same: the gap that `exact` proves
BUDGETS = (0.0, 0.05, 0.1, 0.3, 0.5, 0.9, 1.0)
FAMILIES = ("law", "tied law", "free", "grid", "class")
LARGE = (200, 500, 1000, 2000, 5000)


@dataclass(frozen=True, eq=False)
class Instance:
    """One problem, and the family that it was drawn from."""

    family: str
    problem: DeferralProblem


def small_instances(seed: int) -> Iterator[Instance]:
    """Without end: token laws flat, peaked and tied, values of their own with and without ties, Pisinger's classes."""
    generator = np.random.default_rng(seed)
    for number, family in zip(itertools.count(), itertools.cycle(FAMILIES)):
        size = int(generator.integers(2, 31))
        budget = float(generator.choice(BUDGETS))
        if family in ("law", "tied law"):
            law = generator.dirichlet(np.full(size, generator.choice([0.05, 0.3, 1.0, 5.0])))
            if family == "tied law":
                law = np.round(law * 8) + 1.0
                law /= law.sum()
            yield Instance(family, DeferralProblem.from_probs(law, budget))
        elif family == "class":
            kind = list(CLASSES)[number // 5 % len(CLASSES)]
            fill = float(generator.uniform(0.1, 0.9))
            yield Instance(f"class {kind}", pisinger(kind, size, number, fill=fill, largest=100).problem)
        else:
            draw = generator.random((2, size)) if family == "free" else generator.integers(0, 9, (2, size)) / 10
            yield Instance(family, DeferralProblem(draw[0], draw[1], float(draw[1].sum() * budget)))


def large_instances(seed: int) -> Iterator[Instance]:
    """Without end: token laws of 200 to 5,000 items, budgets in turn."""
    generator = np.random.default_rng(seed)
    for number in itertools.count():
        size = LARGE[number % len(LARGE)]
        law = generator.dirichlet(np.full(size, generator.choice([0.05, 0.3, 1.0])))
        yield Instance(f"large law {size}", DeferralProblem.from_probs(law, BUDGETS[1 + number % 5]))


def compare(instance: Instance, solver: str, truth: Solution, limit: float) -> dict[str, Any]:
    """How one solver's first answer is judged, and whether what `oracle` makes of it agrees with `exact`.

    agrees: None where the solver did not finish.
    """
    verdict = oracle_verdict(instance.problem, solver, truth, time_limit=limit)
    value, agrees = verdict.value, None
    if verdict.judgement == "certified":
        agrees = True
    elif verdict.judgement != "unfinished":
        value = oracle(instance.problem, solver, time_limit=limit).value
        agrees = abs(value - truth.value) <= TOLERANCE * truth.value
    first = {
        name: getattr(verdict, name) for name in ("claim", "judgement", "value", "mass", "over_budget", "shortfall")
    }
    return {"solver": solver, "first": first, "oracle_value": value, "agrees": agrees, "seconds": verdict.seconds}


def run(
    instances: Iterator[Instance], n_instances: int, limit: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Counts by family and solver, and what is kept of every answer that was wrong or did not agree.

    Of the latter the certificate of `exact`, which holds the instance to the last bit, and what checking it anew says.
    """
    counts: dict[tuple[str, str], dict[str, Any]] = {}
    kept = []
    for number, instance in enumerate(itertools.islice(instances, n_instances)):
        truth = exact(instance.problem, time_limit=limit)
        for solver in SOLVERS:
            told = compare(instance, solver, truth, limit)
            judgement = told["first"]["judgement"]
            line = counts.setdefault((instance.family, solver), dict.fromkeys(COUNTS, 0))
            line["n"] += 1
            line["agree"] += told["agrees"] is True
            line["differ"] += told["agrees"] is False
            line["exact_certified"] += truth.is_optimal
            line["first_over_budget"] += told["first"]["over_budget"] > 0.0
            line[f"first_{judgement.replace(' ', '_')}"] += 1
            if told["agrees"] is False or judgement == "wrong":
                certificate = certify(instance.problem, truth)
                kept.append(
                    {
                        "number": number,
                        "family": instance.family,
                        **told,
                        "exact_value": truth.value,
                        "exact_upper_bound": truth.upper_bound,
                        "certificate_holds": bool(certificate.check(seconds=10.0)),
                        "certificate": json.loads(certificate.to_json()),
                    }
                )
    lines = [{"family": family, "solver": solver, **line} for (family, solver), line in counts.items()]
    return lines, kept


def main() -> None:
    """Run both kinds of instances and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=2000, help="instances of at most 30 items")
    parser.add_argument("--large", type=int, default=50, help="token laws of 200 to 5,000 items")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for each solver on each instance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    profile = {name: getattr(arguments, name) for name in ("small", "large", "limit", "seed")}
    record = describe("analysis/experiments/oracle_agreement.py", [], profile)
    record["versions"] |= {name: version(name) for name in ("cvxpy", "highspy", "pyscipopt")}
    small, kept = run(small_instances(arguments.seed), arguments.small, arguments.limit)
    large, kept_large = run(large_instances(arguments.seed), arguments.large, arguments.limit)
    write_json(arguments.out, {**record, "small": small, "large": large, "kept": kept + kept_large})


if __name__ == "__main__":
    main()
