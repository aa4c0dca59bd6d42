"""Runs against a reference on the same questions: how much better each is, how sure that is, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from proxyalign.displays import as_text
from proxyalign.errors import InputError
from proxyalign.evaluation.comparison.intervals import holm, mcnemar
from proxyalign.evaluation.comparison.pairing import (
    ACCURACY,
    DEFERRAL,
    N_RESAMPLES,
    TOKENS,
    Difference,
    differences,
    turned,
)
from proxyalign.evaluation.comparison.runs import Run, check_same_questions, further_differences, load_runs
from proxyalign.evaluation.comparison.shown import as_frame, as_html, percent, points
from proxyalign.evaluation.measures import of_run
from proxyalign.evaluation.metrics import wilson

_EACH = "each interval, mid-p and p is of one difference by itself; p (Holm) alone is corrected for the number of runs"
_CLOCK = "tokens/s is a clock: it knows what else the machine did, and compares runs of one machine alone"
_HEADER = (
    "run", "right [95 %]", "difference [95 %]", "helps", "harms", "p", "mid-p", "p (Holm)", "tokens/reply", "deferred",
    "tokens/s",
)  # fmt: skip
_OF_MEASURES = ("run", "measure", "its own", "the reference's", "difference", "[95 %]")


@dataclass(frozen=True)
class Compared:
    """One run against the reference, on the same questions.

    accuracy: shares of right answers. interval: Wilson's 95 percent, of the run's own. helps, harms: the ids of the
    questions that the reference has wrong and the run right, and of the reverse. p, mid_p: McNemar's exact test
    (`intervals.mcnemar`); p_holm: p, corrected for all runs of the comparison. tokens_per_reply, deferral: None where
    the records do not say. tokens_per_second: the run's and the reference's, a clock; None where nothing was timed.
    measures: by name, of `measures.of_record`, where asked for; unpaired: those that the reference does not have, such
    as what a rule spends of its budget.
    """

    run: str
    folder: str
    accuracy: Difference
    interval: tuple[float, float]
    helps: tuple[str, ...]
    harms: tuple[str, ...]
    p: float
    mid_p: float
    p_holm: float
    tokens_per_reply: Difference | None
    deferral: Difference | None
    tokens_per_second: tuple[float, float] | None
    measures: Mapping[str, Difference] = field(default_factory=dict)
    unpaired: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Runs against a reference, as `compare` makes it; in Jupyter a table.

    reference, reference_folder, task, split: what was compared. n, accuracy, interval: the reference's questions, share
    of right answers and Wilson's 95 percent interval. runs: the others, in their order. notes: what is to be known of
    the numbers, in sentences. n_resamples, seed: of the bootstrap.
    """

    reference: str
    reference_folder: str
    task: str
    split: str
    n: int
    accuracy: float
    interval: tuple[float, float]
    runs: tuple[Compared, ...]
    notes: tuple[str, ...]
    n_resamples: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """All numbers as JSON values."""
        return asdict(self)

    def to_polars(self) -> Any:
        """A polars DataFrame, one row for each run; InputError where polars is not installed."""
        return as_frame([_flat(one) for one in self.runs])

    def cells(self) -> list[tuple[str, ...]]:
        """The table as texts: the names of its columns, the reference, and a line for each run."""
        first = self.runs[0]
        tokens, deferral = (None if one is None else one.reference for one in (first.tokens_per_reply, first.deferral))
        speed = None if first.tokens_per_second is None else first.tokens_per_second[1]
        own = f"{percent(self.accuracy)} {points(self.interval)}"
        reference = (f"{self.reference} (reference)", own, *["-"] * 6, *_cost(tokens, deferral, speed))
        return [_HEADER, reference, *map(_cells, self.runs)]

    def measure_cells(self) -> list[tuple[str, ...]]:
        """The measures as texts: the names of the columns, and a line for each run and measure; else empty."""
        rows = [
            (one.run, name, f"{it.value:.4g}", f"{it.reference:.4g}", f"{it.difference:+.4g}", _ends(it.interval))
            for one in self.runs
            for name, it in one.measures.items()
        ]
        rows += [
            (one.run, name, f"{value:.4g}", "-", "-", "-") for one in self.runs for name, value in one.unpaired.items()
        ]
        return [_OF_MEASURES, *rows] if rows else []

    def __repr__(self) -> str:
        tables = [as_text(rows) for rows in (self.cells(), self.measure_cells()) if rows]
        return "\n\n".join([*tables, *(["\n".join(self.notes)] if self.notes else [])])

    def _repr_html_(self) -> str:
        return as_html(self.cells()) + as_html(self.measure_cells(), self.notes)


