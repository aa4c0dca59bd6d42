"""The fingerprint of a job changes with the code that the job needs, and with nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.fingerprint import behaviour, fingerprint
from proxyalign import tasks
from proxyalign.deferral.rules import make

ROOT = Path(__file__).parent.parent.parent
CODE = '"""What it is for."""\n\ndef f(x):\n    """Say it."""\n    return x + 1\n'
DECODING, SOLVING = "analysis.experiments.decode_grid", "analysis.experiments.solve_visited_rows"
RULES = {
    "never": make("never"),
    "dual": make("dual", alpha=0.4),
    "nudging": make("nudging", alpha=0.4),
    "truncated-dual": make("truncated-dual", alpha=0.4),
    "hybrid": make("hybrid", budget=0.3),
    "cascade-diff": make("cascade-diff", alpha=0.2),
    "wsd": make("wsd", alpha=0.4),
}
ALL = sorted(RULES)


def test_comments_layout_and_docstrings_do_not_count():
    """Fails where rewording a docstring would throw a night of results away."""
    assert behaviour(CODE) == behaviour('"""Other words."""\ndef f(x):  # a reason\n\n    return (x + 1)\n')


def test_a_changed_number_counts():
    """Fails where results of older code could pass for new ones."""
    assert behaviour(CODE) != behaviour(CODE.replace("1", "2"))


def edited(tmp_path, path, added):
    """A checkout that is this one but for what a file of the package has more at its end."""
    for name in ("proxyalign", "analysis"):
        shutil.copytree(ROOT / name, tmp_path / name, copy_function=os.symlink)
    file = tmp_path / "proxyalign" / path
    text = file.read_bytes()
    file.unlink()
    file.write_bytes(text + added)
    return tmp_path


def changed(root, script, task="lab-math"):
    """The rules whose fingerprint is another one there."""
    asked = tasks.get(task)
    return sorted(n for n, rule in RULES.items() if fingerprint(script, [rule], [asked], root) != here(script, n, task))


def here(script, name, task):
    return fingerprint(script, [RULES[name]], [tasks.get(task)])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("deferral/hybrid.py", ["hybrid"]),
        ("deferral/handover.py", ["wsd"]),
        ("deferral/gates.py", ["cascade-diff", "nudging"]),
        ("deferral/mixtures.py", ["cascade-diff"]),
        ("deferral/budgets.py", ["dual", "never", "truncated-dual"]),
        ("deferral/rule.py", ALL),
        ("deferral/law.py", ALL),
        ("decoding/speculative.py", ALL),
        ("decoding/backends/processor_kernels.py", ALL),
        ("models/loading.py", ALL),
        ("tasks/lab.py", ALL),
        ("models/lab/weights/base/model.safetensors", ALL),
        ("deferral/rules.py", []),
        ("__init__.py", []),
        ("tasks/gsm8k.py", []),
        ("verify/run.py", []),
        ("cli/evaluate.py", []),
        ("report/page.py", []),
    ],
)
def test_an_edit_changes_the_runs_that_need_the_file_and_no_others(tmp_path, path, expected):
    """Fails where a changed rule keeps its old results, or takes those of other rules along."""
    assert changed(edited(tmp_path, path, b"\n_MORE = 1\n"), DECODING) == expected


def test_a_comment_more_changes_no_run(tmp_path):
    """Fails where the text of a module counts rather than what it does."""
    assert changed(edited(tmp_path, "decoding/speculative.py", b"\n# A reason.\n"), DECODING) == []


def test_solving_needs_the_knapsack_and_no_engine(tmp_path):
    """Fails where a faster engine has all knapsacks solved again, or a changed solver none."""
    assert changed(edited(tmp_path / "one", "knapsack/exact/search.py", b"\n_MORE = 1\n"), SOLVING) == ALL
    assert changed(edited(tmp_path / "two", "decoding/speculative.py", b"\n_MORE = 1\n"), SOLVING) == []


def test_it_is_the_same_in_every_process():
    """Fails where the order of a set, which is another one in each process, decides which modules are found."""
    code = f"from analysis.fingerprint import fingerprint; print(fingerprint({SOLVING!r}), fingerprint({DECODING!r}))"
    told = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]  # fmt: skip
    assert len(told[0].split()) == 2
    assert set(told) == {told[0]}


def test_a_task_counts_where_it_is_asked(tmp_path):
    """Fails where another way to score a task keeps its old scores."""
    root = edited(tmp_path, "tasks/gsm8k.py", b"\n_MORE = 1\n")
    assert changed(root, DECODING, "gsm8k") == ALL


def test_the_parameters_that_the_registry_gives_a_rule_count():
    """Fails where a default that was changed in the registry alone would keep the older runs."""
    one, other = (fingerprint(DECODING, [make("dual", alpha=alpha)]) for alpha in (0.4, 0.5))
    assert one != other
