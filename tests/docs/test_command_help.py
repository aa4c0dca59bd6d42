"""The help pages: each has an example that the parser takes as it stands; the version; completion of the shells."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from parsed import commands, read
from typer import TyperException

from proxyalign import __version__

COMMANDS = dict(commands())


def example(page):
    """The one line of a help page that can be copied into a shell."""
    (line,) = re.findall(r"^  (?:Example:\s+)(proxyalign .*)$", page, re.MULTILINE)
    return line


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_help_page_shows_an_example_that_can_be_copied(command, words):
    """Fails where a command has no example, the page breaks it over lines, or it has what the parser refuses."""
    code, page, _ = command(*words, "--help")
    assert code == 0
    line = example(page)
    called, values = read(line)
    assert called == words
    assert " ".join(COMMANDS[words].help.split()).endswith(f"Example: {line}")
    assert any(values.values())


def test_an_example_broken_over_two_lines_would_be_seen():
    """Fails when `read` takes what the parser refuses: then the examples above prove nothing."""
    for line in ("proxyalign solve --probs", "proxyalign solve --prob p.npy", "proxyalign slove", "proxyalign solve"):
        with pytest.raises(TyperException):
            read(line)


def test_the_example_of_solve_runs_as_it_stands(command, monkeypatch, tmp_path):
    """Fails where the example reads well and does not work."""
    monkeypatch.chdir(tmp_path)
    np.save("p.npy", np.array([0.5, 0.2, 0.2, 0.1]))
    _, page, _ = command("solve", "--help")
    code, out, _ = command(*example(page).split()[1:])
    assert code == 0
    assert "optimal within the budget: proved" in out


def test_the_version_is_the_packages(command):
    """Fails when --version is unknown, or needs a command beside it."""
    assert command("--version") == (0, f"proxyalign {__version__}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell):
    """Fails where completion is off, or a shell gets no script, or the script's question no answer."""
    main = "import sys; sys.argv = ['proxyalign', *sys.argv[1:]]; from proxyalign.cli import main; main()"

    def run(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-c", main, *arguments],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    typed = {"COMP_WORDS": "proxyalign gen", "COMP_CWORD": "1"}
    typed |= {"_TYPER_COMPLETE_ARGS": typed["COMP_WORDS"], "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert "generate" in run(_PROXYALIGN_COMPLETE=f"complete_{shell}", **typed)
