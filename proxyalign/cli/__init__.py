"""The `proxyalign` command: what its subcommands are, and how a mistake of the caller's ends."""

import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from proxyalign import __version__
from proxyalign.cli import bench as bench
from proxyalign.cli import compare as compare
from proxyalign.cli import evaluate as evaluate
from proxyalign.cli import generate as generate
from proxyalign.cli import lab as lab
from proxyalign.cli import plan as plan
from proxyalign.cli import report as report
from proxyalign.cli import rows as rows
from proxyalign.cli import rules as rules
from proxyalign.cli import serve as serve
from proxyalign.cli import solve as solve
from proxyalign.cli import tune as tune
from proxyalign.cli import verify as verify
from proxyalign.errors import InputError

app = typer.Typer(
    name="proxyalign",
    help="Align a large base model at decoding time with a small aligned proxy, and measure how good each choice is.",
    epilog="Each command shows an example in its own --help. Exit code 0, or 2 with one sentence on stderr where the "
    "input cannot be used; what verify finds violated ends with 1, an interruption with 130. "
    "Shell completion: proxyalign --install-completion.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("solve")(solve.solve)
app.command("generate")(generate.generate)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("tune")(tune.tune)
app.command("serve")(serve.serve)
app.command("rules")(rules.rules)
app.command("rows")(rows.rows)
app.command("plan")(plan.plan)
app.command("verify")(verify.verify)
app.add_typer(bench.app, name="bench")
app.add_typer(lab.app, name="lab")

_SHOWN = 40  # bytes of an argument that a message is about
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def _tell_version(asked: bool) -> None:
    """Print the version and end, before a command is looked for."""
    if asked:
        print(f"proxyalign {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Read the options that come before a command."""


def main() -> None:
    """Run the command line: exit code 0, or 2 with one sentence on stderr where the input cannot be used."""
    for argument in sys.argv[1:]:
        _check_utf8(argument)
    try:
        code = app(standalone_mode=False)  # so that a mistake reaches us as an exception
    except typer.TyperException as mistake:  # Typer's own complaints: unknown options, missing or malformed values
        _stop(2, _usage(mistake))
    except InputError as mistake:
        _stop(2, f"proxyalign: {mistake}")
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    if code == _INTERRUPTED:  # Typer turns Ctrl-C into this code
        _stop(code, "proxyalign: interrupted; finished work is kept, run the same command again to go on")
    sys.exit(code or 0)


def _check_utf8(argument: str) -> None:
    """Stop where the shell handed over bytes that are no text, which Python keeps as halves of surrogate pairs."""
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        given = os.fsencode(argument)[:_SHOWN]
        _stop(2, f"proxyalign: each argument must be UTF-8, got the bytes {given!r}; write it in UTF-8")


def _usage(mistake: typer.TyperException) -> str:
    """One line for a mistake in the command line itself, or the help page where no command was given."""
    message = mistake.format_message()
    if message.lstrip().startswith("Usage:"):
        return message
    # The cause is pydantic's error, which knows the value that the message leaves out.
    found: list[dict[str, Any]] = getattr(mistake.__cause__, "errors", list)()
    given = f", got {found[0]['input']!r}" if found else ""
    context = getattr(mistake, "ctx", None)
    hint = f" (see '{context.command_path} --help')" if context else ""
    return f"proxyalign: {' '.join(message.split())}{given}{hint}"


def _stop(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)
