"""`proxyalign report`: a file where it was asked for, JSON alone, one sentence for a mistake, and traces to show."""

import json

from written_runs import write_run

from proxyalign.evaluation import read_records


def test_a_report_lands_where_it_was_asked_for(command, tmp_path):
    """Fails when the file's name or size is not told, or JSON does not stand alone."""
    runs = [write_run(tmp_path / rule, "10", rule=rule) for rule in ("never", "dual")]
    code, out, err = command("report", *runs, "-o", tmp_path / "a.html")
    assert code == 0
    assert out.startswith(f"{tmp_path / 'a.html'}: 0.0 MB")
    assert "browser" in err
    code, out, err = command("report", *runs, "-o", tmp_path / "b.html", "--reference", "dual", "--json")
    assert (code, err) == (0, "")
    page = (tmp_path / "b.html").read_bytes()
    assert json.loads(out) == {"report": str(tmp_path / "b.html"), "n_bytes": len(page)}
    assert b"dual (reference)" in page


def test_a_mistake_is_one_sentence_and_leaves_no_file(command, tmp_path):
    """Fails when a folder without a run is a traceback, or half a report is left."""
    code, out, err = command("report", tmp_path / "nowhere", "-o", tmp_path / "a.html")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "a.html").exists()


def test_evaluate_keeps_traces_that_spell_the_replies(command, tmp_path):
    """Fails when --traces keeps nothing, or pieces whose text is another than the reply's."""
    options = ("--task", "lab-math", "--limit", "3", "--max-new-tokens", "6", "--rule", "dual", "--alpha", "0.4")
    assert command("evaluate", *options, "--traces", "--out", tmp_path / "runs")[0] == 0
    run = next(path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    for record in read_records(run / "records.jsonl"):
        trace = record["trace"]
        assert len(trace["pieces"]) == len(trace["source"]) == len(trace["p_y"]) == record["n_tokens"]
        assert "".join(trace["pieces"]).startswith(record["reply"])
        assert abs(sum(trace["deferral_mass"]) - record["deferral_mass"]) < 0.01
    assert command("report", tmp_path / "runs", "-o", tmp_path / "a.html")[0] == 0
    assert "questions are not shown" not in (tmp_path / "a.html").read_text()
