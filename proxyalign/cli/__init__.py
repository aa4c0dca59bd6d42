"""The `proxyalign` command: what its subcommands are, and how a mistake of the caller's ends."""

import sys

import click
import typer

from proxyalign.cli import bench, evaluate, generate, lab, solve
from proxyalign.errors import InputError

app = typer.Typer(
    name="proxyalign",
    help="Align a large base model at decoding time with a small aligned proxy, and measure how good each choice is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("solve")(solve.solve)
app.command("generate")(generate.generate)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(bench.app, name="bench")
app.add_typer(lab.app, name="lab")


def main() -> None:
    """Run the command line: exit code 0, or 2 with one sentence on stderr where the input cannot be used."""
    try:
        code = app(standalone_mode=False)
    except click.ClickException as mistake:
        hint = f" (see '{mistake.ctx.command_path} --help')" if getattr(mistake, "ctx", None) else ""
        print(f"proxyalign: {mistake.format_message()}{hint}", file=sys.stderr)
        sys.exit(2)
    except InputError as mistake:
        print(f"proxyalign: {mistake}", file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("proxyalign: interrupted; finished work is kept, run the same command again to go on", file=sys.stderr)
        sys.exit(130)
    sys.exit(code or 0)
