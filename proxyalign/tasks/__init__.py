"""The benchmarks by name; each module here lists its own in `TASKS`, and is imported when one is asked for."""

from importlib import import_module

from proxyalign.errors import InputError
from proxyalign.tasks.base import Kind, Question, Score, Task, check_request

_HOMES = {
    "lab-facts": "proxyalign.tasks.lab",
    "lab-math": "proxyalign.tasks.lab",
    "gsm8k": "proxyalign.tasks.gsm8k",
    "gsm8k-0shot": "proxyalign.tasks.gsm8k",
}
NAMES = tuple(_HOMES)

__all__ = ["NAMES", "Kind", "Question", "Score", "Task", "check_request", "get"]


def get(name: str) -> Task:
    """The task called `name`, one of `NAMES`. Raises InputError for any other name."""
    if name not in _HOMES:
        raise InputError(f"tasks: there is no task {name!r}; choose one of {', '.join(NAMES)}")
    tasks: dict[str, Task] = import_module(_HOMES[name]).TASKS
    return tasks[name]
