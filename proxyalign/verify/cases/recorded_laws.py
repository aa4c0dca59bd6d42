"""Recorded distributions to verify on: a file of next-token laws, or a folder of such files."""

from pathlib import Path

import numpy as np

from proxyalign.errors import InputError
from proxyalign.files import read_arrays
from proxyalign.knapsack.problem import PROBABILITY_TOLERANCE
from proxyalign.rows import no_laws
from proxyalign.verify.cases import Floats

KEYS = ("P", "p")  # of the rows in a .npz file
LEAST = 3  # rows: the base's law, another as the proxy's, and a third as the true one


def read_rows(source: Path) -> Floats:
    """Laws (n, V) float64 from a .npz file with `P` or `p` (n, V), a .npy file (n, V), or all such files in a folder.

    Raises InputError where there is nothing, a file is something else, vocabularies differ, or a row is no law.
    """
    if source.is_dir():
        files = sorted(path for path in source.rglob("*") if path.suffix in (".npz", ".npy"))
    else:
        files = [source] if source.is_file() else []
    if not files:
        raise InputError(
            f"verify: --rows must be a .npz or .npy file of next-token laws or a folder with some, got "
            f"{str(source)!r}, which is none; record some with proxyalign evaluate --rows 50"
        )
    parts = [_read(path) for path in files]
    sizes = sorted({part.shape[1] for part in parts})
    if len(sizes) > 1:
        raise InputError(
            f"verify: --rows must have one vocabulary, got {' and '.join(map(str, sizes))} tokens in "
            f"{str(source)!r}; pass one file"
        )
    rows = np.concatenate(parts)
    if len(rows) < LEAST:
        raise InputError(f"verify: --rows must have at least {LEAST} rows, got {len(rows)}; record some more")
    return rows


def _read(path: Path) -> Floats:
    """The laws of one file."""
    remedy = "save them with numpy.savez(file, p=rows)"
    try:
        loaded = next(iter(read_arrays(path, KEYS).values()), None)
    except ValueError:
        loaded = None
    if loaded is None or loaded.dtype.kind != "f" or loaded.ndim != 2 or loaded.size == 0:
        raise InputError(f"verify: {path} must hold `P` or `p`, floats (n, V), got something else; {remedy}")
    rows: Floats = loaded.astype(np.float64)
    wrong = no_laws(rows)
    if wrong.size:
        row = int(wrong[0])
        raise InputError(
            f"verify: {path} must hold laws that sum to 1 within {PROBABILITY_TOLERANCE:g}, got {rows[row].sum():.6g} "
            f"in row {row}; apply a softmax to logits"
        )
    return rows