def compare(
    runs: Sequence[str | Path], reference: str | Path | None = None, *, measures: bool = False, seed: int = 0
) -> Comparison:
    """Compare runs with a reference, question by question.

    runs: folders of runs, or results folders, which stand for all of theirs. reference: the run that the others are
    held against, by its folder, its label or its rule; by default the first. measures: whether measures beside
    accuracy are compared too. seed: of the 10,000 resamples of the questions, which all runs and quantities share.

    The unit is the question: intervals and p say how far other questions of the kind might move a difference, and
    nothing of other draws on the same ones. Where no answer turned, the interval has no width, and p is 1.

    Raises InputError where there are not two runs, a folder holds none, not one run is called `reference`, or the runs
    do not answer the same questions of one version of one task. What else sets a run apart is told in the notes.
    """
    chosen, others = _chosen(load_runs(runs), reference)
    if not others:
        raise InputError("compare: there must be at least two runs, got one; name another folder")
    for run in others:
        check_same_questions(run, chosen)
    found = [_compared(run, chosen, measures, seed) for run in others]
    corrected = holm([one["p"] for one in found])
    n, n_right = len(chosen.records), sum(bool(record["correct"]) for record in chosen.records)
    notes = [
        f"{run.label} differs from {chosen.label} in {more} too, so that no difference is the rule's alone"
        for run in others
        if (more := further_differences(run, chosen))
    ]
    notes += [_EACH] * (len(found) > 1 or measures) + [_CLOCK] * any(one["tokens_per_second"] for one in found)
    return Comparison(
        reference=chosen.label,
        reference_folder=str(chosen.folder),
        task=str(chosen.settings.get("task")),
        split=str(chosen.settings.get("split")),
        n=n,
        accuracy=n_right / n,
        interval=wilson(n_right, n),
        runs=tuple(Compared(**one, p_holm=p) for one, p in zip(found, corrected, strict=True)),
        notes=tuple(notes),
        n_resamples=N_RESAMPLES,
        seed=seed,
    )


def _chosen(runs: list[Run], reference: str | Path | None) -> tuple[Run, list[Run]]:
    """The run that is the reference, and the others; a folder that is none of the runs is read as well."""
    if reference is None:
        if not runs:
            raise InputError("compare: there must be at least two runs, got none; name their folders")
        return runs[0], runs[1:]
    folder = Path(reference).resolve()
    named = [run for run in runs if run.folder.resolve() == folder]
    named = named or [run for run in runs if run.label == reference]
    named = named or [run for run in runs if run.settings.get("rule") == reference]
    if not named and folder.is_dir():
        named = load_runs([reference])
    if len(named) != 1:
        raise InputError(
            f"compare: reference must be one run, by its folder or as one of {', '.join(run.label for run in runs)}, "
            f"got {str(reference)!r}, which is {len(named) or 'none'} of them; name one"
        )
    return named[0], [run for run in runs if run is not named[0]]


def _compared(run: Run, reference: Run, measures: bool, seed: int) -> dict[str, Any]:
    """The fields of `Compared`, but for the correction."""
    of_reference = reference.by_id
    mine, theirs = run.records, [of_reference[record["id"]] for record in run.records]
    found = differences(mine, theirs, measures, seed)
    own = of_run(mine) if measures else {}
    helps, harms = turned(mine, theirs)
    p, mid_p = mcnemar(len(helps), len(harms))
    return {
        "run": run.label,
        "folder": str(run.folder),
        "accuracy": found.pop(ACCURACY),
        "interval": wilson(sum(bool(record["correct"]) for record in mine), len(mine)),
        "helps": helps,
        "harms": harms,
        "p": p,
        "mid_p": mid_p,
        "tokens_per_reply": found.pop(TOKENS, None),
        "deferral": found.pop(DEFERRAL, None),
        "tokens_per_second": _speeds(mine, theirs),
        "measures": found,
        "unpaired": {name: value for name, value in own.items() if name not in found and name != "tokens"},
    }


def _speeds(mine: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """Tokens a second of both; None where one has no tokens or no time."""
    speeds = []
    for records in (mine, theirs):
        n_tokens, seconds = (sum(record.get(name) or 0 for record in records) for name in ("n_tokens", "seconds"))
        if not n_tokens or not seconds:
            return None
        speeds.append(n_tokens / seconds)
    return speeds[0], speeds[1]


def _cells(one: Compared) -> tuple[str, ...]:
    difference = f"{100 * one.accuracy.difference:+.1f} {points(one.accuracy.interval, '+')}"
    tokens, deferral = (None if it is None else it.value for it in (one.tokens_per_reply, one.deferral))
    return (
        one.run,
        f"{percent(one.accuracy.value)} {points(one.interval)}",
        difference,
        str(len(one.helps)),
        str(len(one.harms)),
        *(f"{p:.2g}" for p in (one.p, one.mid_p, one.p_holm)),
        *_cost(tokens, deferral, None if one.tokens_per_second is None else one.tokens_per_second[0]),
    )


def _cost(tokens: float | None, deferral: float | None, speed: float | None) -> tuple[str, str, str]:
    return (
        "-" if tokens is None else f"{tokens:.1f}",
        percent(deferral),
        "-" if speed is None else f"{speed:.0f}",
    )


def _ends(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else "[" + ", ".join(f"{end:+.4g}" for end in interval) + "]"


def _flat(one: Compared) -> dict[str, Any]:
    """One row of a data frame: the numbers of a run, those of each quantity under its name."""
    row: dict[str, Any] = {"run": one.run, "folder": one.folder, "n_helps": len(one.helps), "n_harms": len(one.harms)}
    row |= {"p": one.p, "mid_p": one.mid_p, "p_holm": one.p_holm}
    pairs = {"accuracy": one.accuracy, "tokens_per_reply": one.tokens_per_reply, "deferral": one.deferral}
    row |= {f"{name}_value": value for name, value in one.unpaired.items()}
    for name, it in {**pairs, **one.measures}.items():
        low, high = (None, None) if it is None or it.interval is None else it.interval
        ends = {"low": low, "high": high}
        values = {key: None if it is None else getattr(it, key) for key in ("value", "reference", "difference")}
        row |= {f"{name}_{key}": value for key, value in {**values, **ends}.items()}
    speeds = one.tokens_per_second or (None, None)
    return row | {"tokens_per_second": speeds[0], "tokens_per_second_reference": speeds[1]}
