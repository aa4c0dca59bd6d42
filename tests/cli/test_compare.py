"""`proxyalign compare`: the answer first, a line for each run, JSON alone, one sentence for what does not compare."""

import json

import pytest
from written_runs import write_run


@pytest.fixture
def runs(tmp_path):
    """A reference that is all wrong, a run that is all right, and one that helps one question and harms none."""
    verdicts = {"never": "00000000", "dual": "11111111", "gap": "10000000"}
    return [write_run(tmp_path / rule, right, rule=rule) for rule, right in verdicts.items()]


def test_the_answer_comes_first_and_each_run_has_a_line(command, runs):
    """Fails when the best run, its interval or the number of sure ones is another than the table's, or notes are not
    on stderr."""
    code, out, err = command("compare", *runs)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == (
        "gsm8k test, 8 questions: dual +100.0 points [+100.0, +100.0] against never, p (Holm) 0.016; 1 of 2 runs "
        "differ at 5 percent"
    )
    assert [line.split("  ")[0] for line in lines[3:]] == ["never (reference)", "dual", "gap"]
    assert "8 0 0.0078 0.0039 0.016 4.0" in " ".join(lines[4].split())
    assert "note: tokens/s is a clock" in err


def test_json_stands_alone(command, runs):
    """Fails when anything but one JSON object reaches stdout, or notes reach stderr."""
    code, out, err = command("compare", *runs, "--reference", "gap", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["results"] is None
    assert answer["comparison"]["reference"] == "gap"
    assert [run["run"] for run in answer["comparison"]["runs"]] == ["never", "dual"]


def test_questions_and_measures_are_shown_on_demand(command, runs):
    """Fails when a list is always there, never there, or of the wrong way."""
    code, out, _ = command("compare", *runs, "--questions", "--measures")
    assert code == 0
    assert "gap helps: q0\ngap harms: none" in out
    assert "distinct-1" in out
    plain = command("compare", *runs)[1]
    assert "helps: " not in plain
    assert "distinct-1" not in plain


def test_one_run_may_stand_beside_the_numbers_of_others(command, runs, tmp_path):
    """Fails when a table of other sources asks for a second run, or leaves ours out."""
    results = {"results": {"gsm8k": {"acc,none": 0.5}}, "n-samples": {"gsm8k": {"effective": 8}}}
    (tmp_path / "results_x.json").write_text(json.dumps(results))
    code, out, err = command("compare", runs[0], "--published", "--harness", tmp_path / "results_x.json")
    assert code == 0
    assert out.splitlines()[1].startswith("proxyalign ")
    assert "[21.5, 78.5]  8" in out
    assert "confidence-bet(alpha=0.2)" in out
    assert "not in the paper itself" in err
    both = json.loads(command("compare", *runs[:2], "--published", "--json")[1])
    assert both["comparison"]["n"] == 8
    assert both["results"]["rows"][0]["source"] == "proxyalign"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "at least two runs, got none"),
        (("never",), "at least two runs, got one"),
        (("never", "nowhere"), "must be a folder with records.jsonl"),
        (("never", "dual", "--reference", "best"), "got 'best'"),
        (("never", "shorter"), "q3 is not among the latter"),
        (("--harness", "nowhere.json"), "must be a file to read"),
    ],
)
def test_what_does_not_compare_is_one_sentence(command, runs, tmp_path, monkeypatch, arguments, told):
    """Fails when a mistake is a traceback, several lines, or exit code 0."""
    write_run(tmp_path / "shorter", "000", rule="dual")
    monkeypatch.chdir(tmp_path)
    code, out, err = command("compare", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("proxyalign: compare: ")
    assert told in err
    assert err.count("\n") == 1
