"""What a profile may say, with the rules of the registry: its schema, the rules asked for, their names in tables."""

import inspect
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import validate

from proxyalign import tasks
from proxyalign.deferral.rules import REGISTRY, Rule, make

SCHEMA = Path(__file__).parent / "config" / "schema.yaml"
Values = Sequence[float | Mapping[str, float]]  # of a rule's leading parameter, or of any by name


def check(profile: dict[str, Any]) -> None:
    """Fill in the defaults of a profile; raises snakemake's WorkflowError where it says what the schema does not allow.

    The schema is schema.yaml, with every task there is and every rule of the registry with its parameters' domains.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "schema.json"
        path.write_text(json.dumps(schema()))
        validate(profile, str(path))


def schema() -> dict[str, Any]:
    """The whole JSON schema of a profile."""
    whole: dict[str, Any] = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    whole["properties"]["tasks"]["items"]["enum"] = list(tasks.NAMES)
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
