"""What the commands share: the answer on stdout, everything else on stderr, and rules read from options."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from proxyalign.errors import InputError

if TYPE_CHECKING:
    from proxyalign.deferral.rules import Rule

# Progress, hints and warnings; stdout holds the answer alone.
notes = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(answer: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout and nothing else; NaN and infinity are refused, since JSON has neither."""
    sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines of cells in columns, the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in (tuple(zip(row, widths, strict=True)) for row in rows)
    )


def rule_from_options(name: str, *, alpha: float | None = None, budget: float | None = None) -> "Rule":
    """The rule called `name` with the parameters that were given; the rule itself checks which of them it takes."""
    from proxyalign.deferral.rules import make

    given = {"alpha": alpha, "budget": budget}
    return make(name, **{key: value for key, value in given.items() if value is not None})


def parse_grid(text: str) -> tuple[str, list[float]]:
    """Read `parameter=value,value,...`, for example `alpha=0.2,0.4`.

    Raises InputError where the text has no `=`, no values, or a value that is not a number.
    """
    parameter, separator, values = text.partition("=")
    try:
        numbers = [float(value) for value in values.split(",")]
    except ValueError:
        numbers = []
    if not separator or not parameter.strip() or not numbers:
        raise InputError(f"--grid must look like alpha=0.2,0.4 (a parameter, =, numbers with commas), got {text!r}")
    return parameter.strip(), numbers
