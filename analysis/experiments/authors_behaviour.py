"""Decode the lab tasks as the authors' code does and as ours, side by side; measure a cascade against its mirror."""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from analysis.product import describe
from proxyalign.decoding import generate
from proxyalign.deferral import policy, rules
from proxyalign.deferral.law import tempered
from proxyalign.files import write_json

if TYPE_CHECKING:
    from proxyalign.models import ModelPair
    from proxyalign.tasks import Question, Task

TASKS = ("lab-math", "lab-facts")
WINDOW = 5
BATCH = 64
ALPHAS = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Case:
    """One way to decode, and whose it is: "ours", or "authors" where it reproduces what their code does."""

    difference: str
    whose: str
    rule: rules.Rule
    temperature: float = 1.0
    rule_temperature: float = 1.0


CASES = (
    Case("one budget a window", "ours", rules.Primal(0.9)),
    Case("one budget a window", "authors", rules.PrimalPooled(0.9)),
    Case("tempering first, sampled", "ours", rules.Dual(0.4), temperature=0.7),
    Case("tempering first, sampled", "authors", rules.Dual(0.4), temperature=0.7, rule_temperature=0.7),
    Case("tempering first, greedy", "ours", rules.Dual(0.4), temperature=0.0),
    Case("tempering first, greedy", "authors", rules.Dual(0.4), temperature=0.0, rule_temperature=0.0),
)
VISITED_UNDER = rules.Dual(0.4)  # whose replies lead to the laws on which the cascade and its mirror are compared


def decode(pair: "ModelPair", task: "Task", questions: Sequence["Question"], case: Case, seed: int) -> dict[str, Any]:
    """Answer the questions in one way, and return what the answers are worth and what the rule did.

    deferral_mass: mean over the tokens of D, as the rule sees the laws (at the rule's temperature).
    """
    out = generate(
        pair,
        [question.prompt for question in questions],
        case.rule,
        mode="speculative",
        window=WINDOW,
        max_new_tokens=task.max_new_tokens,
        temperature=case.temperature,
        rule_temperature=case.rule_temperature,
        seed=seed,
        batch_size=BATCH,
    )
    n = len(questions)
    n_correct = sum(task.score(question, text).correct for question, text in zip(questions, out.texts, strict=True))
    accuracy = n_correct / n
    return {
        "task": task.name,
        "difference": case.difference,
        "whose": case.whose,
        "rule": str(case.rule),
        "temperature": case.temperature,
        "rule_temperature": case.rule_temperature,
        "n": n,
        "n_correct": n_correct,
        "accuracy": accuracy,
        "standard_error": math.sqrt(accuracy * (1 - accuracy) / n),
        "n_tokens": out.stats.n_tokens,
        "deferral_mass": out.stats.deferral_rate,
        "acceptance_rate": out.stats.acceptance_rate,
    }


def visited(
    pair: "ModelPair", task: "Task", questions: Sequence["Question"], seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The laws p and q (n, V) of both models at each token of a reply to each question."""
    prompts = [question.prompt for question in questions]
    out = generate(pair, prompts, VISITED_UNDER, max_new_tokens=task.max_new_tokens, seed=seed, batch_size=BATCH)
    for prompt, reply in zip(prompts, out.token_ids, strict=True):
        ids = torch.tensor([pair.tokenizer(prompt)["input_ids"] + reply])
        with torch.inference_mode():
            p, q = (
                model(ids).logits[0, -len(reply) - 1 : -1, : pair.vocab_size].float().softmax(-1)
                for model in (pair.base, pair.proxy)
            )
        yield p, q


def directions(task: str, p: Tensor, q: Tensor) -> list[dict[str, Any]]:
    """Mean total variation distance over laws (n, V) between each cascade and its mirror, for each alpha."""
    cascades = [rules.SpeculativeCascade(criterion, alpha) for criterion in rules.CRITERIA for alpha in ALPHAS]
    return [
        {
            "task": task,
            "mirrored": str(published.mirrored()),
            "published": str(published),
            "n_laws": len(p),
            "total_variation": _distance(published.mirrored().target(p, q), published.target(p, q)),
        }
        for published in cascades
    ]


def tempering(task: str, p: Tensor, q: Tensor) -> list[dict[str, Any]]:
    """Mean total variation distance over laws (n, V) that tempering before the rule makes, in every such case."""
    lines = []
    for case in CASES:
        if case.whose == "ours" or case.temperature == 1.0:
            continue
        drawn_p, drawn_q = (tempered(law.log(), case.temperature) for law in (p, q))
        ours, theirs = (policy.cascade(drawn_p, drawn_q, case.rule.defer(read)) for read in (p, drawn_p))
        lines.append(
            {
                "task": task,
                "difference": case.difference,
                "n_laws": len(p),
                "total_variation": _distance(ours, theirs),
            }
        )
    return lines


def _distance(one: Tensor, other: Tensor) -> float:
    return float(((one - other).abs().sum(-1, dtype=torch.float64) / 2).mean())


def run(pair: "ModelPair", n_questions: int, seed: int) -> dict[str, Any]:
    """All cases and both directions on the first so many test questions of each task."""
    from proxyalign import tasks

    runs: list[dict[str, Any]] = []
    laws: dict[str, list[dict[str, Any]]] = {"directions": [], "tempering": []}
    for name in TASKS:
        task = tasks.get(name)
        questions = task.questions("test", limit=n_questions)
        for case in CASES:
            print(f"{name}: {case.difference}, {case.whose}", file=sys.stderr, flush=True)
            runs.append(decode(pair, task, questions, case, seed))
        p, q = (torch.cat(of_model) for of_model in zip(*visited(pair, task, questions, seed), strict=True))
        laws["directions"] += directions(name, p, q)
        laws["tempering"] += tempering(name, p, q)
    return {"runs": runs, **laws}


def main() -> None:
    """Decode everything on one thread and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=100, help="of each task, the first of the test split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    from proxyalign.models import load_pair

    torch.set_num_threads(1)
    profile = {
        "pair": "lab",
        "questions": arguments.questions,
        "seed": arguments.seed,
        "window": WINDOW,
        "visited_under": str(VISITED_UNDER),
    }
    record = describe("analysis/experiments/authors_behaviour.py", [], profile)
    write_json(arguments.out, {**record, **run(load_pair("lab", offline=True), arguments.questions, arguments.seed)})


if __name__ == "__main__":
    main()
