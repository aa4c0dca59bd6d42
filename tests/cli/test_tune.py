"""`proxyalign tune` on the shipped pair: what it prints, what it leaves behind, and how it refuses and goes on."""

import json
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from proxyalign.cli.tune_words import CLOCK

LAB = ("tune", "--task", "lab-facts", "--limit", "4", "--max-new-tokens", "12", "--batch-size", "4")


def test_json_stands_alone_is_the_file_and_comes_again(command, tmp_path):
    """Fails when more than one JSON object reaches stdout, the file is another, or a seed does not fix the trials."""
    options = (*LAB, "--alpha", "0.2:0.6", "--rules", "dual", "--trials", "3", "--json", "--out")
    code, out, err = command(*options, tmp_path / "a")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert answer == json.loads((tmp_path / "a" / "tuning.json").read_text())
    assert (answer["split"], answer["objective"], len(answer["trials"])) == ("dev", "accuracy", 3)
    assert answer["chosen"]["rule"] == "dual"
    again = json.loads(command(*options, tmp_path / "b")[1])
    told = [[(row["label"], row["accuracy"], row["n_tokens"]) for row in one["trials"]] for one in (answer, again)]
    assert told[0] == told[1]
    assert command(*options, tmp_path / "a")[1] == out  # nothing is decoded again, seconds and all


def test_a_pareto_search_draws_its_front_with_the_numbers_beside_it(command, tmp_path):
    """Fails when the figure or its numbers are missing, the clock is not called one, or the hint forgets the mode."""
    options = ("--objective", "pareto", "--alpha", "0.3,0.5", "--rules", "dual", "--windows", "3", "--trials", "3")
    code, out, err = command(*LAB, *options, "--out", tmp_path)
    assert code == 0
    assert "not beaten in both accuracy and tokens/s" in out
    assert CLOCK in err
    assert "--mode speculative --window 3" in err
    assert "--split test" in err
    numbers = json.loads((tmp_path / "pareto.json").read_text())
    assert {row["label"] for row in numbers["trials"]} >= set(numbers["front"]) > set()
    assert (tmp_path / "pareto.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_a_guarantee_names_the_last_setting_that_passes_and_its_p_values(command, tmp_path):
    """Fails when both promises are not kept at once, or a setting is chosen that was not promised. Replies of one token
    answer nothing, so that there is no harm, and any value passes."""
    options = ("--limit", "46", "--max-new-tokens", "1", "--guarantee", "harm<=0.05@0.9", "--alpha", "0.3,0.1,0.2")
    code, out, err = command(*LAB, *options, "--objective", "accuracy", "--out", tmp_path / "harm")
    assert code == 0
    assert out.startswith("dual(alpha=0.3), token by token, temperature 1\n")
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("dual(alpha=")][1:] == ["passes"] * 3
    assert f"{0.95**46:.2g}" in out
    assert "the objective accuracy gave way" in err
    both = (*options, "--guarantee", "tv<=0.5", "--out", tmp_path / "both", "--json")
    answer = json.loads(command(*LAB, *both)[1])
    assert answer["trust_region"]["k"] == 23
    within = [value for value in (0.1, 0.2, 0.3) if value <= answer["trust_region"]["alpha"]]
    assert (answer["chosen"] or {"parameter": None})["parameter"] == max(within, default=None)


def test_where_nothing_can_be_promised_it_says_how_many_questions_it_would_take(command, tmp_path):
    """Fails when too few questions are an error, or a promise all the same."""
    code, out, err = command(*LAB, "--guarantee", "harm<=0.05@0.9", "--guarantee", "tv<=0.1", "--out", tmp_path)
    assert code == 0
    assert out.startswith("no setting can be promised")
    assert "takes 45 without a single harm" in out
    assert "9 would do" in out
    assert "next" not in err


