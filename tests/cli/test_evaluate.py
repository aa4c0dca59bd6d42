"""`proxyalign evaluate` on the shipped pair: what it prints, what it leaves behind, and how it goes on."""

import json
import shutil
import signal
import subprocess
import sysconfig
import time
from importlib.resources import files
from pathlib import Path

import pytest

from proxyalign.evaluation import read_records

LAB = ("evaluate", "--pair", "lab", "--task", "lab-math", "--limit", "3", "--max-new-tokens", "6")


ARC = {
    "question": {
        "stem": "What is red?",
        "choices": [{"label": label, "text": text} for label, text in zip("ABC", ("sky", "sea", "rose"), strict=True)],
    }
}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_answer_comes_first_and_each_run_has_a_line(command, tmp_path):
    """Fails when the table leaves out a run, or the hint of what to do next is not one of this command's rules."""
    grid = ("--rule", "dual", "--grid", "alpha=0.2,0.4", "--mode", "speculative", "--split", "dev")
    code, out, err = command(*LAB, *grid, "--out", tmp_path / "out")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("dual(alpha=0.")
    assert "of 3 right" in lines[0]
    assert [line.split()[0] for line in lines[3:]] == ["dual(alpha=0.2)", "dual(alpha=0.4)"]
    assert "--split test" in err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    for run in summary["runs"]:
        records = read_records(tmp_path / "out" / run["folder"] / "records.jsonl")
        assert len(records) == run["n"] == 3
        assert run["n_tokens"] == sum(record["n_tokens"] for record in records)


def test_json_stands_alone_and_is_the_summary(command, tmp_path):
    """Fails when anything but one JSON object reaches stdout, or it differs from the file."""
    code, out, err = command(*LAB, "--rule", "primal", "--budget", "0.5", "--out", tmp_path / "out", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert json.loads(out)["runs"][0]["parameters"] == {"budget": 0.5}
    assert json.loads(out)["runs"][0]["acceptance_rate"] is None


def test_the_grid_may_be_over_any_parameter_beside_fixed_ones(command, tmp_path):
    """Fails when a rule's other parameters are dropped, or the hint does not ask for the rule that won."""
    grid = ("--rule", "top-k", "--grid", "k=1,2", "--set", "min_keep=0", "--out", tmp_path / "out")
    code, out, err = command(*LAB, *grid)
    assert code == 0
    assert [line.split("  ")[0] for line in out.splitlines()[3:]] == [f"top-k(k={k}, min_keep=0)" for k in (1, 2)]
    runs = json.loads((tmp_path / "out" / "summary.json").read_text())["runs"]
    assert [run["parameters"] for run in runs] == [{"k": 1, "min_keep": 0}, {"k": 2, "min_keep": 0}]
    assert "--rule top-k --set k=1.0 --set min_keep=0.0" in err or "--set k=2.0 --set min_keep=0.0" in err


def test_a_reference_is_part_of_the_run(command, tmp_path):
    """Fails when the reference is not read, or records with another one are taken for the same run's."""
    lab = files("proxyalign.models") / "lab" / "weights"
    options = (*LAB, "--rule", "implicit-reward", "--out", tmp_path / "out", "--json", "--reference")
    code, out, _ = command(*options, lab / "proxy")
    assert code == 0
    assert json.loads(out)["settings"]["pair"] == f"lab + {lab / 'proxy'}"
    assert command(*options, lab / "base")[0] == 2


def test_the_proxy_may_read_chats(command, tmp_path):
    """Fails when the option does not reach the run, its prompts are not seen to be too long, or the hint forgets it."""
    lab = files("proxyalign.models") / "lab" / "weights"
    for role in ("base", "proxy"):
        shutil.copytree(lab / role, tmp_path / role)
    options = ("--base", tmp_path / "base", "--proxy", tmp_path / "proxy", *LAB[3:], "--rule", "never", "--proxy-chat")
    template = tmp_path / "proxy" / "chat_template.jinja"
    template.write_text("{% for message in messages %}{{ message.content * 200 }}{% endfor %}")
    code, _, err = command("evaluate", *options, "--out", tmp_path / "out")
    assert code == 2
    assert "prompt and reply must fit" in err
    assert not (tmp_path / "out").exists()
    template.write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    code, _, err = command("evaluate", *options, "--out", tmp_path / "out")
    assert code == 0
    assert "--proxy-chat" in err
    settings = json.loads((tmp_path / "out" / "summary.json").read_text())["settings"]
    assert (settings["proxy_chat"], settings["base_chat"]) == (True, False)
    code, _, err = command("evaluate", *options[:-1], "--base-chat", "--out", tmp_path / "both", "--split", "dev")
    assert code == 0
    assert "--base-chat" in err
    settings = json.loads((tmp_path / "both" / "summary.json").read_text())["settings"]
    assert (settings["proxy_chat"], settings["base_chat"]) == (True, True)


def test_the_authors_tempering_can_be_asked_for(command, tmp_path):
    """Fails when the rule's temperature is lost: at 0 it defers nothing, which leaves the base alone."""
    options = ("--temperature", 0, "--json", "--out")
    told = [
        json.loads(command(*LAB, *rule, *options, tmp_path / name)[1])["runs"][0]["deferral_rate"]
        for name, rule in {
            "ours": ("--rule", "dual", "--alpha", 0.9),
            "theirs": ("--rule", "dual", "--alpha", 0.9, "--rule-temperature", 0),
        }.items()
    ]
    assert told[0] > 0 == told[1]


def test_the_same_command_again_changes_nothing_and_another_batch_size_no_record(command, tmp_path):
    """Fails when a finished run is decoded again, or the batch size is taken for a setting of the run."""
    options = (*LAB, "--rule", "nudging", "--alpha", "0.4", "--rows", "5", "--out", tmp_path / "out", "--json")
    first = command(*options)
    before = contents(tmp_path)
    assert command(*options, "--batch-size", "1") == first
    assert contents(tmp_path) == before


def test_other_settings_and_other_values_are_refused_for_a_used_folder(command, tmp_path):
    """Fails when a second command overwrites or extends the first one's results."""
    grid = (*LAB, "--rule", "dual", "--out", tmp_path / "out")
    assert command(*grid, "--grid", "alpha=0.2")[0] == 0
    before = contents(tmp_path)
    for change in (
        ("--grid", "alpha=0.4"),
        ("--grid", "alpha=0.2", "--seed", "1"),
        ("--alpha", "0.2", "--window", "3"),
    ):
        code, out, err = command(*grid, *change)
        assert (code, out) == (2, "")
        assert "made with other settings" in err
    assert contents(tmp_path) == before


def test_another_lab_pair_is_asked_about_its_own_world(command, tmp_path, monkeypatch):
    """Fails when `--pair FOLDER` puts the shipped pair's questions to a pair that was trained on another world."""
    asked = []
    monkeypatch.setattr("proxyalign.evaluation.prepare", lambda runs, out, *, data, **_: asked.append(data))
    monkeypatch.setattr("proxyalign.evaluation.run_grid", lambda *_, data, **__: asked.append(data) or {})
    monkeypatch.setattr("proxyalign.models.load_pair", lambda *_, **__: None)
    (tmp_path / "lab.json").write_text("{}")
    chosen = ("--rule", "never", "--out", tmp_path / "out", "--json")
    command("evaluate", "--pair", tmp_path, "--task", "lab-facts", *chosen)
    command("evaluate", "--pair", tmp_path, "--task", "gsm8k", *chosen)
    command("evaluate", "--pair", tmp_path, "--task", "lab-facts", "--data", tmp_path.parent, *chosen)
    assert asked == [tmp_path, tmp_path, None, None, tmp_path.parent, tmp_path.parent]


def test_shards_merge_into_the_folder_that_they_are_in(command, tmp_path):
    """Fails when the options do not reach the run, a merge decodes, or its table is not the single run's."""
    options = (*LAB, "--rule", "dual", "--grid", "alpha=0.2,0.4", "--batch-size", "2")
    for shard in ("1/2", "2/2"):
        code, _, err = command(*options, "--out", tmp_path / "out", "--shard", shard)
        assert code == 0
        assert f"--out {tmp_path / 'out'} --merge" in err
    code, out, _ = command(*options, "--out", tmp_path / "out", "--merge", "--json")
    assert code == 0
    assert command(*options, "--out", tmp_path / "single")[0] == 0
    merged, single = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("out", "single"))
    assert json.loads(out) == merged
    for run in (*merged["runs"], *single["runs"]):
        del run["seconds"], run["tokens_per_second"]
    assert merged == single
    code, _, err = command(*options, "--out", tmp_path / "out", "--merge", "--seed", "1")
    assert (code, "got seed 0 there and 1 here" in err) == (2, True)
    code, _, err = command(*options, "--out", tmp_path / "out", "--merge", "--shard", "1/2")
    assert (code, "--merge must come without --shard, got --shard 1/2" in err) == (2, True)
    code, _, err = command(*options, "--out", tmp_path / "new", "--shard", "3/2")
    assert (code, "shard must be i/n" in err) == (2, True)


