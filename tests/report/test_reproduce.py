"""The commands of a report make the settings again that they were written from."""

import shlex

import pytest

from proxyalign import tasks
from proxyalign.evaluation import Settings
from proxyalign.report.reproduce import command as written

VERSION = {name: tasks.get(name).version for name in ("lab-math", "arc-challenge")}
REPLY = {"task": "lab-math", "task_version": VERSION["lab-math"], "max_new_tokens": 9}
CHOICE = {"task": "arc-challenge", "task_version": VERSION["arc-challenge"], "max_new_tokens": 0}


@pytest.mark.parametrize(
    "settings",
    [
        Settings(pair="lab", rule="never", **REPLY),
        Settings(pair="lab", rule="dual", parameters={"alpha": 0.1}, mode="speculative", window=3, seed=4, **REPLY),
        Settings(pair="my pair's", rule="top-k", parameters={"k": 2.0, "min_keep": 0.0}, limit=3, rows=5, **REPLY),
        Settings(pair="big + small", rule="primal", parameters={"budget": 0.5}, temperature=0.5, **REPLY),
        Settings(pair="big + small + before", rule="never", proxy_chat=True, boundaries="word", **REPLY),
        Settings(pair="lab + before", rule="never", base_chat=True, rule_temperature=0.5, split="dev", **REPLY),
        Settings(pair="lab", rule="dual", parameters={"alpha": 0.4}, limit=2, **CHOICE),
    ],
    ids=lambda settings: f"{settings.pair}-{settings.rule}",
)
def test_a_command_makes_its_settings_again(command, monkeypatch, settings, tmp_path):
    """Fails when an option is left out, misspelt, not quoted, or asks for another pair."""
    asked = {}

    def run_grid(models, runs, out, **more):
        asked.update(runs=list(runs), models=models, traces=more["traces"])
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("proxyalign.evaluation.prepare", lambda *arguments, **more: [])
    monkeypatch.setattr("proxyalign.evaluation.run_grid", run_grid)
    monkeypatch.setattr("proxyalign.models.load_pair", lambda name, **more: (name, more))
    words = shlex.split(written(settings.as_dict(), has_traces=not settings.is_choice))
    code, _, err = command(*words[1:])
    assert (words[0], code) == ("proxyalign", 130), err
    expected = settings.as_dict()
    if settings.mode != "speculative":
        expected["window"] = 5
    assert [one.as_dict() for one in asked["runs"]] == [expected]
    assert asked["traces"] is not settings.is_choice
    name, more = asked["models"]
    parts = [part for part in (name, more["base"], more["proxy"], more["reference"]) if part is not None]
    assert " + ".join(parts) == settings.pair
    assert (name is None) == settings.pair.startswith("big")
