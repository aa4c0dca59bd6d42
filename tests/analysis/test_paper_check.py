"""What stops a build of the paper: a number changed or typed by hand, a loose citation, a reference to nothing."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proxyalign.verify.statements.registry import STATEMENTS

ROOT = Path(__file__).parent.parent.parent
_spec = importlib.util.spec_from_file_location("paper_check", ROOT / "paper" / "check.py")
assert _spec
assert _spec.loader
check = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check)


@pytest.fixture
def checkout(tmp_path):
    """What the check reads of the checkout, to be spoiled."""
    shutil.copytree(ROOT / "paper", tmp_path / "paper", ignore=shutil.ignore_patterns("build", "__pycache__"))
    shutil.copytree(ROOT / "figures", tmp_path / "figures")
    shutil.copytree(ROOT / "analysis" / "recorded", tmp_path / "analysis" / "recorded")
    return tmp_path


def test_the_paper_can_be_built_as_it_is():
    """Fails where a generated file, a figure or a record was changed without the others, or a number was typed."""
    assert list(check.sources(ROOT)) == []


@pytest.mark.parametrize(
    "file",
    [
        "paper/generated/numbers.tex",
        "paper/generated/gap_table.tex",
        "paper/generated/recorded.tex",
        "analysis/recorded/exact_trial.json",
        "analysis/recorded/lab_seed2/runs.json",
        "figures/gap_vs_speedup.pdf",
    ],
)
def test_a_number_changed_by_hand_makes_the_build_refuse(checkout, file):
    """Fails where one digit of a table, a record or a figure could be changed, and the paper still be built."""
    changed = checkout / file
    content = changed.read_bytes()
    place = next(match.start() for match in re.finditer(rb"[1-8]", content) if match.start() > len(content) // 2)
    changed.write_bytes(content[:place] + b"9" + content[place + 1 :])
    faults = list(check.sources(checkout))
    assert faults
    assert all(fault.startswith(f"paper: {file} must be what ") for fault in faults)


def test_a_generated_file_that_nothing_describes_is_refused(checkout):
    """Fails where a table could be written by hand beside the generated ones, or a fault would not stop make."""
    (checkout / "paper" / "generated" / "mine.tex").write_text("\\newcommand{\\Mine}{99.9}\n")
    done = subprocess.run(
        [sys.executable, checkout / "paper" / "check.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("paper: paper/generated/mine.tex must be described")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A dual rule gets 88.8 percent.", ["88.8"]),
        ("one\ntwo $\\alpha = 0.3$", ["0.3"]),
        ("in $9\\,000$ steps", ["9\\,000"]),
        ("\\newcommand{\\Mine}{88.8}", ["Mine", "88.8"]),
        ("0--1 knapsacks, $d \\in \\{0, 1\\}^V$, Theorem 3.8, Table~\\ref{t:2}, float64", []),
        ("$10^{-\\GapDigits}$ % 42\n\\includegraphics[width=0.5\\textwidth]{figures/f3}\\citep[page 7]{who2024}", []),
    ],
)
def test_a_result_that_is_typed_is_found_and_a_definition_is_not(text, found):
    """Fails where a typed result would pass, or a statement's number would have to be a macro."""
    assert [number for _, number in check.typed_numbers(text)] == found


def test_a_typed_number_is_told_with_its_line_and_formulas_may_have_some_among_the_proofs():
    """Fails where the preamble, a comment or a formula shifts the lines, or text among formulas is not read."""
    text = "\\setlength{\\x}{6pt}\n\\begin{document}\n% 7\n\\begin{equation}\n 8\n\\end{equation}\n9 percent\n"
    assert list(check.typed_numbers(text)) == [(5, "8"), (7, "9")]
    assert list(check.typed_numbers(text, formulas=True)) == [(7, "9")]


def test_every_entry_is_cited_once_and_complete():
    """Fails where an entry nobody cites, a citation of nothing, a second entry or a missing year would pass."""
    entry = "@article{%s,\n  author = {A},\n  title = {T},\n  journal = {J}%s\n}\n"
    whole = entry % ("a", ",\n  year = {2020}")
    assert list(check.bibliography("\\citep[see][page 3]{a}", whole)) == []
    for texts, entries, word in (
        ("", whole, "got a in one"),
        ("\\cite{a,b}", whole, "got b in one"),
        ("\\cite{a}", whole + whole, "once"),
        ("\\cite{a}", entry % ("a", ""), "must have year"),
    ):
        (fault,) = check.bibliography(texts, entries)
        assert word in fault


def test_the_log_of_a_build_tells_undefined_references_and_many_overfull_boxes():
    """Fails where a name that TeX broke over two lines is missed, or the tenth overfull box passes."""
    broken = "LaTeX Warning: Reference `stmt:one-bud\nget' on page 1 undefined on input line 3.\n"
    cited = "Package natbib Warning: Citation `who2024' on page 2 undefined on input line 4.\n"
    (fault,) = check.log(broken + cited + broken)
    assert "got stmt:one-budget, who2024;" in fault
    box = "Overfull \\hbox (3.5pt too wide) in paragraph at lines 2--124\n"
    assert list(check.log(9 * box)) == []
    assert "got 10;" in next(iter(check.log(10 * box)))


def test_every_statement_stands_in_the_order_of_its_number_and_is_proved():
    """Fails where a statement is missing, out of order or without proof: numbers are those of the tests."""
    parts = (ROOT / "paper" / "theory.tex").read_text().split("\\begin{statement}")[1:]
    labels = [re.search(r"\\label\{(stmt:[\w-]+)\}", part)[1] for part in parts]
    assert len(parts) == 22
    for statement in STATEMENTS:
        assert labels[statement.number - 1] == statement.label
    assert all("\\begin{proof}" in part for part in parts)
    assert "setcounter{statement}" not in "".join(parts)


def test_without_tex_make_paper_says_one_sentence(tmp_path):
    """Fails where a clone without TeX gets a shell's error, or starts to install something."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not on the path")
    command = [make, "--no-print-directory", "-C", ROOT, "paper"]
    done = subprocess.run(
        command, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("make paper: latexmk is not on the path; install TeX Live")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
