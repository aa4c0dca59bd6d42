"""`make reproduce` shows what Snakemake does, ends with what it leaves behind, and leaves no process behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from analysis.progress import Job, Progress
from analysis.reproduce import alone, failure, found, main, places, renewed

ROOT = Path(__file__).parent.parent.parent
GUARDED = """
import subprocess, time
from analysis.reproduce import ended_with_this
work = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], start_new_session=True)
with ended_with_this(work.pid):
    print("guarded", flush=True)
    time.sleep({seconds})
"""


def is_there(pid):
    """Whether a process runs; one that ended and that nobody waits for does not."""
    path = Path(f"/proc/{pid}/stat")
    return path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux which processes run")
@pytest.mark.parametrize("ends_by_itself", [True, False])
def test_no_job_outlives_the_process_that_shows_it(ends_by_itself):
    """Fails where a kill -9 leaves a decoding job behind, which would write beside the next one."""
    code = GUARDED.format(seconds=2 if ends_by_itself else 600)
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as shown:
        job = int(next(line for line in (shown.stdout.readline(), shown.stdout.readline()) if line.strip().isdigit()))
        assert is_there(job)
        if not ends_by_itself:
            shown.kill()
        shown.wait()
        deadline = time.monotonic() + 300
        while is_there(job) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not is_there(job)


def test_two_may_not_write_to_one_folder_at_a_time(tmp_path):
    """Fails where a second reproduction mixes its results into the first's, or waits for a lock of one that ended."""
    here, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    with alone(here) as one, alone(here) as other, alone(elsewhere) as third:
        assert (one, other, third) == (True, False, True)
    with alone(here) as again:
        assert again


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results of a profile that is called some, from where they are looked for."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results", "some")
    for name in ("figures", "paper", "record"):
        (folder / name).mkdir(parents=True)
    return folder


def test_what_failed_is_told_with_the_end_of_its_own_log(results):
    """Fails where one has to look for the log of the job, or is shown the workflow's in its place."""
    for name in ("job", "whole"):
        (results / f"{name}.log").write_text("".join(f"{name} {n}\n" for n in range(50)))
    progress = Progress(sys.stdout)
    assert "the workflow failed" in failure(progress, results / "whole.log")
    assert "whole 49" in failure(progress, results / "whole.log")
    progress.failed.append(Job("decode", "decoding some", results / "job.log", 0.0))
    told = failure(progress, results / "whole.log")
    assert told.startswith("reproduce: decoding some failed; the last lines of results/some/job.log:\n    job ")
    assert "job 49" in told
    assert "whole 49" not in told


def test_the_end_says_where_everything_is(results):
    """Fails where a product is not named, or one is that the profile does not make."""
    for name in ("gap_vs_speedup", "window"):
        (results / "figures" / f"{name}.png").touch()
    whole = {"tasks": ["lab-facts"], "figures": "figures", "paper": "paper/generated"}
    assert places({"tasks": ["lab-facts"]}, results) == ["table    results/some/tables/runs.parquet"]
    assert places(whole, results) == [
        "table    results/some/tables/runs.parquet",
        "figures  results/some/figures/gap_vs_speedup.png and 1 other",
        "report   results/some/report/lab-facts.html",
        "PDF      paper/main.pdf, of the recorded numbers; latexmk sets one of these",
    ]
    (results / "paper.pdf").touch()
    assert places(whole, results)[-1] == "PDF      results/some/paper.pdf"


def test_the_end_says_how_many_numbers_are_the_recorded_ones(results):
    """Fails where another number passes, or more of them are listed than one reads."""

    def record(share):
        key = {"task": "t", "engine": "proxyalign", "mode": "m", "window": 1, "rule": "r", "variant": ""}
        speed = [key | {"parameter": n, "speedup": 1.5, "n_tokens": 5, "acceptance_rate": share} for n in range(20)]
        return json.dumps({"speed": speed})

    assert found({}, results) == ["no numbers of this profile are recorded"]
    profile = {"record": "kept"}
    assert "recorded yet" in found(profile, results)[0]
    Path("kept").mkdir()
    Path("kept", "runs.json").write_text(record(0.5))
    (results / "record" / "runs.json").write_text(record(0.5))
    first, *_, speeds = found(profile, results)
    assert first.startswith("40 of 40 numbers equal the recorded ones")
    assert "1.50 (1.50)" in speeds
    (results / "record" / "runs.json").write_text(record(0.6))
    lines = found(profile, results)
    assert lines[0].startswith("20 of 40 numbers equal the recorded ones")
    assert lines[1].strip() == "t proxyalign m 1 r 0, acceptance_rate: 0.6, recorded 0.5"
    assert "8 others" in lines[13]


