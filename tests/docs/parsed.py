"""Command lines read by the command's own parser, up to the point where the command would begin to work."""

import shlex
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from proxyalign.cli import app
from proxyalign.cli.options import rules_from_options

ROOT = get_command(app)


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, as the words that call it, and its parser."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), ROOT)]
    while waiting:
        words, command = waiting.pop()
        if hasattr(command, "commands"):
            waiting += [((*words, name), one) for name, one in command.commands.items()]
        else:
            yield words, command


def read(line: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The words that call a command and the values of its parameters, from `proxyalign ...` as a shell would pass it.

    Raises what the parser raises for an unknown command or option, a missing or an ill-typed value, and InputError for
    a rule without its parameter. An option before a command (--version) is looked up and not read, since reading it
    does what it asks for.
    """
    _, *words = shlex.split(line, comments=True)
    if words[0] in [option for one in ROOT.params for option in one.opts]:
        return (), {words[0]: True}
    command, called = ROOT, []
    while hasattr(command, "commands"):
        context = command.make_context("proxyalign", list(words))
        name, command, words = command.resolve_command(context, words)
        called.append(name)
    values = command.make_context(" ".join(called), list(words)).params
    if "rule" in values:
        rules_from_options(*(values[name] for name in ("rule", "alpha", "budget", "settings")), values.get("grid"))
    return tuple(called), values
