"""What is said of the real pair's benchmarks: which runs are reported, the paper's table of them, and its numbers.

It goes by what a run's row says of itself, its split, mode, temperature and whether its parameter was chosen, and by no
grid's name, so that a new recording of other grids needs nothing here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.experiments.latex_tables import escaped, name, order, percent, tabular
from proxyalign.plotting.style import CONTROL, PARENTS

Row = Mapping[str, Any]
SAMPLED = ("autoregressive", 1.0)


def reported(runs: Iterable[Row]) -> list[Row]:
    """The runs on questions that no parameter was chosen on."""
    return [run for run in runs if run["split"] != "dev"]


def way(run: Row) -> tuple[str, float]:
    """Mode and temperature; choices, which are read and not drawn, count with what is sampled token by token."""
    return run["mode"] or SAMPLED[0], SAMPLED[1] if run["temperature"] is None else float(run["temperature"])


def shown(runs: Iterable[Row]) -> list[Row]:
    """Of the sampled, autoregressive runs of each task both parents, and each rule where it was chosen.

    A rule of which no parameter was chosen is there with all of them, and so is a control.
    """
    drawn = [run for run in reported(runs) if way(run) == SAMPLED]
    decided = {(run["task"], run["rule"]) for run in drawn if run["chosen"]}
    return [run for run in drawn if run["chosen"] or (run["task"], run["rule"]) not in decided]


def guessing(run: Row, chances: Iterable[Row]) -> float | None:
    """What guessing is worth on the run's questions, None where that is not known."""
    asked = ("task", "split", "n")
    return next((one["chance"] for one in chances if all(one[key] == run[key] for key in asked)), None)


def benchmark_numbers(runs: Sequence[Row], chances: Sequence[Row]) -> dict[str, str]:
    """What the text counts: cascades whose interval is above or below both parents', parents at chance, tasks."""
    drawn = [run for run in reported(runs) if way(run) == SAMPLED]
    parents = {(run["task"], run["rule"]): run for run in drawn if run["rule"] in PARENTS}
    cascades = [run for run in drawn if run["rule"] not in PARENTS and not run["rule"].startswith(CONTROL)]
    both = [(run, [parents[run["task"], rule] for rule in PARENTS]) for run in cascades]
    guessed = [(run, guess) for run in parents.values() if (guess := guessing(run, chances)) is not None]
    counts = {
        "Tasks": len({run["task"] for run in drawn}),
        "Cascades": len(cascades),
        "Above": sum(all(run["low"] > one["high"] for one in pair) for run, pair in both),
        "Below": sum(all(run["high"] < one["low"] for one in pair) for run, pair in both),
        "Guessable": len(guessed),
        "AtChance": sum(run["low"] <= guess <= run["high"] for run, guess in guessed),
    }
    return {f"Benchmark{name}": str(count) for name, count in counts.items()}


def benchmarks_table(runs: Sequence[Row], chances: Sequence[Row]) -> str:
    """Every reported run: a column a task, a part for each way to decode, percent right with the interval's ends."""
    rows = reported(runs)
    columns = list(dict.fromkeys(run["task"] for run in rows))
    lines: list[str] = []
    for one in sorted({way(run) for run in rows}, key=lambda one: (-one[1], one[0])):  # greedy runs come last
        here = [run for run in rows if way(run) == one]
        windows = sorted({run["window"] for run in here if run["mode"] == "speculative"})
        drafts = f"speculative, window {', '.join(map(str, windows))}" if windows else "one by one"
        title = f"{'sampled' if one[1] else 'greedy'}, {drafts}"
        lines += ["\\addlinespace[3pt]"] if lines else []
        lines.append(f"\\multicolumn{{{2 + len(columns)}}}{{@{{}}l@{{}}}}{{\\emph{{{title}}}}} \\\\")
        lines.append(_line("questions", "", [_asked(here, task) for task in columns]))
        if one == SAMPLED:
            lines.append(_line("guessing", "", [_guess(here, task, chances) for task in columns]))
        for setting in sorted({_setting(run) for run in here}, key=lambda key: (order(key[0]), key[1], key[2] or 0)):
            rule, variant, parameter = setting
            mine = [run for run in here if _setting(run) == setting]
            cells = [_cell([run for run in mine if run["task"] == task]) for task in columns]
            lines.append(_line(name(rule, variant), "" if parameter is None else f"{parameter:g}", cells))
    head = " & ".join(["rule", "", *(escaped(task) for task in columns)]) + r" \\"
    return tabular("@{}l@{ }r" + "r" * len(columns) + "@{}", [head], lines)


def _setting(run: Row) -> tuple[str, str, float | None]:
    return run["rule"], run["variant"], run["parameter"]


def _line(rule: str, parameter: str, cells: Sequence[str]) -> str:
    return " & ".join([rule, parameter, *cells]) + r" \\"


def _cell(runs: Sequence[Row]) -> str:
    if not runs:
        return "--"
    if len(runs) > 1:
        raise LookupError(
            f"paper: a setting must be reported once a task, got {len(runs)} runs of {runs[0]['rule']} on "
            f"{runs[0]['task']}; report it on one split"
        )
    (run,) = runs
    star = "$^\\star$" if run["chosen"] else ""
    return f"{percent(run['accuracy'])}{star} [{100 * run['low']:.0f}, {100 * run['high']:.0f}]"


def _asked(runs: Iterable[Row], task: str) -> str:
    """How many questions of the task were asked; more than one number where not all rules were asked as many."""
    return ", ".join(map(str, sorted({run["n"] for run in runs if run["task"] == task}))) or "--"


def _guess(runs: Iterable[Row], task: str, chances: Sequence[Row]) -> str:
    known = {guessing(run, chances) for run in runs if run["task"] == task} - {None}
    return ", ".join(percent(one) for one in sorted(filter(None, known))) or "--"
