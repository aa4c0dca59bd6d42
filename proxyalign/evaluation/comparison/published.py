"""What the authors of the method published, typed once in published.json, with its source and what is unsure of it.

Left out is what a summary of the EACL paper says of speed: 74.8 for dual on GSM8K at window 3 and 73.5 for primal at
budget 0.9 on MMLU, as a "throughput". The two words do not fit each other, and the authors' code has no MMLU task.
"""

import json
from importlib.resources import files
from typing import Any

from proxyalign.evaluation.comparison.results import Result

MEAN = "mean of the five"  # GSM8K, MATH-500, SVAMP, ARC-Challenge and CommonsenseQA


def published() -> list[Result]:
    """The published accuracies, pair by pair and rule by rule; the number of questions is not known.

    never is the base alone, always the aligned proxy, alone the aligned sibling of the base. Multiple choice is of
    replies with a letter, as their authors ask for it.
    """
    found = _content()
    source, rows = str(found["source"]), []
    for pair, rules in found["pairs"].items():
        for rule, of_tasks in rules.items():
            for task, value in zip(found["tasks"], of_tasks, strict=True):
                rows.append(Result(source, pair, task, rule, "accuracy", value / 100, None, None))
    for pair, rules in found["means"].items():
        rows += [Result(source, pair, MEAN, rule, "accuracy", value / 100, None, None) for rule, value in rules.items()]
    return rows


def caveat() -> str:
    """What whoever shows the published numbers has to say of them."""
    return str(_content()["caveat"])


def _content() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (files("proxyalign.evaluation.comparison") / "published.json").read_text("utf-8")
    )
    return content