def test_renewing_copies_what_is_kept_and_leaves_the_rest(results):
    """Fails where files that others wrote are lost, or equal ones are written anew."""
    (results / "figures" / "some.png").write_text("new")
    (results / "paper" / "numbers.tex").write_text("same")
    Path("generated").mkdir()
    Path("generated", "numbers.tex").write_text("same")
    Path("generated", "other.tex").write_text("other")
    assert renewed({"figures": "figures", "paper": "generated"}, results) == [
        "renewed figures: 1 of 1 files are others now",
        "renewed generated: 0 of 1 files are others now",
    ]
    assert Path("figures", "some.png").read_text() == "new"
    assert sorted(path.name for path in Path("generated").iterdir()) == ["numbers.tex", "other.tex"]


@pytest.fixture
def failing(tmp_path):
    """A profile whose pair is not there, so that its first job fails."""
    profile = yaml.safe_load((ROOT / "analysis" / "config" / "smoke.yaml").read_text())
    del profile["figures"], profile["paper"], profile["record"], profile["speed"]
    profile |= {"name": "never_reproduced", "pair": str(tmp_path / "none"), "tasks": ["lab-math"], "runs_per_job": 99}
    path = tmp_path / "failing.yaml"
    path.write_text(yaml.safe_dump(profile))
    yield path
    shutil.rmtree(ROOT / "results" / "never_reproduced", ignore_errors=True)


def test_a_failing_job_ends_the_reproduction_with_one_message(failing):
    """Fails where Snakemake's pages are shown, its events come under other names, or the exit code says all is well."""
    done = subprocess.run(
        [sys.executable, "-m", "analysis.reproduce", failing, "--cores", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    (at_once,) = [line for line in done.stdout.splitlines() if line.startswith("   failed")]
    _, _, told = done.stdout.partition("reproduce: ")
    first, *_, why, last = told.splitlines()
    what = at_once.removeprefix("   failed").split(maxsplit=1)[1]
    assert what.startswith("decoding ")
    assert first.startswith(f"{what} failed; the last lines of results/never_reproduced/logs/decode/")
    assert str(failing.parent / "none") in why
    assert last.startswith("The whole log is results/never_reproduced/snakemake.log.")


@pytest.mark.parametrize("text", [None, "- 1", "pair: lab"])
def test_what_is_no_profile_is_told_in_a_sentence(tmp_path, monkeypatch, capsys, text):
    """Fails where a mistyped path ends in a traceback."""
    if text is not None:
        (tmp_path / "some.yaml").write_text(text)
    monkeypatch.setattr("sys.argv", ["reproduce", str(tmp_path / "some.yaml")])
    monkeypatch.chdir(tmp_path)
    assert main() == 2
    assert capsys.readouterr().out.startswith("reproduce: PROFILE must be a profile's file, got ")


def test_a_stopped_reproduction_says_how_it_goes_on(failing):
    """Fails where Ctrl-C or a kill ends in a traceback, or in processes that go on."""
    command = [sys.executable, "-m", "analysis.reproduce", str(failing)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as shown:
        log = ROOT / "results" / "never_reproduced" / "snakemake.log"
        deadline = time.monotonic() + 300
        while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)  # until Snakemake runs
        os.kill(shown.pid, signal.SIGTERM)
        said = shown.stdout.read()
    assert said.splitlines()[-1] == "reproduce: stopped; what is done is kept, and the same command goes on from there"
    assert shown.returncode == 130
