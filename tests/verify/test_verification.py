"""The verification as a whole: reproducible cases, its report, the command, and how a violation ends."""

import json
from pathlib import Path

import numpy as np
import pytest

from proxyalign.errors import InputError
from proxyalign.verify import run as runs
from proxyalign.verify.cases.recorded_laws import read_rows
from proxyalign.verify.claim_counts import FULL_ROWS, check, make_case, n_real
from proxyalign.verify.mutants import MUTANTS
from proxyalign.verify.mutants.hunt import hunt
from proxyalign.verify.mutants.mutation import mutated
from proxyalign.verify.report import save
from proxyalign.verify.statements import STATEMENTS

REPORT = {
    "version",
    "seed",
    "cases",
    "rows",
    "seconds",
    "violations",
    "survivors",
    "statements",
    "tightness",
    "mutants",
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Fourteen laws of 700 tokens in float32, as `proxyalign evaluate --rows` keeps them."""
    raw = np.random.default_rng(0).gamma(0.2, size=(14, 700))
    path = tmp_path_factory.mktemp("recorded") / "run" / "rows.npz"
    path.parent.mkdir()
    np.savez(path, p=(raw / raw.sum(-1, keepdims=True)).astype(np.float32), position=np.arange(14))
    return path


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.label)
def test_generated_cases_are_the_same_every_time_and_hold(statement):
    """Fails when a case depends on which process draws it, or a statement is violated."""
    for number in (0, 7):
        first, again = (make_case(statement, number, 40, 3, None).arrays() for _ in range(2))
        assert first.keys() == again.keys()
        assert all(np.array_equal(first[name], again[name]) for name in first)
    counts = check(statement, range(40), 40, 3, None)
    assert counts
    assert all(count.n_violations == 0 for count in counts.values())


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.label)
def test_recorded_rows_give_cases_of_some_tokens_and_of_all(statement, recorded):
    """Fails when rows that were recorded go unchecked, or a full vocabulary cannot be checked."""
    rows = read_rows(recorded)
    n = n_real(statement, rows)
    assert n == len(rows) + (min(FULL_ROWS, len(rows)) if statement.draw_row else 0)
    kinds = [make_case(statement, number, 0, 0, rows).kind for number in (0, n - 1)]
    assert kinds[0] == "recorded, some tokens"
    counts = check(statement, [0, 1, n - 1], 0, 0, rows)
    assert counts
    assert all(count.n_violations == 0 for count in counts.values())


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.label)
def test_a_statement_has_its_proof_and_its_test(statement):
    """Fails when the paper has no statement of this label, or no test file names it."""
    root = Path(__file__).parents[2]
    (test,) = (root / "tests" / "statements").glob(f"test_{statement.number:02d}_*.py")
    assert f"{statement.label} in paper/theory.tex" in test.read_text()
    assert f"\\label{{{statement.label}}}" in (root / "paper" / "theory.tex").read_text()


def test_the_command_reports_every_statement_and_keeps_instances_that_solve_reads(command, tmp_path, monkeypatch):
    """Fails when the report lacks a part, stdout has more than it, or an instance cannot be solved.

    One hunt stands for all mutants', each of which has its own test.
    """
    kill, hunted = hunt(MUTANTS[0]), []
    monkeypatch.setattr(runs, "hunt", lambda mutant, seed: hunted.append((mutant, seed)) or kill)
    code, out, err = command("verify", "--cases", 5, "--seed", 1, "--out", tmp_path / "out", "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer.keys() == REPORT
    assert answer == json.loads((tmp_path / "out" / "report.json").read_text())
    assert [one["statement"] for one in answer["statements"]] == [statement.number for statement in STATEMENTS]
    assert [one["label"] for one in answer["statements"]] == [statement.label for statement in STATEMENTS]
    assert all(one["cases"] == 5 and one["violations"] == 0 and one["claims"] for one in answer["statements"])
    assert [one["name"] for one in answer["mutants"]] == [mutant.name for mutant in MUTANTS]
    assert hunted == [(mutant, 1) for mutant in MUTANTS]
    assert answer["survivors"] == []
    assert all(0.0 < one["ratio"] <= 1.0 + 1e-12 for one in answer["tightness"])
    near = {one["claim"]: one["ratio"] for one in answer["tightness"]}
    assert near["OPT - G < 1/e"] > 0.999
    assert near["D <= A"] == 1.0
    for one in answer["statements"][:2] + answer["statements"][7:8]:
        code, solved, err = command("solve", "--probs", one["worst_instance"], "--json")
        assert code == 0, err
        assert json.loads(solved)["is_optimal"]


def test_one_statement_is_reported_in_a_table(command, tmp_path, recorded):
    """Fails when --statement runs others, recorded rows are not counted, or the verdict does not come first."""
    code, out, err = command(
        "verify", "--statement", 13, "--cases", 3, "--rows", recorded.parent.parent, "--out", tmp_path
    )
    assert code == 0, err
    assert out.startswith("0 violations in 31 cases; 2 of 2 mutants caught")
    assert "Plug-in error" in out
    assert "Sandwich" not in out


def test_a_violation_and_a_survivor_end_with_code_1(command, tmp_path, monkeypatch):
    """Fails when a broken function passes, its instance is not kept, or a mutant that survives is not told."""
    broken = next(mutant for mutant in MUTANTS if mutant.name == "residual: forgotten, a draw from pi")
    kill = hunt(broken)
    monkeypatch.setattr(runs, "hunt", lambda mutant, seed: kill)
    with mutated(broken):
        code, out, _ = command("verify", "--statement", 10, "--cases", 20, "--out", tmp_path)
    assert code == 1
    assert "VIOLATED: statement 10, the law of an emitted token is pi: Backend" in out
    assert "SURVIVED" not in out
    assert (tmp_path / "statement_10.npz").exists()
    monkeypatch.setattr(runs, "hunt", lambda mutant, seed: None)
    code, out, _ = command("verify", "--statement", 10, "--cases", 20, "--out", tmp_path)
    assert code == 1
    assert "SURVIVED: residual: forgotten, a draw from pi" in out


def test_the_report_does_not_depend_on_the_number_of_processes(monkeypatch, tmp_path):
    """Fails when a process draws other cases, a merge loses counts, or the first to end names the worst case."""

    def report():
        answer = save(runs.verify(13, n_cases=450, seed=5), tmp_path)
        return [{**one, "seconds": 0} for one in answer["statements"]], answer["mutants"]

    alone = report()
    monkeypatch.setattr(runs, "IN_PROCESS", 1)
    assert report() == alone
    monkeypatch.setattr(runs, "MOST_WAITING", 1)
    assert report() == alone


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--statement", "23"), ("23", "16, 17, 18")),
        (("--statement", "0"), ("0", "16, 17, 18")),
        (("--cases", "0"), ("cases", "at least 1")),
        (("--seed", "-1"), ("seed", "-1")),
        (("--rows", "nowhere"), ("'nowhere'", "--rows")),
    ],
)
def test_a_mistake_ends_in_one_sentence(command, tmp_path, options, fragments):
    """Fails for a traceback, another exit code, or files that are written all the same."""
    code, out, err = command("verify", "--out", tmp_path / "out", *options)
    assert (code, out) == (2, "")
    assert err.strip().count("\n") == 0
    for fragment in fragments:
        assert fragment in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arrays", "fragment"),
    [
        ({"x": np.full((4, 4), 0.25)}, "`P` or `p`"),
        ({"p": np.full(4, 0.25)}, "`P` or `p`"),
        ({"p": np.full((4, 4), 0.5)}, "got 2 in row 0"),
        ({"p": np.where(np.eye(4) > 0, np.nan, 0.25)}, "row 0"),
        ({"p": np.full((2, 4), 0.25)}, "at least 3"),
    ],
)
def test_rows_that_are_no_laws_are_refused(tmp_path, arrays, fragment):
    """Fails when logits, NaN or another file's arrays are taken for laws."""
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(InputError, match="verify: ") as refused:
        read_rows(tmp_path)
    assert fragment in str(refused.value)
