"""What a profile's grids are cut into: runs, each of one rule on one task, and jobs, each of some runs."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.fingerprint import fingerprint
from analysis.profile import expand, max_new_tokens, n_questions, tasks_of
from proxyalign import tasks
from proxyalign.deferral.rules import Rule


@dataclass(frozen=True)
class Run:
    """One rule with its parameters, on one task as one grid asks it."""

    grid: str
    task: str
    rule: Rule

    def __str__(self) -> str:
        parameters = (f"{name}{float(value):g}" for name, value in self.rule.parameters().items())
        return re.sub(
            r"[^A-Za-z0-9._-]", "-", "_".join((self.grid, self.task, "-".join((self.rule.name, *parameters))))
        )

    def settings(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """All that decides its records, its code too, beside what all runs of the profile share, as JSON values."""
        grid = profile["grids"][self.grid]
        return {
            "grid": self.grid,
            "task": self.task,
            "rule": self.rule.name,
            "parameters": self.rule.parameters(),
            "seed": profile["seed"],
            "limit": n_questions(profile, self.grid, self.task),
            "max_new_tokens": max_new_tokens(profile, self.task),
            "proxy_chat": grid.get("proxy_chat", profile["proxy_chat"]),
            "rows": grid["n_rows"],
            "code": fingerprint("analysis.experiments.decode_grid", [self.rule], [tasks.get(self.task)]),
            **{name: grid[name] for name in ("split", "mode", "window", "temperature")},
        }


def runs(profile: Mapping[str, Any]) -> list[Run]:
    """All runs of a checked profile, in its order."""
    return [
        Run(grid, task, rule)
        for grid, asked in profile["grids"].items()
        for task in tasks_of(profile, grid)
        for rule in expand(asked["rules"])
    ]


def jobs(profile: Mapping[str, Any]) -> dict[str, list[Run]]:
    """The runs of each job, at most `runs_per_job`, by a name that is the same for as long as the runs are.

    Rules of different modules have different jobs, so that a change in one of them touches as few files as it can.
    """
    by_module: dict[str, list[Run]] = {}
    for run in runs(profile):
        by_module.setdefault(type(run.rule).__module__, []).append(run)
    size = profile["runs_per_job"]
    found = [those[at : at + size] for those in by_module.values() for at in range(0, len(those), size)]
    return {f"{job[0]}" + (f"-and-{len(job) - 1}-more" if len(job) > 1 else ""): job for job in found}


def settings(profile: Mapping[str, Any], job: Sequence[Run]) -> str:
    """All that decides a job's records, as JSON: it is run again when any of it changes, and other jobs are not."""
    told = {
        "pair": profile["pair"],
        "dtype": profile["dtype"],
        "data": profile.get("data"),
        "batch_size": profile["batch_size"],
        "runs": [run.settings(profile) for run in job],
    }
    return json.dumps(told, sort_keys=True)
