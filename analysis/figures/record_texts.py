"""Record who writes what in the lab pair's texts, and what rules collect of the same laws at equal mass.

python -m analysis.figures.record_texts --out analysis/recorded/lab_texts.json
"""

import argparse
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.experiments.gap_and_price import Step, Union, price_of_step_budgets
from analysis.experiments.solve_visited_rows import deferred_sets
from analysis.product import commit, versions
from proxyalign.deferral.law import Law
from proxyalign.deferral.rules import Dual, Exact, Hybrid, Primal, Rule
from proxyalign.files import write_json
from proxyalign.knapsack import surprisal

if TYPE_CHECKING:
    from proxyalign.decoding.trace import Trace
    from proxyalign.models import ModelPair

TASKS = ("lab-facts", "lab-math")
VISITED_UNDER = Dual(alpha=0.4)
LAST = 39  # the position (from 0) from which on tokens are counted together
ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
BUDGETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RULES: tuple[Rule, ...] = (
    *(Dual(alpha=alpha) for alpha in ALPHAS),
    *(Primal(budget=budget) for budget in BUDGETS),
    *(Exact(budget=budget) for budget in BUDGETS[::2]),
    *(Hybrid(budget=budget) for budget in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4)),
)


def kind(piece: str, is_end: bool) -> str:
    """Of a token, by its text: end of text, number, word, sign or space."""
    bare = piece.strip()
    if is_end:
        return "end of text"
    if not bare:
        return "space"
    if any(character.isdigit() for character in bare):
        return "number"
    return "word" if any(unicodedata.category(character)[0] == "L" for character in bare) else "sign"


def writers(pair: "ModelPair", traces: Sequence["Trace"]) -> list[dict[str, Any]]:
    """How often base and proxy wrote a token of each kind at each position, with the deferral mass there in all."""
    counts: Counter[tuple[int, str, str]] = Counter()
    mass: Counter[tuple[int, str, str]] = Counter()
    ends = set(pair.eos_token_ids)
    for trace in traces:
        for position, (token, source, deferred) in enumerate(
            zip(trace.token_ids.tolist(), trace.source.tolist(), trace.deferral_mass.tolist(), strict=True)
        ):
            key = min(position, LAST), kind(pair.tokenizer.decode([token]), token in ends), source
            counts[key] += 1
            mass[key] += deferred
    return [
        {"position": position, "kind": what, "source": source, "n": n, "mass": mass[position, what, source]}
        for (position, what, source), n in sorted(counts.items())
    ]


def collected(rule: Rule, laws: NDArray[np.float32], groups: NDArray[np.int64], union: Union) -> dict[str, Any]:
    """What the rule collects of the laws (n, V), in the order of their texts, and its price at its own total mass."""
    if rule.start(1, torch.device("cpu")) is None:
        deferred = deferred_sets(rule, laws, np.zeros(len(laws)))
    else:  # a rule that follows the text is led along each of them
        texts = [torch.from_numpy(laws[groups == group])[None] for group in np.unique(groups)]
        deferred = np.concatenate([_along(rule, text) for text in texts])
    value = np.where(deferred, surprisal(laws.astype(np.float64)), 0.0).sum(1)
    mass = np.where(deferred, laws.astype(np.float64), 0.0).sum(1)
    steps = [
        Step(budget=spent, mass=spent, value=worth, optimum=worth, upper_bound=worth, is_optimal=True, method=rule.name)
        for spent, worth in zip(mass.tolist(), value.tolist(), strict=True)
    ]
    price, best = price_of_step_budgets(steps, union, groups, n_resamples=100, seed=0)
    return {
        "rule": rule.name,
        "parameter": next(iter(rule.parameters().values())),
        "mass_a_step": float(mass.mean()),
        "value": float(value.sum()),
        "best_at_same_mass": best,
        "price": price.point,
        "price_low": price.low,
        "price_high": price.high,
    }


def _along(rule: Rule, text: torch.Tensor) -> NDArray[np.bool_]:
    """The sets (n, V) of a rule with a state, led along the laws (1, n, V) of one text."""
    deferred = rule.propose(Law(text, text)).deferred
    assert deferred is not None  # such a rule defers tokens
    return deferred[0].numpy()


def main() -> None:
    """Decode, count the writers, and measure every rule on the laws that the texts visited."""
    from proxyalign import generate, load_pair, tasks

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=160, help="development questions of each task")
    parser.add_argument("--measured", type=int, default=40, help="of those, how many have their laws measured")
    parser.add_argument("--out", type=Path, required=True, help="the record")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pair, found = load_pair("lab"), []
    for name in TASKS:
        task = tasks.get(name)
        prompts = [question.prompt for question in task.questions("dev", limit=arguments.questions)]
        settings: dict[str, Any] = {"max_new_tokens": task.max_new_tokens, "stop": task.stop, "seed": 1}
        texts = generate(pair, prompts, VISITED_UNDER, batch_size=64, **settings).traces
        with_laws = generate(pair, prompts[: arguments.measured], VISITED_UNDER, distributions=True, **settings).traces
        laws = np.concatenate([trace.distributions for trace in with_laws])
        groups = np.repeat(np.arange(len(with_laws)), [len(trace.distributions) for trace in with_laws])
        union = Union.of(laws.astype(np.float64), groups)
        found.append(
            {
                "task": name,
                "n_texts": len(texts),
                "writers": writers(pair, texts),
                "n_steps": len(laws),
                "rules": [collected(rule, laws, groups, union) for rule in RULES],
            }
        )
    settings = {"visited_under": str(VISITED_UNDER), "questions": arguments.questions, "measured": arguments.measured}
    record = {"script": "analysis/figures/record_texts.py", "settings": settings, **commit(), "versions": versions()}
    write_json(arguments.out, {**record, "tasks": found})


if __name__ == "__main__":
    main()
