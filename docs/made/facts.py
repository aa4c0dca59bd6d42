"""What `choosing.md` says in numbers, from the records: each a table or a number in Markdown, by name."""

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "analysis" / "recorded"
_CONTROLS = {"never": "the base alone", "always": "the proxy alone"}
_READ = {"p": "p alone", "p q": "p and q", "p q q0": "p, q and q0", "p q0": "p and q0"}


def facts() -> dict[str, str]:
    """All of them. Raises KeyError and OSError where a record is missing or has lost what is told of it."""
    lab = _read("lab_seed2/runs.json")["runs"]
    solvers = sorted(_read("solver_times/rows.json")["summary"], key=lambda one: one["median_seconds"])
    proved = [one for one in solvers if one["certified"]]
    return {
        "needs": _needs(),
        "lab_questions": str(_one({run["n"] for run in lab if run["split"] == "test"})),
        "lab_accuracy": _lab_accuracy(lab),
        "lab_dual": _lab_dual(lab),
        "lab_speed": _lab_speed(),
        "real_speed": _real_speed(),
        "exact_median": f"{_one([one for one in proved if one['solver'] == 'exact'])['median_seconds']:.2f}",
        "next_median": f"{next(one for one in proved if one['solver'] != 'exact')['median_seconds']:.0f}",
    }


def filled(page: str, known: Mapping[str, str]) -> str:
    """The page with each `{{ name }}` replaced. Raises ValueError for a name that is not known, or is never used."""
    for name, text in known.items():
        mark = f"{{{{ {name} }}}}"
        if mark not in page:
            raise ValueError(f"choosing.md: {mark} must be used, got a page without it; put it where it is told")
        page = page.replace(mark, text)
    if "{{" in page:
        rest = page.partition("{{")[2].partition("}}")[0].strip()
        raise ValueError(f"choosing.md: a name must be one of {', '.join(known)}, got {rest!r}; compute it in facts.py")
    return page


def _needs() -> str:
    """Which rules read what, and what follows, from the registry and the checks that refuse a rule."""
    from proxyalign.deferral import rules
    from proxyalign.errors import InputError
    from proxyalign.serving.cascade import check_rule

    rows: dict[tuple[str, bool, bool, bool], list[str]] = {}
    for line in rules.table():
        rule = rules.make(line["name"], **dict.fromkeys(_without_default(line["name"]), 1))
        try:
            check_rule("choosing", rule)
            served = True
        except InputError:
            served = False
        rows.setdefault((rule.needs, rule.has_bonus, not rule.compares_tokens, served), []).append(f"`{rule.name}`")
    order = list(_READ)
    lines = [
        (_READ[reads], *("yes" if can else "no" for can in abilities), ", ".join(names))
        for (reads, *abilities), names in sorted(rows.items(), key=lambda row: (order.index(row[0][0]), row[0][1:]))
    ]
    return _table(("reads", "idle proxy, bonus", "two vocabularies", "served base", "rules"), lines)


def _without_default(name: str) -> list[str]:
    from proxyalign.deferral.rules import REGISTRY

    wanted = inspect.signature(REGISTRY[name]).parameters
    return [key for key, one in wanted.items() if one.default is inspect.Parameter.empty]


def _lab_accuracy(runs: Sequence[Mapping[str, Any]]) -> str:
    """Both tasks: parents, controls and rules, each at the parameter that was best on development questions."""
    tested = [run for run in runs if run["split"] == "test" and run["temperature"] == 1]
    tried = {(run["task"], run["rule"], run["parameter"]): run["accuracy"] for run in runs if run["split"] == "dev"}
    tasks = list(dict.fromkeys(run["task"] for run in tested))
    lines = []
    for rule in dict.fromkeys(run["rule"] for run in tested):
        cells = [_CONTROLS.get(rule, f"`{rule}`")]
        for task in tasks:
            of_rule = [run for run in tested if (run["task"], run["rule"]) == (task, rule)]
            # A control takes the parameter of the rule that it is a control of, which was chosen on dev.
            chosen = rule.removeprefix("truncated-")
            best = max(of_rule, key=lambda run: tried.get((task, chosen, run["parameter"]), -1.0))
            at = "" if best["parameter"] is None else f" at {best['parameter']:g}"
            cells += [f"{_percent(best)}{at}", f"{100 * best['deferral_rate']:.0f} %"]
        lines.append(cells)
    header = ["", *(name for task in tasks for name in (f"right, {task}", "deferred"))]
    return _table(header, lines)


def _lab_dual(runs: Sequence[Mapping[str, Any]]) -> str:
    of_dual = [run for run in runs if run["split"] == "test" and run["rule"] == "dual" and run["temperature"] == 1]
    tasks = list(dict.fromkeys(run["task"] for run in of_dual))
    lines = [
        [f"{alpha:g}", *(_percent(run) for task in tasks for run in of_dual if _is(run, task, alpha))]
        for alpha in sorted({run["parameter"] for run in of_dual})
    ]
    return _table(["alpha", *tasks], lines)


def _is(run: Mapping[str, Any], task: str, parameter: float) -> bool:
    return bool(run["task"] == task and run["parameter"] == parameter)


def _lab_speed() -> str:
    lines = [
        (
            run["name"],
            f"{run['speedup']:.2f} [{run['speedup_low']:.2f}, {run['speedup_high']:.2f}]",
            _share(run["deferral_rate"]),
            _share(run["acceptance_rate"]),
        )
        for run in _read("decoding_speed/lab.json")["runs"]
    ]
    return _table(("", "speed", "deferred", "drafts accepted"), lines)


def _real_speed() -> str:
    lines = [
        (
            run["name"],
            f"{run['tokens_per_second']:.0f}",
            _share(run["deferral_rate"]),
            _share(run["acceptance_rate"]),
        )
        for run in _read("real_pair.json")["runs"]
        if run["boundaries"] == "any"
    ]
    return _table(("", "pieces a second", "deferred", "drafts accepted"), lines)


def _percent(run: Mapping[str, Any]) -> str:
    return f"{100 * run['accuracy']:.1f} [{100 * run['low']:.1f}, {100 * run['high']:.1f}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _one(values: Iterable[Any]) -> Any:
    """The only one there is. Raises ValueError where there are more or none."""
    (value,) = values
    return value


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / name).read_text())
    return found
