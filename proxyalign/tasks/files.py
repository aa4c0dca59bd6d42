"""Reading a benchmark's files: where they lie, and one sentence for each way in which they can be unusable."""

import os
from pathlib import Path

from proxyalign.errors import InputError
from proxyalign.files import read_json_lines

VARIABLE = "PROXYALIGN_DATA"


def data_folder(task: str, data: str | Path | None) -> Path:
    """The folder that holds the benchmarks: `data` where it is given, else what PROXYALIGN_DATA names.

    Raises InputError where neither is given or no such folder exists.
    """
    named = data if data is not None else os.environ.get(VARIABLE, "")
    if not str(named):
        raise InputError(
            f"{task}: the folder with the benchmark files is not known, got no data folder and no {VARIABLE}; "
            f"set {VARIABLE}, or pass data= (--data), to the folder that holds gsm8k/"
        )
    folder = Path(named)
    if not folder.is_dir():
        raise InputError(
            f"{task}: the data folder must exist, got {str(folder)!r}; "
            f"correct {VARIABLE} or data= (--data) to the folder that holds gsm8k/"
        )
    return folder


def first_file(task: str, folder: Path, names: tuple[str, ...], source: str) -> Path:
    """The first of `names` that exists in `folder`; where none does, InputError says to copy it from `source`."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"{task}: {' or '.join(names)} must be in the data folder, got {str(folder)!r} without it; "
        f"copy it from {source}"
    )


def read_jsonl(task: str, path: Path, fields: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Line number and object of each line of a JSON lines file, every one of `fields` a text; blank lines are skipped.

    Raises InputError naming the file where it holds no line, and the line where that is not such an object.
    """
    rows = []
    for number, row in read_json_lines(task, path):
        missing = [name for name in fields if not isinstance(row, dict) or not isinstance(row.get(name), str)]
        if missing:
            raise InputError(
                f"{task}: {path} line {number} must have the text fields {', '.join(fields)}, "
                f"got none called {missing[0]}; copy the file again"
            )
        rows.append((number, row))
    if not rows:
        raise InputError(f"{task}: {path} must hold at least one line, got an empty file; copy it again")
    return rows
