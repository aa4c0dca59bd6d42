"""Reading a benchmark's files: where they lie, what their rows must hold, and one sentence for each way in which they
can be unusable."""

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.files import read_json, read_json_lines, read_text

VARIABLE = "PROXYALIGN_DATA"
HUB = "hub"

Row = tuple[int, dict[str, Any]]
"""Where a row begins in its file (the line, or the place in a list, from 1), and its fields."""

_KINDS = {str: "a text", int: "a whole number", float: "a finite number", list: "a list", dict: "an object"}


def data_folder(task: str, data: str | Path | None) -> Path:
    """The folder that holds the benchmarks: `data` where it is given, else what PROXYALIGN_DATA names.

    "hub" is the Hugging Face hub, whose data sets are kept as files (`hub.hub_folder`); a folder of this name is
    "./hub". Raises InputError where neither is given or no such folder exists.
    """
    if str(data) == HUB:
        from proxyalign.tasks.hub import hub_folder

        return hub_folder(task)
    named = data if data is not None else os.environ.get(VARIABLE, "")
    if not str(named):
        raise InputError(
            f"{task}: the folder with the benchmark files is not known, got no data folder and no {VARIABLE}; "
            f"set {VARIABLE}, or pass data= (--data), to the folder that holds gsm8k/ and others, or pass data={HUB!r}"
        )
    if not os.path.isdir(named):
        raise InputError(
            f"{task}: the data folder must exist, got {str(named)!r}; "
            f"correct {VARIABLE} or data= (--data) to the folder that holds gsm8k/"
        )
    return Path(named)


def first_file(task: str, folder: Path, names: Sequence[str], source: str) -> Path:
    """The first of `names` that exists in `folder`; where none does, InputError says to copy it from `source`.

    names: the original file before a part of it, so that whoever has both is asked all questions.
    """
    for name in names:
        if os.path.lexists(folder / name):  # a folder or a broken link is told when it is read, not passed over
            return folder / name
    raise InputError(
        f"{task}: {' or '.join(names)} must be in the data folder, got {str(folder)!r} without it; "
        f"copy it from {source}"
    )


def read_jsonl(task: str, path: Path, fields: Mapping[str, type]) -> list[Row]:
    """The rows of a JSON lines file, each an object that has `fields` of these types; blank lines are skipped.

    fields: str is a text that is not blank, float a finite number, int one that is whole and written so, besides list
    and dict. Raises InputError naming the file where it holds no row, and the line where that is no such object.
    """
    return _checked(task, path, "line", read_json_lines(task, path), fields)


def read_json_list(task: str, path: Path, fields: Mapping[str, type]) -> list[Row]:
    """The rows of a file that is one JSON list of objects, numbered from 1; else as `read_jsonl`."""
    value = read_json(task, path)
    if not isinstance(value, list):
        raise InputError(
            f"{task}: {path} must be a JSON list of objects, got {shown(value)}; copy the file again from its source"
        )
    return _checked(task, path, "entry", list(enumerate(value, start=1)), fields)


def read_csv(task: str, path: Path) -> list[tuple[int, list[str]]]:
    """The line where it begins and the cells of each row of a CSV file, which may break lines within quotes.

    Blank lines are skipped; a header, where the file has one, is the first row. Raises InputError naming the file
    where it holds no row, and the line where quotes do not close or a row has another number of cells than the first.
    """
    text = read_text(task, path).replace("\r\n", "\n")  # within quotes too, where it would become part of a question
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if rows and len(cells) != len(rows[0][1]):
                    raise bad_row(task, path, begins, f"have {len(rows[0][1])} cells as the first row", len(cells))
                rows.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as reason:
        raise InputError(
            f"{task}: {path} must be CSV, got a row from line {begins} on that does not end ({reason}); "
            "copy the file again"
        ) from None
    if not rows:
        raise InputError(f"{task}: {path} must hold at least one row, got an empty file; copy it again")
    return rows


def read_table(task: str, path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows below the header of a CSV file by the names of their columns, of which it has at least `columns`.

    Raises InputError as `read_csv` does, and where a column is missing or twice there, or no row is below it.
    """
    (line, header), *rows = read_csv(task, path)
    missing = [name for name in columns if header.count(name) != 1]
    if missing:
        raise bad_row(task, path, line, f"name the column {missing[0]!r} once", ", ".join(header))
    if not rows:
        raise InputError(f"{task}: {path} must hold a row below its header, got none; copy the file again")
    return [(number, dict(zip(header, cells, strict=True))) for number, cells in rows]


def check_unique(task: str, path: Path, ids: Sequence[tuple[int, object]], name: str) -> None:
    """Raise InputError where two rows have one id.

    ids: where each row begins, and its id. name: of the field that holds it, for the message.
    """
    seen: dict[object, int] = {}
    for number, one in ids:
        if one in seen:
            raise bad_row(task, path, number, f"have its own {name}", f"{one!r} as {seen[one]} has", raw=True)
        seen[one] = number


def bad_row(task: str, path: Path, number: int, must: str, got: object, raw: bool = False) -> InputError:
    """The error for a row that cannot be used: what it must do or have, and what it holds.

    got: shown as Python writes it, shortened; as it is where it is `raw`, words of its own.
    """
    unit = "entry" if path.suffix == ".json" else "line"
    told = got if raw else shown(got)
    return InputError(f"{task}: {path} {unit} {number} must {must}, got {told}; copy the file again from its source")


def shown(value: object) -> str:
    """`value` as Python writes it, cut to the 60 characters that a message has room for."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _checked(
    task: str, path: Path, unit: str, values: Sequence[tuple[int, Any]], fields: Mapping[str, type]
) -> list[Row]:
    for number, value in values:
        if not isinstance(value, dict):
            raise bad_row(task, path, number, "be an object with the fields " + ", ".join(fields), value)
        for name, kind in fields.items():
            if name not in value:
                raise bad_row(task, path, number, f"have the field {name}, {_KINDS[kind]}", "none", raw=True)
            if not _is(value[name], kind):
                raise bad_row(task, path, number, f"have {_KINDS[kind]} as its {name}", value[name])
    if not values:
        raise InputError(f"{task}: {path} must hold at least one {unit}, got an empty file; copy it again")
    return list(values)


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if isinstance(value, str):
        return kind is str and bool(value.strip())
    return isinstance(value, kind)
