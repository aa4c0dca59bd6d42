"""The commands that make a run again, written from the settings that it left."""

import shlex
from collections.abc import Mapping
from typing import Any

from proxyalign.evaluation.settings import with_defaults

_SHIPPED = ("lab", "smol", "gemma-smol")  # the pairs that have a name, which a reference may be added to
_OWN = ("alpha", "budget")  # parameters of rules that have an option of their own
# Settings whose option has their name; those of decoding say nothing where choices are read.
_OF_DECODING = (
    "mode", "window", "temperature", "rule_temperature", "max_new_tokens", "seed", "rows", "verifier", "delta",
)  # fmt: skip
_NAMED = ("split", "limit", "boundaries", *_OF_DECODING)


def command(settings: Mapping[str, Any], *, has_traces: bool) -> str:
    """One line of a shell that makes the run with these settings again, in the folder runs.

    settings: what the run's settings.json says. has_traces: whether its records hold traces.
    """
    told = with_defaults(settings)
    is_choice = told.get("max_new_tokens") == 0  # nothing is decoded, so that nothing of decoding can be asked for
    words = ["proxyalign", "evaluate", *_models(str(told["pair"])), "--task", str(told["task"])]
    words += ["--rule", str(told["rule"])]
    for name, value in (told.get("parameters") or {}).items():
        words += [f"--{name}", str(value)] if name in _OWN else ["--set", f"{name}={value}"]
    for name in _NAMED:
        if told.get(name) is None or (is_choice and name in _OF_DECODING):
            continue
        if name == "window" and told.get("mode") != "speculative":
            continue
        words += [f"--{name.replace('_', '-')}", str(told[name])]
    words += ["--base-chat"] * bool(told["base_chat"])
    words += ["--proxy-chat"] * (bool(told["proxy_chat"]) and not told["base_chat"])
    words += ["--traces"] * has_traces
    return shlex.join([*words, "--out", "runs"])


def _models(pair: str) -> list[str]:
    """The options of a pair, from the names that settings join: one of a pair, or of base, proxy and reference."""
    first, *more = pair.split(" + ")
    if not more or first in _SHIPPED:
        names = dict(zip(("--pair", "--reference"), (first, *more), strict=False))
    else:
        names = dict(zip(("--base", "--proxy", "--reference"), (first, *more), strict=False))
    return [word for option in names.items() for word in option]
