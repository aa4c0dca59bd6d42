"""What `proxyalign evaluate` prints: the answer in a sentence, a line for each run, and one for each measure."""

from collections.abc import Mapping, Sequence
from typing import Any

from proxyalign.tasks import Kind

_HEADER = ("run", "correct [95 %]", "strict", "no answer", "tokens/s", "acceptance", "accepted/cycle", "deferred")
_N_OF_DECODING = 3  # the last columns, which say nothing where choices are compared


def headline(run: Mapping[str, Any], settings: Mapping[str, Any], kind: Kind) -> str:
    """The answer in a sentence."""
    tempered = "" if settings["rule_temperature"] == 1.0 else f" (of the rule {settings['rule_temperature']:g})"
    how = f"{settings['mode']}, temperature {settings['temperature']:g}{tempered}, seed {settings['seed']}"
    how += "" if settings["verifier"] is None else f", {settings['verifier']}(delta={settings['delta']:g})"
    return (
        f"{run['n_correct']} of {run['n']} right ({_percent(run['accuracy'])}, standard error "
        f"{_percent(run['standard_error'])}) on {settings['task']} {settings['split']}, "
        f"{'likelihoods of the choices' if kind == 'choice' else how}"
    )


def runs_table(labels: Sequence[str], runs: Sequence[Mapping[str, Any]], kind: Kind) -> str:
    """One line for each run under a line of names, in columns."""
    n_columns = len(_HEADER) - _N_OF_DECODING * (kind == "choice")
    rows = [_HEADER, *(_cells(label, run) for label, run in zip(labels, runs, strict=True))]
    return _in_columns([row[:n_columns] for row in rows])


def measures_table(labels: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> str:
    """One line for each measure of each run; empty where there is none."""
    rows = [("run", "measure", "value [95 %]", "standard error")]
    for label, run in zip(labels, runs, strict=True):
        macro = {"accuracy, mean of groups": run["macro"]} if "macro" in run else {}
        for name, one in {**macro, **run.get("measures", {})}.items():
            interval = "" if one["interval"] is None else " [{:.4g}, {:.4g}]".format(*one["interval"])
            error = "-" if one["standard_error"] is None else f"{one['standard_error']:.2g}"
            rows.append((label, name, f"{one['value']:.4g}{interval}", error))
    return _in_columns(rows) if len(rows) > 1 else ""


def _cells(label: str, run: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = run["interval"]
    return (
        label,
        f"{_percent(run['accuracy'])} [{100 * low:.1f}, {100 * high:.1f}]",
        _percent(run["strict_accuracy"]),
        str(run["n_unparsed"]),
        f"{run['tokens_per_second']:.0f}",
        "-" if run["acceptance_rate"] is None else _percent(run["acceptance_rate"]),
        "-" if run["mean_accepted_length"] is None else f"{run['mean_accepted_length']:.2f}",
        _percent(run["deferral_rate"]),
    )


def _in_columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