TUNE = "tune --task lab-facts --out new"
MISTAKES = {
    "test questions": (f"{TUNE} --split test", "split must be dev, got 'test'", "evaluate --split test"),
    "held-out questions": (f"{TUNE} --task svamp --split held-out", "split must be dev", "--split held-out"),
    "no task": ("tune --out new", "--task", "--help"),
    "unknown task": ("tune --task maths --out new", "'maths'"),
    "unknown objective": (f"{TUNE} --objective best", "'best'", "pareto"),
    "unknown guarantee": (f"{TUNE} --guarantee loss<=0.1", "'loss<=0.1'", "harm<=0.05@0.9"),
    "a share over 1": (f"{TUNE} --guarantee tv<=1.5", "1.5", "strictly between 0 and 1"),
    "a confidence over 1": (f"{TUNE} --guarantee harm<=0.05@2", "got 2.0", "strictly between 0 and 1"),
    "a guarantee of two rules": (f"{TUNE} --guarantee harm<=0.05@0.9 --rules dual,primal", "rules must be one"),
    "a threshold beside one": (f"{TUNE} --guarantee tv<=0.1 --alpha 0.1:0.2", "'0.1:0.2'", "drop it"),
    "a threshold for primal": (f"{TUNE} --guarantee tv<=0.1 --rules primal --budget 0.1", "rules must be dual"),
    "unknown rule": (f"{TUNE} --rules best", "'best'", "dual"),
    "no rules": (f"{TUNE} --rules ,", "rules must hold"),
    "a rule with other parameters": (f"{TUNE} --rules top-k", "needs k"),
    "a range that is turned": (f"{TUNE} --alpha 0.9:0.1", "0.9:0.1", "swap"),
    "a range of words": (f"{TUNE} --alpha low:high", "'low'", "0.05:0.9"),
    "a range out of its domain": (f"{TUNE} --alpha 0.5:1.5", "[0, 1]"),
    "a parameter of no rule": (f"{TUNE} --rules dual --budget 0.1", "--budget", "dual"),
    "half a draft": (f"{TUNE} --windows 1.5", "'1.5'", "whole numbers"),
    "windows under 0": (f"{TUNE} --windows -1", "-1", "at least 0"),
    "temperature under 0": (f"{TUNE} --temperatures -1", "-1", "temperature"),
    "no trials": (f"{TUNE} --trials 0", "trials", "0", "at least 1"),
    "no values of a range": (f"{TUNE} --guarantee harm<=0.05@0.9 --trials 0", "trials", "at least 1"),
    "a reference without harm": (f"{TUNE} --reference-rule always", "'always'", "guarantee of harm"),
    "a reference without its parameter": (
        f"{TUNE} --guarantee harm<=0.05@0.9 --reference-rule dual",
        "dual:alpha=0.1",
        "'dual'",
    ),
    "no questions": (f"{TUNE} --limit 0", "limit", "0"),
    "choices by speed": (f"{TUNE} --task mmlu-0shot --objective speed", "PROXYALIGN_DATA"),
    "a rule without its reference": (f"{TUNE} --rules implicit-reward", "needs a reference", "--reference"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(command, tmp_path, monkeypatch, name):
    """Fails when bad input ends in a traceback, or a folder is made for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROXYALIGN_DATA", raising=False)
    line, *told = MISTAKES[name]
    code, out, err = command(*line.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(text in err for text in told), err
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_is_stopped_goes_on_to_the_same_end(command, tmp_path, signal_sent):
    """Fails when a process that dies amid a trial leaves a study that cannot be gone on with, or goes elsewhere."""
    options = [*LAB, "--limit", "16", "--trials", "3", "--batch-size", "2", "--json", "--out"]
    start = [Path(sysconfig.get_path("scripts")) / "proxyalign", *options, str(tmp_path / "cut")]
    process = subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    waited = time.monotonic()
    while len(list(tmp_path.glob("cut/records/*/records.jsonl"))) < 2:
        assert process.poll() is None
        assert time.monotonic() - waited < 300
        time.sleep(0.02)
    process.send_signal(signal_sent)
    out, err = process.communicate(timeout=300)
    assert out == ""
    if signal_sent == signal.SIGINT:
        assert (process.returncode, err.count("\n")) == (130, 1)
    ends = [json.loads(command(*options, tmp_path / name)[1])["trials"] for name in ("cut", "whole")]
    labels = [[(row["label"], row["accuracy"], row["n_tokens"]) for row in rows] for rows in ends]
    assert labels[0] == labels[1]
    assert len(labels[0]) == 3
