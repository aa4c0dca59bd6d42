"""What the commands share: the answer on stdout, and everything else on stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

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
