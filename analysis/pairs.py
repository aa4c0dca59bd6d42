"""The pair that a profile names: how it is called in records, and how it is loaded."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

Pair = str | Mapping[str, Mapping[str, Any]]  # a name or a folder, or models by role, as schema.yaml has them
_NOT_OPTIONS = ("name", "params")  # of a model: what is no option of load_pair


def called(pair: Pair) -> str:
    """What records call the pair: its name, or those of its models with their revisions."""
    if isinstance(pair, str):
        return pair
    return " + ".join(f"{m['name']}@{m['revision']}" if "revision" in m else m["name"] for m in pair.values())


def load(pair: Pair, dtype: str = "auto") -> "ModelPair":
    """The pair, with each model's own options; hub names are looked up on the hub unless HF_HUB_OFFLINE is set.

    dtype: of a pair that has a name.
    """
    from proxyalign.models import load_pair

    if isinstance(pair, str):
        return load_pair(pair, offline=True, dtype=dtype)
    options: dict[str, dict[str, Any]] = {}
    for role, model in pair.items():
        for option, value in model.items():
            if option not in _NOT_OPTIONS:
                options.setdefault(option, {})[role] = value
    return load_pair(**{role: model["name"] for role, model in pair.items()}, **options)
