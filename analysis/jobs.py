"""What a profile's grids are cut into: jobs, each of some runs of one task, and of a shard of its questions."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.profile import expand, max_new_tokens, n_questions, tasks_of

_OF_A_GRID = ("split", "mode", "window", "temperature", "n_rows")


@dataclass(frozen=True)
class Job:
    """Some runs of a grid on one task: rules by name with their parameters, each a run of its own records.

    name: unique in its grid and task, and the same for as long as its runs are, whatever stands beside them.
    """

    grid: str
    task: str
    rules: tuple[tuple[str, Mapping[str, float]], ...]

    @property
    def name(self) -> str:
        """The first run's rule with its parameters, and how many runs follow it."""
        first, parameters = self.rules[0]
        rule = "-".join([first, *(f"{name}{float(value):g}" for name, value in parameters.items())])
        others = len(self.rules) - 1
        return re.sub(r"[^A-Za-z0-9.-]", "-", rule) + (f"-and-{others}-more" if others else "")


def jobs(profile: Mapping[str, Any], grid: str, task: str) -> dict[str, Job]:
    """The jobs of one grid and task by name, `runs_per_job` runs in each, in the profile's order."""
    rules = [(rule.name, rule.parameters()) for rule in expand(profile["grids"][grid]["rules"])]
    size = profile["runs_per_job"]
    found = [Job(grid, task, tuple(rules[first : first + size])) for first in range(0, len(rules), size)]
    return {job.name: job for job in found}


def cells(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each grid with each of its tasks."""
    for grid in profile["grids"]:
        for task in tasks_of(profile, grid):
            yield grid, task


def settings(profile: Mapping[str, Any], job: Job) -> str:
    """All that decides a job's records, as JSON: it is run again when any of it changes, and other jobs are not."""
    grid = profile["grids"][job.grid]
    return json.dumps(
        {
            "pair": profile["pair"],
            "dtype": profile["dtype"],
            "data": profile.get("data"),
            "task": job.task,
            "seed": profile["seed"],
            "limit": n_questions(profile, job.grid, job.task),
            "max_new_tokens": max_new_tokens(profile, job.task),
            "batch_size": profile["batch_size"],
            "proxy_chat": grid.get("proxy_chat", profile["proxy_chat"]),
            **{name: grid[name] for name in _OF_A_GRID},
            "rules": job.rules,
        },
        sort_keys=True,
    )
