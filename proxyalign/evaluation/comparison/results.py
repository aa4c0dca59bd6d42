"""One accuracy, ours or someone else's, and a table of them."""

from dataclasses import asdict, dataclass
from typing import Any

from proxyalign.displays import as_text
from proxyalign.evaluation.comparison.shown import as_frame, as_html, percent, points

_HEADER = ("source", "pair", "task", "rule", "measure", "accuracy", "[95 %]", "n")


@dataclass(frozen=True)
class Result:
    """An accuracy, in [0, 1], where it comes from, and of what.

    pair: the models. task: by our name where we have one. rule: "alone" for a model by itself. measure: "accuracy", or
    whose score of the answers it is. interval: 95 percent, and n: of how many questions; None where they are not known.
    """

    source: str
    pair: str
    task: str
    rule: str
    measure: str
    accuracy: float
    interval: tuple[float, float] | None
    n: int | None


@dataclass(frozen=True)
class Results:
    """Accuracies of several sources in one table, and what is to be known of them, in sentences; in Jupyter a table."""

    rows: tuple[Result, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The table as JSON values."""
        return asdict(self)

    def to_polars(self) -> Any:
        """A polars DataFrame, one row for each accuracy; InputError where polars is not installed."""
        rows = []
        for row in self.rows:
            low, high = row.interval or (None, None)
            rows.append({**asdict(row), "low": low, "high": high})
            del rows[-1]["interval"]
        return as_frame(rows)

    def cells(self) -> list[tuple[str, ...]]:
        """The table as texts: the names of its columns, and a line for each accuracy."""
        return [_HEADER, *map(_cells, self.rows)]

    def __repr__(self) -> str:
        return "\n\n".join([as_text(self.cells()), *(["\n".join(self.notes)] if self.notes else [])])

    def _repr_html_(self) -> str:
        return as_html(self.cells(), self.notes)


def _cells(row: Result) -> tuple[str, ...]:
    what = (row.source, row.pair, row.task, row.rule, row.measure, percent(row.accuracy), points(row.interval))
    return (*what, "-" if row.n is None else str(row.n))
