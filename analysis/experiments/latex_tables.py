"""The paper's tables as LaTeX text, one function a table; a cell without a result is a dash."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proxyalign.deferral.rules import REGISTRY
from proxyalign.plotting.style import CONTROL, PARENTS

Row = Mapping[str, Any]
TASKS = ("lab-facts", "lab-math")
_WORDS = {
    **PARENTS,
    "truncated-dual": "cut below $\\alpha$, no proxy",
    "truncated-primal": "nucleus $1-b$, no proxy",
}
_SYMBOLS = {"alpha": "\\alpha", "budget": "b"}
SPEED_NAMES = {"transformers": "transformers, assisted"}
HEADER = "% Written by analysis/experiments/paper_numbers.py; do not edit.\n"


def percent(share: float) -> str:
    """A share as percent with one decimal, without its sign, and without a minus before zero."""
    return f"{100 * share + 0.0:.1f}".replace("-0.0", "0.0")


def order(rule: str) -> tuple[int, int]:
    """Where a rule stands in a table: the parents, the controls, and the others as the registry has them."""
    known = list(REGISTRY)
    place = known.index(rule) if rule in known else -1  # another engine goes before the rules
    return (0 if rule in PARENTS else 1 if place < 0 else 2 if rule.startswith(CONTROL) else 3), place


def name(rule: str, variant: str = "") -> str:
    """What a table calls a rule: with the symbol of its leading parameter, and the others that are not at default."""
    parameters = list(inspect.signature(REGISTRY[rule]).parameters) if rule in REGISTRY else []
    called = _WORDS.get(rule) or " ".join([rule, *(f"(${symbol(one)}$)" for one in parameters[:1])])
    return f"{called}, {escaped(variant)}" if variant else called


def symbol(parameter: str) -> str:
    """A parameter in mathematics: its letter, or its name."""
    return _SYMBOLS.get(parameter, f"\\mathit{{{escaped(parameter)}}}")


def escaped(text: str) -> str:
    """Plain text as LaTeX prints it."""
    for sign in "_%#&":
        text = text.replace(sign, f"\\{sign}")
    return text


def find(rows: Sequence[Row], **wanted: Any) -> Row:
    """The one row that has all of `wanted`. Raises LookupError where there is none, or more than one."""
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    if len(found) != 1:
        raise LookupError(
            f"paper: there must be one result with {wanted}, got {len(found)}; run the profile that measures it"
        )
    return found[0]


def _setting(run: Row) -> tuple[str, float, str, float | None]:
    """The rule, temperature, other parameters and leading parameter of a run."""
    return run["rule"], run["temperature"], run.get("variant", ""), run["parameter"]


def _settings(runs: Iterable[Row]) -> list[tuple[str, float, str, float | None]]:
    """The settings of each row of the table, in its order."""
    keys = {_setting(run) for run in runs}
    return sorted(keys, key=lambda key: (order(key[0]), -key[1], key[2], -1 if key[3] is None else key[3]))


def _lookup(runs: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    return {(run["task"], *_setting(run)): run for run in runs}


def tabular(columns: str, head: Sequence[str], lines: Sequence[str]) -> str:
    """A table with these columns, lines of its head and lines. Raises LookupError where it has no line."""
    if not lines:
        raise LookupError("paper: a table must have at least one row, got none; run the profile that fills it")
    body = [f"\\begin{{tabular}}{{{columns}}}\\toprule", *head, "\\midrule", *lines, "\\bottomrule\\end{tabular}", ""]
    return "\n".join(body)


def _two_tasks(n_columns: int) -> str:
    """The line above the head that names the tasks, over `n_columns` each, after the two columns of the rule."""
    spans = [f"\\multicolumn{{{n_columns}}}{{c}}{{{task}}}" for task in TASKS]
    rules = f"\\cmidrule(lr){{3-{n_columns + 2}}}\\cmidrule(l){{{n_columns + 3}-{2 * n_columns + 2}}}"
    return f" & & {' & '.join(spans)} \\\\ {rules}"


def _rows(settings: Sequence[tuple[Any, ...]], cells: Sequence[Sequence[str]]) -> list[str]:
    """The table's lines, with a little space where a new rule begins."""
    lines: list[str] = []
    for place, (setting, row) in enumerate(zip(settings, cells, strict=True)):
        if place and setting[0] != settings[place - 1][0]:
            lines.append("\\addlinespace[2pt]")
        lines.append(" & ".join(row) + r" \\")
    return lines


