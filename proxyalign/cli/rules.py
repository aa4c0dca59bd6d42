"""`proxyalign rules`: every rule by name, with its parameters, what it does and reads, its limits and its source."""

import math
from collections.abc import Sequence
from typing import Annotated

import typer

from proxyalign.cli.common import print_json


def rules(
    json: Annotated[bool, typer.Option("--json", help="Print the table as JSON and nothing else.")] = False,
) -> None:
    """List all rules. p is the base's law, q the proxy's, q0 the reference's; 1[...] names the deferred tokens.

    A rule needs what its decision reads: where that is p alone, the proxy stays idle until a token is deferred.

    Example: proxyalign rules --json
    """
    from proxyalign.deferral.rules import table

    lines = table()
    if json:
        for line in lines:
            line["parameters"] = {
                name: [end if math.isfinite(end) else None for end in ends] for name, ends in line["parameters"].items()
            }
        print_json({"rules": lines})
        return

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text  # formulas hold brackets, which rich would read as markup

    shown = Table.grid(padding=(0, 2))
    for line in lines:
        parameters = [f"  {name} {interval(ends)}" for name, ends in line["parameters"].items()]
        limits = f"needs {line['needs']} | always base: {line['always_base']} | always proxy: {line['always_proxy']}"
        what = [line["formula"], limits, line["source"], ""]
        shown.add_row(Text("\n".join([line["name"], *parameters]), no_wrap=True), Text("\n".join(what)))
    Console().print(shown)


def interval(ends: Sequence[float]) -> str:
    """Where a parameter may lie, as it is printed: an end that is infinite is open."""
    low, high = ends
    left = "(-inf" if low == -math.inf else f"[{low:g}"
    return f"{left}, inf)" if high == math.inf else f"{left}, {high:g}]"
