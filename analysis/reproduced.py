"""What a reproduction found, beside what the repository keeps of an earlier one: numbers and speeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.experiments.record_runs import COLUMNS, KEY

Record = Mapping[str, Any]  # as record_runs writes it
DIGITS = 6  # sums of the same numbers in another order differ in the last ones of sixteen
_NEXT_TO_NOTHING = 12  # decimals; a gap of 1e-16 is none
_KEYS = {"runs": KEY, "knapsack": KEY, "speed": ("task", "engine", "mode", "window", "rule", "variant", "parameter")}
_TIMES = {"tokens_per_second", "speedup", "speedup_low", "speedup_high"}  # other ones in every run


@dataclass(frozen=True)
class Reproduced:
    """n_numbers were compared, of which n_equal are the recorded ones; the others are told in `differing`, a line each.

    speeds: rows of cells, the first one the head; none where no speed was measured.
    """

    n_numbers: int
    n_equal: int
    differing: list[str]
    speeds: list[tuple[str, ...]]


def compare(here: Record, recorded: Record) -> Reproduced:
    """Hold what a reproduction recorded against the record that is kept, number by number."""
    n_numbers, differing = 0, []
    for part in (name for name in COLUMNS if name in recorded):
        mine, theirs = (_by_key(part, record[part]) for record in (here, recorded))
        for key in dict.fromkeys([*theirs, *mine]):
            numbers = [dict(_numbers(rows.get(key, {}), _KEYS[part])) for rows in (mine, theirs)]
            for name in dict.fromkeys(name for found in numbers for name in found):
                n_numbers += 1
                digits = [_digits(found.get(name)) for found in numbers]
                if digits[0] != digits[1]:
                    called = " ".join(str(one) for one in key if one not in (None, ""))
                    differing.append(f"{called}, {name}: {digits[0]}, recorded {digits[1]}")
    return Reproduced(n_numbers, n_numbers - len(differing), differing, _speeds(here, recorded))


def _by_key(part: str, rows: Sequence[Record]) -> dict[tuple[Any, ...], Record]:
    return {tuple(row[name] for name in _KEYS[part]): row for row in rows}


def _numbers(row: Record, key: Sequence[str] = ()) -> Iterator[tuple[str, float]]:
    """The numbers of a row that neither its key nor a clock decides, by name; those of measures within it too."""
    for name, value in row.items():
        if name == "measures":
            for measure in value:
                yield from ((f"{measure['name']} {inner}", number) for inner, number in _numbers(measure))
        elif isinstance(value, int | float) and not isinstance(value, bool) and name not in {*_TIMES, *key}:
            yield name, value


def _digits(number: float | None) -> str:
    return "none" if number is None else f"{round(number, _NEXT_TO_NOTHING) + 0.0:.{DIGITS}g}"


def _speeds(here: Record, recorded: Record) -> list[tuple[str, ...]]:
    """Each speed over the base alone and, in parentheses, the recorded one: a line a contestant, two columns a task."""
    mine, theirs = (_by_key("speed", record.get("speed", [])) for record in (here, recorded))
    cells: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    columns: dict[tuple[str, str], None] = {}
    for key, row in mine.items():
        parameter = "" if row["parameter"] is None else f"{row['parameter']:g}"
        name = row["rule"] if row["engine"] == "proxyalign" else row["engine"]
        place = (row["task"], "speculative" if row["mode"] == "speculative" else "one by one")
        was = f"{theirs[key]['speedup']:.2f}" if key in theirs else "none"
        columns[place] = None
        cells.setdefault((name, f"{parameter} {row['variant']}".strip()), {})[place] = f"{row['speedup']:.2f} ({was})"
    if not cells:
        return []
    lines = [(" ".join(filter(None, name)), *(row.get(place, "") for place in columns)) for name, row in cells.items()]
    return [("speed over the base alone", *(f"{task} {mode}" for task, mode in columns)), *lines]
