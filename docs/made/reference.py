"""The pages of the reference: which modules' public names are on which page, and the commands' help pages."""

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

# A page, what it is about, and the modules whose public names it holds, or single names of other modules.
PAGES: dict[str, tuple[str, list[str]]] = {
    "decoding": (
        "Decoding",
        [
            "proxyalign.generate",
            "proxyalign.Generation",
            "proxyalign.generate_kad",
            "proxyalign.explore",
            "proxyalign.decoding",
            "proxyalign.decoding.scoring.score",
        ],
    ),
    "models": (
        "Models",
        [
            "proxyalign.load_pair",
            "proxyalign.ModelPair",
            "proxyalign.ServedBase",
            "proxyalign.models.vocabulary.Vocabulary",
            "proxyalign.errors.InputError",
        ],
    ),
    "rules": (
        "Rules",
        ["proxyalign.deferral.rules", "proxyalign.deferral.rule.About", "proxyalign.deferral.gates.Gate"],
    ),
    "policy": (
        "Cascade and verifiers",
        [
            "proxyalign.deferral.policy.cascade",
            "proxyalign.deferral.policy.deferral_mass",
            "proxyalign.deferral.policy.acceptance",
            "proxyalign.deferral.policy.residual",
            "proxyalign.deferral.verifiers.Cactus",
            "proxyalign.deferral.verifiers.Mentored",
        ],
    ),
    "knapsack": ("The knapsack", ["proxyalign.knapsack"]),
    "tasks": ("Tasks", ["proxyalign.tasks"]),
    "evaluation": ("Evaluation", ["proxyalign.evaluation", "proxyalign.evaluation.comparison"]),
    "tuning": ("Tuning", ["proxyalign.evaluation.tuning"]),
    "backends": ("Backends", ["proxyalign.decoding.backends.reference"]),
}


def pages() -> Iterator[tuple[str, str]]:
    """Each page of the reference: its name and its text, a directive for every name."""
    for page, (title, sources) in PAGES.items():
        once: dict[int, str] = {}  # what two modules have in common is shown under the first name
        for name in (name for source in sources for name in names_of(source)):
            once.setdefault(id(_value(name)), name)
        yield page, f"# {title}\n\n" + "\n\n".join(map(_directive, once.values())) + "\n"


def _directive(name: str) -> str:
    """What asks the generator for a name. It reads source, where a module hides a function of its name."""
    value = _value(name)
    if name not in sys.modules or isinstance(value, ModuleType):
        return f"::: {name}"
    label = name.rpartition(".")[2]
    home = f"{value.__module__}.{value.__qualname__}"
    return f"::: {home}\n    options:\n      heading: {name}\n      toc_label: {label}"


def names_of(source: str) -> list[str]:
    """The public names of a module, its own classes where it lists none; or the one name that `source` is."""
    value = _value(source)
    if not isinstance(value, ModuleType):
        return [source]
    own = [name for name, one in vars(value).items() if inspect.isclass(one) and one.__module__ == source]
    named = getattr(value, "__all__", own)
    return [f"{source}.{name}" for name in named if not isinstance(getattr(value, name), ModuleType)]


def _value(name: str) -> Any:
    """What a module has under a name, or else the module of that name."""
    home, _, own = name.rpartition(".")
    parent = import_module(home)
    return getattr(parent, own) if hasattr(parent, own) else import_module(name)


def commands() -> str:
    """The help page of every command, as the terminal shows it."""
    from typer.main import get_command

    from proxyalign.cli import app

    root = get_command(app)
    parts = ["# Commands", "What `--help` shows of each, in a terminal of 80 columns.", *_help(root, ())]
    return "\n\n".join(parts) + "\n"


def _help(command: Any, words: tuple[str, ...], parent: Any = None) -> Iterator[str]:
    name = " ".join(("proxyalign", *words))
    context = command.context_class(command, info_name=words[-1] if words else "proxyalign", parent=parent)
    context.terminal_width = 80
    yield f"## `{name}`\n\n```text\n{command.get_help(context).rstrip()}\n```"
    for own, one in getattr(command, "commands", {}).items():
        yield from _help(one, (*words, own), context)
