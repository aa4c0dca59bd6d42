"""Runs to be compared: read from their folders, named by what tells them apart, and held to the same questions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.evaluation.records import RECORDS, read_records, read_settings
from proxyalign.files import read_json

SUMMARY = "summary.json"
_SAME = ("task", "task_version", "split")  # settings without which a question is not the same one
_NEEDED = (
    "id", "correct", "strict", "extracted", "n_tokens", "seconds", "deferral_mass", "n_tested", "n_accepted",
    "n_cycles",
)  # fmt: skip
# Settings that name the rule, or follow from the questions, which are compared one by one.
_TOLD_ELSEWHERE = {*_SAME, "rule", "parameters", "limit", "questions", "rows"}
_DIGESTS = ("models", "commit")  # which no reader knows by heart
_SHORT = 60  # characters of a value in a sentence


@dataclass(frozen=True)
class Run:
    """One run: its label, its folder, its settings.json, and its records by question, in their order.

    label: the rule with its parameters, and where several runs would have the same, whatever else tells them apart.
    """

    label: str
    folder: Path
    settings: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]]

    @property
    def by_id(self) -> dict[str, Mapping[str, Any]]:
        """The records by the id of their question."""
        return {record["id"]: record for record in self.records}


def load_runs(folders: Sequence[str | Path]) -> list[Run]:
    """The runs in `folders`, each that of one run, or a results folder, which stands for its runs in their order.

    Raises InputError for a folder that holds no run, and for records that lack what a comparison reads.
    """
    found: list[Run] = []
    for folder in map(Path, folders):
        found += map(_load, [folder] if (folder / RECORDS).exists() else _runs_of(folder))
    counts = Counter(run.folder.resolve() for run in found)
    if repeated := [str(folder) for folder, n in counts.items() if n > 1]:
        raise InputError(f"compare: each run must be named once, got {repeated[0]!r} twice; drop one")
    return _told_apart(found)


def check_same_questions(one: Run, other: Run) -> None:
    """Raise InputError unless both runs answer the same questions, of one version of one task."""
    for name in _SAME:
        if one.settings.get(name) != other.settings.get(name):
            raise InputError(
                f"compare: the runs must have the same {name}, got {one.settings.get(name)!r} for {one.label} and "
                f"{other.settings.get(name)!r} for {other.label}; compare runs on one set of questions"
            )
    here, there = one.by_id, other.by_id
    for mine, theirs, who, whom in ((here, there, one, other), (there, here, other, one)):
        if lacking := [name for name in mine if name not in theirs]:
            raise InputError(
                f"compare: the runs must answer the same questions, got {len(mine)} for {who.label} and {len(theirs)} "
                f"for {whom.label}, where {lacking[0]} is not among the latter; finish the shorter run, or take one "
                "limit for both"
            )
    for name, record in here.items():
        if record.get("prompt_sha256") != there[name].get("prompt_sha256"):
            raise InputError(
                f"compare: the runs must ask the same questions, got another text under the id {name} for {one.label} "
                f"than for {other.label}; run one of them again on the other's data"
            )


def further_differences(run: Run, reference: Run) -> str:
    """What else than the rule tells two runs apart, as "temperature (0.0 and 1.0)"; empty where nothing does."""
    mine, other = _told(run), _told(reference)
    names = [name for name in {**other, **mine} if other.get(name) != mine.get(name)]
    if "mode" in names and "window" in names:
        names.remove("window")  # of one of them alone
    return ", ".join(f"{name} ({_short(mine.get(name))} and {_short(other.get(name))})" for name in names)


def _told(run: Run) -> dict[str, Any]:
    """The settings that a difference between two runs may come from, and the code that made the records."""
    settings = {name: value for name, value in run.settings.items() if name not in _TOLD_ELSEWHERE}
    if settings.get("mode") != "speculative":
        settings.pop("window", None)
    first = run.records[0]
    if commit := first.get("commit"):
        settings["commit"] = commit[:7] + "-dirty" * commit.endswith("-dirty")
    return settings | ({"version": first["version"]} if "version" in first else {})


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def _runs_of(folder: Path) -> list[Path]:
    """The folders of the runs that a results folder's summary names."""
    if not (folder / SUMMARY).exists():
        raise InputError(
            f"compare: RUN must be a folder with {RECORDS}, or a results folder with {SUMMARY}, got {str(folder)!r}; "
            "name what proxyalign evaluate wrote"
        )
    summary = read_json("compare", folder / SUMMARY)
    runs = summary.get("runs") if isinstance(summary, dict) else None
    if not isinstance(runs, list) or not all(isinstance(run, dict) and "folder" in run for run in runs):
        raise InputError(
            f"compare: {folder / SUMMARY} must list its runs with their folders, got something else; run "
            "proxyalign evaluate again, which writes it anew"
        )
    return [folder / str(run["folder"]) for run in runs]


def _load(folder: Path) -> Run:
    settings = read_settings(folder)
    if settings is None or not (folder / RECORDS).exists():
        raise InputError(
            f"compare: {str(folder)!r} must hold settings.json and {RECORDS}, got neither or one of them; name a "
            "folder that proxyalign evaluate wrote"
        )
    records = read_records(folder / RECORDS)
    if not records:
        raise InputError(
            f"compare: {folder / RECORDS} must hold at least one record, got none; let the run go on to its end"
        )
    for index, record in enumerate(records):
        for name in _NEEDED:
            if name not in record:
                raise InputError(
                    f"compare: record {index} of {folder / RECORDS} must say {name!r}, got none; run it again"
                )
    ids = Counter(record["id"] for record in records)
    if len(ids) < len(records):
        raise InputError(
            f"compare: {folder / RECORDS} must hold each question once, got {ids.most_common(1)[0][0]} twice; run it "
            "again in a new folder"
        )
    return Run(rule_label(str(settings.get("rule")), settings.get("parameters") or {}), folder, settings, records)


def rule_label(rule: str, parameters: Mapping[str, Any]) -> str:
    """A rule with its parameters, as in dual(alpha=0.4), or its name alone where it has none."""
    inside = ", ".join(
        f"{name}={value:g}" if isinstance(value, int | float) else f"{name}={value}"
        for name, value in parameters.items()
    )
    return f"{rule}({inside})" if inside else rule


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """The runs with labels of which no two are the same: by settings where these differ, else by folder."""
    by_label: dict[str, list[Run]] = {}
    for run in runs:
        by_label.setdefault(run.label, []).append(run)
    named = [replace(run, label=_longer(run, by_label[run.label])) for run in runs]
    counts = Counter(run.label for run in named)
    return [replace(run, label=f"{run.label}, {run.folder}") if counts[run.label] > 1 else run for run in named]


def _longer(run: Run, alike: Sequence[Run]) -> str:
    """The run's label with the settings in which some of those that share it differ."""
    mine, told = _told(run), [_told(one) for one in alike]
    names = [name for name in mine if any(one.get(name) != mine[name] for one in told)]
    return ", ".join([run.label, *(f"{name} {_short(mine[name])}" for name in names if name not in _DIGESTS)])
