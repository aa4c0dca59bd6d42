"""The benchmarks by name; each module here lists its own in `TASKS`, and is imported when one is asked for."""

from importlib import import_module

from proxyalign.errors import InputError
from proxyalign.tasks.base import Kind, Question, Score, Task, check_request

_HOMES = {
    "lab-facts": "proxyalign.tasks.lab",
    "lab-math": "proxyalign.tasks.lab",
    "gsm8k": "proxyalign.tasks.gsm8k",
    "gsm8k-0shot": "proxyalign.tasks.gsm8k",
    "svamp": "proxyalign.tasks.svamp",
    "math500": "proxyalign.tasks.math500",
    "ifeval": "proxyalign.tasks.ifeval",
    "ifeval-published": "proxyalign.tasks.ifeval",
    "mmlu": "proxyalign.tasks.mmlu",
    "mmlu-0shot": "proxyalign.tasks.mmlu",
    "arc-challenge": "proxyalign.tasks.arc",
    "commonsenseqa": "proxyalign.tasks.commonsenseqa",
    "truthfulqa": "proxyalign.tasks.truthfulqa",
    "mmlu-reply": "proxyalign.tasks.mmlu",
    "mmlu-0shot-reply": "proxyalign.tasks.mmlu",
    "arc-challenge-reply": "proxyalign.tasks.arc",
    "commonsenseqa-reply": "proxyalign.tasks.commonsenseqa",
    "truthfulqa-reply": "proxyalign.tasks.truthfulqa",
    "truthfulqa-reply-unshuffled": "proxyalign.tasks.truthfulqa",
    "truthfulqa-open": "proxyalign.tasks.truthfulqa_open",
}
NAMES = tuple(_HOMES)

__all__ = ["NAMES", "Kind", "Question", "Score", "Task", "check_request", "get"]


def get(name: str) -> Task:
    """The task called `name`, one of `NAMES`. Raises InputError for any other name."""
    if name not in _HOMES:
        raise InputError(f"tasks: there is no task {name!r}; choose one of {', '.join(NAMES)}")
    tasks: dict[str, Task] = import_module(_HOMES[name]).TASKS
    return tasks[name]
