"""The promises of the repository as a whole: light import, short files that say what they are for, pinned torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LISTED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
TRACKED = [ROOT / name for name in LISTED if (ROOT / name).is_file()]
PYTHON = [path for path in TRACKED if path.suffix == ".py"]
HEAVY = ["cvxpy", "highspy", "matplotlib", "numba", "numpy", "polars", "snakemake", "torch", "transformers", "typer"]


def test_importing_the_package_loads_nothing_heavy():
    """Fails when a module at the top imports what only some users need."""
    code = f"import sys, proxyalign; print([name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_the_command_line_frame_loads_no_model_and_no_solver():
    """Fails when `proxyalign --help` would pay for torch."""
    code = f"import sys, proxyalign.cli; print([n for n in {HEAVY} if n in sys.modules and n not in ('typer',)])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_every_public_name_resolves():
    """Fails when the lazy table of the package names something that is not there."""
    import proxyalign

    for name in proxyalign.__all__:
        assert getattr(proxyalign, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = proxyalign.nonsense


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_and_is_one_idea(path):
    """Fails for a module without a docstring, or one over 400 lines."""
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    assert docstring.split("\n")[0].rstrip().endswith((".", ":", ",", ";")) or "\n" in docstring
    assert len(text.splitlines()) <= 400


def test_the_top_level_is_the_documented_one():
    """Fails when something new appears at the top, where each name must earn its place."""
    top = {path.relative_to(ROOT).parts[0] for path in TRACKED}
    folders = {"analysis", "proxyalign", "notebooks", "docs", "figures", "tests", "paper", ".ci"}
    files = {
        "pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile",
        "requirements.lock", ".gitignore", ".gitattributes",
    }  # fmt: skip
    assert top <= folders | files


def test_the_lock_pins_everything_and_the_torch_that_was_tested():
    """Fails for a package without a version, and for a torch that would pull in CUDA by accident."""
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    for_linux = 'triton==3.7.1; sys_platform == "linux"'  # there is no other, and torch's CUDA build wants this one
    assert all(re.fullmatch(r"[\w.\-]+==[\w.!+\-]+", line) for line in lines if line != for_linux)
    assert "torch==2.13.0" in lines


def test_the_readme_starts_with_the_two_commands():
    """Fails when a reader has to scroll for them."""
    opening = (ROOT / "README.md").read_text()[:1500]
    assert "make reproduce" in opening
    assert "make test" in opening


def test_decoding_loads_no_solver():
    """Fails when a rule or a backend pulls in the knapsack's solvers, or what draws figures, before it is used."""
    solvers = "('scipy', 'cvxpy', 'highspy', 'matplotlib', 'proxyalign.knapsack')"
    code = f"import sys, proxyalign.decoding; print([name for name in sys.modules if name.startswith({solvers})])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
