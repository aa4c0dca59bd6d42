"""The splits of a benchmark that has one file of questions: which of them parameters may be chosen on."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from proxyalign.errors import InputError

T = TypeVar("T")

SPLITS = ("dev", "test", "held-out")
"""Of a benchmark without questions to choose parameters on: "test" is every row of its file, as published numbers are,
"dev" a fixed fifth of these and "held-out" the other four. A parameter that was chosen on "dev" is reported on
"held-out", one that was fixed beforehand on "test"."""


def part_of(task: str, split: str, rows: Sequence[T], key: Callable[[T], str]) -> list[T]:
    """The rows of `split`, one of `SPLITS`, in their order.

    key: what names a row in every edition of the file (its id, or its text), and alone decides its split, so that a
    part of a file is split as the whole is. Raises InputError where no row is of the split.
    """
    if split == "test":
        return list(rows)
    found = [row for row in rows if is_dev(key(row)) == (split == "dev")]
    if not found:
        raise InputError(
            f"{task}: split {split!r} must have a question, got none among {len(rows)} rows; "
            "pass split='test', or copy the whole file"
        )
    return found


def is_dev(key: str) -> bool:
    """Whether the row that `key` names is of the dev fifth: its SHA-256, as a number, is divisible by 5."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 5 == 0