def accuracy_table(runs: Sequence[Row], replicate: Sequence[Row]) -> str:
    """Accuracy with its standard error for both training seeds, strict accuracy and deferral mass for the first."""
    first = [run for run in runs if run["split"] == "test" and run["mode"] == "autoregressive"]
    second = [run for run in replicate if run["split"] == "test" and run["mode"] == "autoregressive"]
    one, two = _lookup(first), _lookup(second)
    settings = _settings(first)
    cells = []
    for rule, temperature, variant, parameter in settings:
        row = [
            name(rule, variant) + (", greedy" if temperature == 0 else ""),
            "" if parameter is None else f"{parameter:g}",
        ]
        for task in TASKS:
            key = (task, rule, temperature, variant, parameter)
            ours = one.get(key)
            row += [
                _accuracy(ours),
                _accuracy(two.get(key)),
                "--" if ours is None else percent(ours["strict_accuracy"]),
                "--" if ours is None else f"{ours['deferral_rate']:.3f}",
            ]
        cells.append(row)
    head = [_two_tasks(4), "rule & & seed 1 & seed 2 & strict & $D$ & seed 1 & seed 2 & strict & $D$ \\\\"]
    return HEADER + tabular("@{}l@{ }r@{\\quad}rrrr@{\\quad}rrrr@{}", head, _rows(settings, cells))


def _accuracy(run: Row | None) -> str:
    if run is None:
        return "--"
    star = "$^\\star$" if run["chosen"] else ""
    return f"{percent(run['accuracy'])}{star} ({percent(run['standard_error'])})"


def gap_table(knapsack: Sequence[Row]) -> str:
    """Optimality gap and price of the step budget for each rule and task, with their bootstrap intervals."""
    found = _lookup(knapsack)
    settings = _settings(knapsack)
    cells = []
    for rule, temperature, variant, parameter in settings:
        row = [name(rule, variant), "" if parameter is None else f"{parameter:g}"]
        for task in TASKS:
            run = found.get((task, rule, temperature, variant, parameter))
            if run is None:
                row += ["--"] * 3
                continue
            row += [f"{run['mass'] / run['n_steps']:.3f}", _interval(run, "gap"), _interval(run, "price")]
        cells.append(row)
    head = [_two_tasks(3), "rule & & mass & gap (\\%) & price (\\%) & mass & gap (\\%) & price (\\%) \\\\"]
    return HEADER + tabular("@{}l@{ }r@{\\quad}rrr@{\\quad}rrr@{}", head, _rows(settings, cells))


def _interval(run: Row, measure: str) -> str:
    point, low, high = (percent(run[f"{measure}.{end}"]) for end in ("point", "low", "high"))
    return point if low == high == point else f"{point} [{low}, {high}]"


def speed_table(speed: Sequence[Row]) -> str:
    """Measured speed over the base alone in both modes, the share of drafts accepted, and what statement 12 expects."""
    settings = sorted(
        {_contestant(run) for run in speed}, key=lambda key: (order(key[0]), key[1], -1 if key[2] is None else key[2])
    )
    cells = []
    for rule, variant, parameter in settings:
        row = [SPEED_NAMES.get(rule) or name(rule, variant), "" if parameter is None else f"{parameter:g}"]
        for task in TASKS:
            mine = [run for run in speed if (*_contestant(run), run["task"]) == (rule, variant, parameter, task)]
            modes = {run["mode"]: run for run in mine}
            row += [_times(modes.get("autoregressive")), *_speculative(modes.get("speculative"))]
        cells.append(row)
    columns = "one by one & speculative & acc. & exp."
    head = [_two_tasks(4), f"rule & & {columns} & {columns} \\\\"]
    return HEADER + tabular("@{}l@{ }r@{\\quad}rrrr@{\\quad}rrrr@{}", head, _rows(settings, cells))


def _contestant(run: Row) -> tuple[str, str, float | None]:
    rule = str(run["rule"]) if run["engine"] == "proxyalign" else "transformers"
    return rule, run.get("variant", ""), run["parameter"]


def _times(run: Row | None) -> str:
    return "--" if run is None else f"{run['speedup']:.2f}"


def _speculative(run: Row | None) -> list[str]:
    """Speedup with its interval, acceptance and expected speedup; transformers does not report the last two."""
    if run is None:
        return ["--"] * 3
    measured = f"{run['speedup']:.2f} [{run['speedup_low']:.2f}, {run['speedup_high']:.2f}]"
    rest = (run["acceptance_rate"], run["predicted_speedup_at_cost"])
    return [measured, *("--" if value is None else f"{value:.2f}" for value in rest)]
