"""What the commands share: the answer on stdout, and everything else on stderr."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from proxyalign.errors import InputError

# Progress, hints and warnings; stdout holds the answer alone.
notes = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(answer: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout and nothing else; NaN and infinity are refused, since JSON has neither."""
    sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")


def check_out(command: str, path: Path | None, kind: str = "file") -> None:
    """Raise InputError where `path` cannot become a file, or a folder: told before the work, and not after it.

    kind: "file" or "folder", either in folders that may have to be made.
    """
    if path is None:
        return
    within = path if kind == "folder" else path.absolute().parent
    nearest = next(one for one in (within, *within.absolute().parents) if one.exists())
    if (kind == "file" and path.is_dir()) or not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"{command}: --out must be a {kind} that can be written, got {str(path)!r}; name another")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines of cells in columns, the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in (tuple(zip(row, widths, strict=True)) for row in rows)
    )
