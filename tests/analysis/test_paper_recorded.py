"""What the paper says of recorded results is read off the records, and each of it names its file and command."""

import json
import re
from pathlib import Path

import pytest

from analysis.experiments import paper_recorded
from analysis.experiments.paper_recorded import (
    RECORDED,
    RECORDS,
    commands,
    grouped,
    origins,
    promise_numbers,
    shortly,
    typed,
)
from analysis.experiments.recorded_tables import decoding_table, real_pair_table, solver_table

ROOT = Path(__file__).parent.parent.parent
PAPER = ROOT / "paper"
README = (ROOT / RECORDED / "README.md").read_text()
PROSE = {path.name: path.read_text() for path in sorted(PAPER.glob("*.tex"))}
ALL_PROSE = "".join(PROSE.values())


@pytest.fixture(scope="module")
def records():
    return {name: json.loads((ROOT / RECORDED / file).read_text()) for name, file in RECORDS.items()}


def test_the_kept_files_are_what_the_records_say(records):
    """Fails where a number was changed along with its digest, or a record was renewed without the paper."""
    for name, text in paper_recorded.texts(records, README, ALL_PROSE).items():
        assert (PAPER / "generated" / name).read_text() == text, f"run python -m {paper_recorded.__name__}"


def test_every_macro_of_the_text_is_defined():
    """Fails where the text names a number that no script writes, which only TeX would tell."""
    generated = "".join((PAPER / "generated" / name).read_text() for name in ("numbers.tex", "recorded.tex"))
    defined = set(re.findall(r"\\newcommand\{\\(\w+)\}", generated + PROSE["main.tex"]))
    used = {name for text in PROSE.values() for name in re.findall(r"\\([A-Z][a-z]\w*[a-z])\b", text)}
    assert "RealOurs" in used
    assert used - defined <= {"Lambda", "Bigl", "Bigr"}  # TeX's own


def test_tables_and_figures_have_their_origin_in_the_margin():
    """Fails where a table or figure lacks the link, or names one that is not defined."""
    defined = re.findall(r"\\origin\{(\w+)\}", (PAPER / "generated" / "origins.tex").read_text())
    for text in PROSE.values():
        for kind in ("table", "figure"):
            for body in re.findall(rf"\\begin{{{kind}}}(.*?)\\end{{{kind}}}", text, re.DOTALL):
                assert "\\from{" in body
        for names in re.findall(r"\\from\{([\w,]+)\}", re.sub(r"(?m)^%.*|\\newcommand.*", "", text)):
            assert set(names.split(",")) <= set(defined)


def test_an_origin_is_a_file_that_is_there_and_a_command_that_exists():
    """Fails where a margin links to nothing, or names a target or a module that is gone."""
    targets = re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text())
    found = re.findall(r"\\origin\{(\w+)\}\{([^}]+)\}\{.*?\}\{\\texttt\{(.*)\}\}", origins(commands(README), ALL_PROSE))
    assert len(found) > len(RECORDS)
    for _, file, command in found:
        assert (ROOT / file).is_file()
        first, *rest = command.replace("\\allowbreak ", "").replace("\\_", "_").split()
        if first == "make":
            assert rest[0] in targets
        elif first != "proxyalign":
            assert (ROOT / first.replace(".", "/")).with_suffix(".py").is_file()


def test_commands_are_read_from_the_table_of_records():
    """Fails where a second file of a cell loses its folder, or the margin names an option or an address."""
    table = "| file | what | again with |\n|---|---|---|\n"
    table += "| `a/one.json`, `two.json` | both | `make real`, then `proxyalign bench served http://x/v1 y --z` |\n"
    made = commands(table)
    assert made.keys() == {"a/one.json", "a/two.json"}
    assert shortly(made["a/two.json"]) == "proxyalign bench served"
    assert shortly("`python -m analysis.experiments.some_thing --out FILE`") == "analysis.experiments.some_thing"
    with pytest.raises(LookupError, match="must tell a command"):
        shortly("by hand")
    assert typed("a_b --c") == "\\texttt{a\\_\\allowbreak b -{}-c}"


def test_a_record_without_what_the_text_says_stops_the_build(records):
    """Fails where a table would be printed around a hole."""
    real = records["real_pair"]["runs"]
    with pytest.raises(LookupError, match="got 0"):
        real_pair_table([run for run in real if run["mode"] == "autoregressive"])
    with pytest.raises(LookupError, match="got 0"):
        decoding_table({"lab": {**records["lab"], "runs": []}}, 5)
    with pytest.raises(LookupError, match="at least one row"):
        solver_table({})


def test_tables_show_the_records_numbers():
    """Fails where a ratio is upside down, a column is shifted or an optimum within tolerance counts as none."""
    run = {"rule": "dual", "parameters": {"alpha": 0.3}, "boundaries": "any", "deferral_rate": 0.25}
    slow = {**run, "mode": "autoregressive", "tokens_per_second": 50.0, "acceptance_rate": None}
    fast = {**run, "mode": "speculative", "tokens_per_second": 75.0, "acceptance_rate": 0.8}
    assert "dual, $\\alpha = 0.3$ & 25.0 & 50 & 75 & 1.50 & 80.0 \\\\" in real_pair_table([slow, fast])
    one = {"solver": "exact", "n": 5, "certified": 3, "within_tolerance": 1, "wrong": 0, "unfinished": 1}
    summary = [{**one, "over_budget": 0, "median_seconds": 0.5, "worst_seconds": 60.0}]
    assert "exact & 5 & 4 & 0 & 1 & 0 & 0.50 & 60.00 \\\\" in solver_table({"rows": {"summary": summary}})
    assert grouped(1234567) == "1\\,234\\,567"


def test_a_promise_that_reaches_the_last_value_is_told_from_one_that_stops_and_from_none():
    """Fails where the text would say of a sequence that failed that it passed to its end."""
    one = {"eps": 0.05, "delta": 0.1, "values": [0.1, 0.4], "reference_accuracy": 0.2}
    promises = [{**one, "parameter": parameter} for parameter in (0.4, 0.1, None)]
    numbers = promise_numbers({"promises": promises})
    assert numbers == {
        "GuaranteeHarm": "5", "GuaranteeConfidence": "90", "GuaranteeAsked": "3", "GuaranteeWhole": "1",
        "GuaranteeNone": "1", "GuaranteeBaseRight": "20.0 to 20.0",
    }  # fmt: skip
