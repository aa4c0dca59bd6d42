"""proxyalign: hand tokens of a large base model to a small aligned proxy, as a knapsack solved at every step."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxyalign import knapsack, tasks
    from proxyalign.decoding.custom_generate import generate_kad
    from proxyalign.decoding.generate import Generation, generate
    from proxyalign.deferral import policy, rules, verifiers
    from proxyalign.exploring import explore
    from proxyalign.models import ModelPair, load_pair
    from proxyalign.serving.base import ServedBase

__version__ = "0.1.0"

__all__ = [
    "Generation",
    "ModelPair",
    "ServedBase",
    "explore",
    "generate",
    "generate_kad",
    "knapsack",
    "load_pair",
    "policy",
    "rules",
    "tasks",
    "verifiers",
]

# Where each public name lives. Importing the package must cost nothing: torch, transformers and the solvers are
# loaded by the first name that needs them.
_HOMES = {
    "Generation": "proxyalign.decoding",
    "explore": "proxyalign.exploring",
    "generate": "proxyalign.decoding",
    "generate_kad": "proxyalign.decoding",
    "ModelPair": "proxyalign.models",
    "ServedBase": "proxyalign.serving.base",
    "load_pair": "proxyalign.models",
    "policy": "proxyalign.deferral",
    "rules": "proxyalign.deferral",
    "verifiers": "proxyalign.deferral",
    "knapsack": "proxyalign",
    "tasks": "proxyalign",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'proxyalign' has no attribute {name!r}")
    home = _HOMES[name]
    value = import_module(f"{home}.{name}") if home == "proxyalign" else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
