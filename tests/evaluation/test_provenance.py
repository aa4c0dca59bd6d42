"""A result's commit is the code's, and is called dirty where the code differs from it and nowhere else."""

import subprocess
from types import SimpleNamespace

import pytest
import torch

import proxyalign
from proxyalign.evaluation import provenance
from proxyalign.files import sha256


def _git(folder, *words):
    names = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with a package, which takes the place of ours, another folder of code, and one of results."""
    for name in ("package", "analysis", "figures"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    _git(tmp_path, "init")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-m", "first")
    monkeypatch.setattr(proxyalign, "__file__", str(tmp_path / "package" / "__init__.py"))
    return tmp_path


def test_a_commit_is_dirty_where_code_changed_and_not_where_results_did(checkout):
    """Fails when a run's own figures make its code look changed, or a changed or new module passes for the commit."""
    commit, head = provenance.commit.__wrapped__, _git(checkout, "rev-parse", "HEAD").strip()
    (checkout / "figures" / "__init__.py").write_text("drawn")
    assert commit(checkout / "analysis") == head
    (checkout / "analysis" / "new.py").write_text("")
    assert commit() == head
    assert commit(checkout / "analysis") == f"{head}-dirty"
    (checkout / "package" / "__init__.py").write_text("changed")
    assert commit() == f"{head}-dirty"


def test_a_package_installed_inside_another_project_has_no_commit(checkout, monkeypatch):
    """Fails when results would name the commit of the project whose virtual environment holds the package."""
    (checkout / "installed").mkdir()
    (checkout / "installed" / "__init__.py").write_text("")
    monkeypatch.setattr(proxyalign, "__file__", str(checkout / "installed" / "__init__.py"))
    assert provenance.commit.__wrapped__() is None


def test_the_models_digest_tells_a_pair_with_a_reference_from_one_without():
    """Fails when runs with another reference pass for the same run's."""
    base, proxy, reference = (torch.nn.Linear(3, 2) for _ in range(3))
    plain, *others = (SimpleNamespace(base=base, proxy=proxy, reference=model) for model in (None, proxy, reference))
    digests = [provenance.models_digest(pair) for pair in (plain, *others)]
    assert len(set(digests)) == 3


def test_files_of_another_edition_are_told_by_name(tmp_path, monkeypatch):
    """Fails when a private or newer file passes for the published one, or a file of another kind counts."""
    folder = tmp_path / "quiz"
    folder.mkdir()
    for name, content in (("part.jsonl", b"known"), ("whole.jsonl", b"other"), ("LICENSE", b"text")):
        (folder / name).write_bytes(content)
    task = SimpleNamespace(checksums={"quiz/part.jsonl": sha256(folder / "part.jsonl"), "quiz/train.jsonl": "0" * 64})
    others = {"quiz/whole.jsonl": sha256(folder / "whole.jsonl")}
    assert provenance.data_editions(task, tmp_path) == {"n_known": 1, "others": others}
    monkeypatch.setenv("PROXYALIGN_DATA", str(tmp_path))
    assert provenance.data_editions(task, None) == {"n_known": 1, "others": others}
    assert provenance.data_editions(SimpleNamespace(checksums={}), tmp_path) is None
    assert provenance.data_editions(task, "hub") is None
