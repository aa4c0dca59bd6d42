"""What a profile asks for, counted before anything runs: runs, answers, and forward passes of each model by their rows.

Lengths are not known beforehand, so replies are taken to run to their task's limit, and prompts to fill the rest of the
context. What a run's own luck decides is a range: how many drafts are accepted, and how often an idle proxy is asked.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.profile import expand, max_new_tokens, n_questions, tasks_of
from proxyalign import tasks
from proxyalign.decoding.scoring import asked
from proxyalign.deferral.rules import Rule, make

PROMPT_ROWS = 256  # tokens of prompts that are read in one pass
_BASE_ALONE = 2  # times that `speed` decodes it in each mode: here, and by transformers


@dataclass(frozen=True)
class Passes:
    """Forward passes of one model, each over `n_rows` rows of tokens, with keys and values of `n_cached` tokens."""

    role: str
    n_rows: int
    n_cached: int
    least: float
    most: float


@dataclass(frozen=True)
class Part:
    """A grid of the profile, or its speed measurement.

    n_questions: of a run, the most. n_settings: rules with their parameters. n_answers: of all tasks and settings.
    """

    name: str
    split: str
    mode: str
    n_questions: int
    n_settings: int
    n_answers: int
    passes: tuple[Passes, ...]


def parts(profile: Mapping[str, Any], context: int) -> list[Part]:
    """All parts of a checked profile; context: tokens of a prompt and its reply together."""
    found = []
    for name, grid in profile["grids"].items():
        rules = list(expand(grid["rules"]))
        n_of = {task: n_questions(profile, name, task) for task in tasks_of(profile, name)}
        work = [
            one for task, n in n_of.items() for rule in rules for one in _of_task(profile, grid, task, n, rule, context)
        ]
        n_answers = len(rules) * sum(n_of.values())
        found.append(Part(name, grid["split"], grid["mode"], max(n_of.values()), len(rules), n_answers, tuple(work)))
    if "speed" in profile:
        found.append(_speed(profile, context))
    return found


def _of_task(
    profile: Mapping[str, Any], grid: Mapping[str, Any], task: str, n: int, rule: Rule, context: int
) -> Iterator[Passes]:
    """The passes of one run of a grid; choices are not decoded, and each model that the rule asks reads them once."""
    if tasks.get(task).kind == "reply":
        batch = min(profile["batch_size"], n)
        yield from _run(rule, grid["mode"], grid["window"], n, batch, max_new_tokens(profile, task), context)
        return
    n_passes = n * context / PROMPT_ROWS
    for role in asked(rule):
        yield Passes(role, PROMPT_ROWS, PROMPT_ROWS, n_passes, n_passes)


def _speed(profile: Mapping[str, Any], context: int) -> Part:
    """The contest of measure_speed.py: text by text, every rule in both modes, and the base alone in four ways."""
    speed = profile["speed"]
    rules = [*([make("never")] * _BASE_ALONE), *expand(speed["rules"])]
    n = speed["n_questions"] * speed["n_rounds"]
    work = [
        one
        for task in profile["tasks"]
        for rule in rules
        for mode in ("autoregressive", "speculative")
        for one in _run(rule, mode, speed["window"], n, 1, tasks.get(task).max_new_tokens, context)
    ]
    n_runs = 2 * len(rules)
    return Part("speed", "test", "both", speed["n_questions"], n_runs, n * n_runs * len(profile["tasks"]), tuple(work))


def _run(rule: Rule, mode: str, window: int, n: int, batch: int, n_new: int, context: int) -> Iterator[Passes]:
    """The passes of one run: n questions, `batch` texts at a time, n_new tokens each."""
    steps = math.ceil(n * n_new / batch)
    is_speculative = mode == "speculative" and rule.constant is not True
    fewest = math.ceil(steps / (window + 1)) if is_speculative else steps
    rows = batch * (window + 1) if is_speculative else batch
    prompts = n * max(context - n_new, 0) / PROMPT_ROWS
    cached = batch * context
    runs: dict[str, tuple[int, float, float]] = {}  # by role: rows of a pass, and how many at least and at most
    if rule.constant is not True:
        runs["base"] = (rows, fewest, steps)
    if is_speculative:
        runs["proxy"] = (batch, fewest * window, steps * window)
    elif rule.constant is True or rule.reads("q"):
        runs["proxy"] = (batch, steps, steps)
    elif rule.asks_proxy and rule.constant is None:
        runs["proxy"] = (batch, 0, steps)
    if rule.reads("q0"):
        runs["reference"] = (rows, fewest, steps)
    for role, (n_rows, least, most) in runs.items():
        yield Passes(role, n_rows, cached, least, most)
        yield Passes(role, PROMPT_ROWS, PROMPT_ROWS, prompts if least else 0, prompts)