def test_a_choice_task_is_compared_and_not_decoded(command, tmp_path):
    """Fails when a table of likelihoods tells of a mode or of drafts, or leaves out measures, groups and editions."""
    folder = tmp_path / "data" / "arc"
    folder.mkdir(parents=True)
    (folder / "ARC-Challenge-Test.jsonl").write_text(
        "".join(json.dumps(ARC | {"id": f"q{n}", "answerKey": "ABC"[n % 3]}) + "\n" for n in range(4))
    )
    options = ("evaluate", "--task", "arc-challenge", "--rule", "never", "--data", tmp_path / "data", "--out")
    code, out, err = command(*options, tmp_path / "out")
    assert (code, "on arc-challenge test, likelihoods of the choices\n" in out) == (0, True)
    assert "accepted/cycle" not in out
    assert "acc_norm" in out
    assert "files of an edition that the task does not know: arc/ARC-Challenge-Test.jsonl" in err
    code, _, err = command(*options, tmp_path / "two", "--mode", "speculative")
    assert (code, err.count("\n")) == (2, 1)
    assert "mode must be autoregressive for arc-challenge, whose choices are read and not decoded" in err


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_records_and_the_same_command_goes_on(command, tmp_path):
    """Fails when an interruption loses records, prints a traceback, or does not say how to go on."""
    options = ["evaluate", "--task", "lab-math", "--rule", "never", "--limit", "200", "--batch-size", "1", "--out"]
    start = [Path(sysconfig.get_path("scripts")) / "proxyalign", *options, str(tmp_path / "out"), "--json"]
    process = subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    waited = time.monotonic()
    # A record that is being written when the signal comes is taken back, the first of two is on the disk.
    while sum(path.read_bytes().count(b"\n") for path in tmp_path.glob("out/*/records.jsonl")) < 2:
        assert process.poll() is None
        assert time.monotonic() - waited < 300
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    path = next(tmp_path.glob("out/*/records.jsonl"))
    kept = read_records(path)
    assert (process.returncode, out) == (130, "")
    assert err.count("\n") == 1
    assert "run the same command again to go on" in err
    assert 0 < len(kept) < 200
    code, out, _ = command(*options, tmp_path / "out", "--json", "--batch-size", "16")
    assert code == 0
    assert read_records(path)[: len(kept)] == kept
    assert json.loads(out)["runs"][0]["n"] == 200
