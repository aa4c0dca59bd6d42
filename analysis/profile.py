"""What a profile may say, with the rules of the registry: its schema, the rules asked for, their names in tables."""

import inspect
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from proxyalign import tasks
from proxyalign.deferral.rules import REGISTRY, Rule, make

SCHEMA = Path(__file__).parent / "config" / "schema.yaml"
_OF_A_CHOICE = {"mode": "autoregressive", "temperature": 1, "n_rows": 0}
Values = Sequence[float | Mapping[str, float]]  # of a rule's leading parameter, or of any by name


def check(profile: dict[str, Any]) -> None:
    """Fill in the defaults of a profile; raises snakemake's WorkflowError where it says what the schema does not allow.

    The schema is schema.yaml, with every task there is and every rule of the registry with its parameters' domains.
    Beyond it, each grid's tasks must be among the profile's and have its split and a number of questions, and those
    whose choices are read and not decoded take no mode, temperature or rows.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "schema.json"
        path.write_text(json.dumps(schema()))
        validate(profile, str(path))
    for grid in profile["grids"]:
        for task in tasks_of(profile, grid):
            _check_asked(profile, grid, task)


def tasks_of(profile: Mapping[str, Any], grid: str) -> list[str]:
    """The tasks that a grid asks: its own, or all of the profile's."""
    return list(profile["grids"][grid].get("tasks", profile["tasks"]))


def n_questions(profile: Mapping[str, Any], grid: str, task: str) -> int:
    """How many questions of a task a grid asks: the grid's number, the task's, or that of the split."""
    own, of_task = profile["grids"][grid], profile["of_task"].get(task, {})
    split = profile["n_questions"].get(own["split"])
    return int(own.get("n_questions", of_task.get("n_questions", split)))


def max_new_tokens(profile: Mapping[str, Any], task: str) -> int:
    """The most tokens of a reply: those that the profile gives the task, or that the task needs."""
    return int(profile["of_task"].get(task, {}).get("max_new_tokens", tasks.get(task).max_new_tokens))


def schema() -> dict[str, Any]:
    """The whole JSON schema of a profile."""
    whole: dict[str, Any] = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"enum": list(tasks.NAMES)}
    whole["properties"]["tasks"]["items"] = names
    whole["properties"]["of_task"]["propertyNames"] = names
    whole["$defs"]["grid"]["properties"]["tasks"]["items"] = names
    whole["$defs"]["rules"]["properties"] = {name: _values(build) for name, build in REGISTRY.items()}
    return whole


def expand(rules: Mapping[str, Values]) -> Iterator[Rule]:
    """Each rule with each of its values; one without parameters comes once.

    A number is the leading parameter's, an object has parameters by name, and the others keep their defaults.
    """
    for name, values in rules.items():
        leading = next(iter(inspect.signature(REGISTRY[name]).parameters), "")
        for value in values or [{}]:
            yield make(name, **(value if isinstance(value, Mapping) else {leading: value}))


def called(rule: Rule) -> dict[str, Any]:
    """A rule as tables have it: name, leading parameter (None without one) and, as text, the others not at default."""
    given, defaults = rule.parameters(), inspect.signature(REGISTRY[rule.name]).parameters
    others = [f"{key}={value:g}" for key, value in list(given.items())[1:] if value != defaults[key].default]
    return {"rule": rule.name, "parameter": next(iter(given.values()), None), "variant": ", ".join(others)}


def _check_asked(profile: Mapping[str, Any], grid: str, name: str) -> None:
    """Raise WorkflowError where a grid cannot ask a task as it says."""
    own, task = profile["grids"][grid], tasks.get(name)
    if name not in profile["tasks"]:
        raise WorkflowError(
            f"grids.{grid}: tasks must be among the profile's, got {name}; add it to the profile's tasks"
        )
    if own["split"] not in task.splits:
        raise WorkflowError(
            f"grids.{grid}: split must be one of {', '.join(task.splits)} for {name}, got {own['split']}; make a grid "
            "of its own for it"
        )
    known = "n_questions" in own or "n_questions" in profile["of_task"].get(name, {})
    if not known and own["split"] not in profile["n_questions"]:
        raise WorkflowError(
            f"grids.{grid}: n_questions must say how many of split {own['split']}, got none; add it to the profile's"
        )
    for entry, only in _OF_A_CHOICE.items():
        if task.kind == "choice" and own[entry] != only:
            raise WorkflowError(
                f"grids.{grid}: {entry} must be {only} for {name}, whose choices are read and not decoded, got "
                f"{own[entry]}; make a grid of its own for it"
            )


def _values(build: Callable[..., Rule]) -> dict[str, Any]:
    """What a profile may list of one rule."""
    parameters = inspect.signature(build).parameters
    needed = [key for key, one in parameters.items() if one.default is inspect.Parameter.empty]
    if not parameters:
        return {"type": "array", "maxItems": 0}
    domains = build(**dict.fromkeys(needed, 1)).domains  # 1 is in the domain of every parameter without a default
    numbers: dict[str, Any] = {}
    for key in parameters:
        low, high, _, whole = domains[key]
        ends = {"minimum": low, "maximum": high}
        numbers[key] = {"type": "integer" if whole else "number"}
        numbers[key] |= {end: value for end, value in ends.items() if math.isfinite(value)}
    by_name = {"type": "object", "additionalProperties": False, "required": needed, "properties": numbers}
    alone = numbers[next(iter(numbers))] if len(needed) <= 1 else False
    return {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"if": {"type": "object"}, "then": by_name, "else": alone},
    }
