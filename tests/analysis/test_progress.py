"""One sees which jobs run, how far each is, which ended and which failed, and what is left."""

import io
import logging

import pytest

from analysis import progress
from analysis.events import event
from analysis.progress import Progress, last_lines

PLANNED = {"event": "planned", "jobs": {"decode": 2, "tabulate": 1, "all": 1, "total": 4}}


def began(job, rule="decode", log=None):
    return {"event": "began", "job": job, "rule": rule, "what": f"the {rule} of {job}", "log": log}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(out):
    """What a terminal shows after what was written to it: lines are taken back, then all below is cleared."""
    lines = []
    for piece in out.getvalue().split("\x1b["):
        n, is_back, rest = piece.partition("F")
        if is_back and n.isdigit():
            lines = lines[: len(lines) - int(n)]
            piece = rest
        lines += [line for line in piece.removeprefix("J").split("\n") if line]
    return lines


def test_on_a_terminal_running_jobs_are_drawn_in_place_and_ended_ones_stay(tmp_path):
    """Fails where lines pile up, a job that runs is not seen, or one that ended is lost."""
    log = tmp_path / "log"
    log.write_text("run 1 of 2: 3 of 8 questions\nrun 2 of 2: 5 of 8 questions\n")
    out = Terminal()
    seen = Progress(out)
    for told in (PLANNED, began(1), began(2, log=str(log)), {"event": "ended", "job": 1}):
        seen.take(told)
        seen.draw()
    ended, running, left = shown(out)
    assert ended == "  1 of 3   0:00  the decode of 1"
    assert running.strip() == "0:00  the decode of 2: run 2 of 2: 5 of 8 questions"
    assert left == "0:00 so far, 1 of 3 jobs done, left: 1 decode, 1 tabulate"
    seen.close()
    assert shown(out) == [ended]


def test_in_a_log_a_job_that_ends_is_a_line_and_one_that_runs_now_and_then(monkeypatch):
    """Fails where a log of CI fills with a line for each look, or is silent for an hour."""
    out = io.StringIO()
    seen = Progress(out)
    for told in (PLANNED, began(1), began(2), {"event": "ended", "job": 2}):
        seen.take(told)
        seen.draw()
    assert out.getvalue() == "  1 of 3   0:00  the decode of 2\n"
    monkeypatch.setattr(progress, "EVERY", -1)
    seen.draw()
    assert out.getvalue().splitlines()[1:] == [
        "            0:00  the decode of 1",
        "1 of 3 jobs done, left: 1 decode, 1 tabulate",
    ]


def test_the_rule_that_asks_for_all_is_no_job():
    """Fails where nothing done is shown as a job done."""
    out = io.StringIO()
    seen = Progress(out)
    for told in ({"event": "planned", "jobs": {"all": 1, "total": 1}}, began(0, "all"), {"event": "ended", "job": 0}):
        seen.take(told)
    assert (seen.n_jobs, seen.n_done, out.getvalue()) == (0, 0, "")


def test_a_job_that_fails_is_told_at_once_and_kept():
    """Fails where one would learn of it only when the others have ended."""
    out = io.StringIO()
    seen = Progress(out)
    for told in (PLANNED, began(1, log="some.log"), {"event": "failed", "job": 1}):
        seen.take(told)
    assert out.getvalue() == "   failed   0:00  the decode of 1\n"
    assert [(job.what, str(job.log)) for job in seen.failed] == [("the decode of 1", "some.log")]


def test_the_last_lines_of_a_long_log_are_read_from_its_end(tmp_path):
    """Fails where a bar that is drawn anew with carriage returns is one line, or an empty last line is the last."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 10_000 + b"\none\r\ntwo: 1\rtwo: 2\n\n")
    assert last_lines(path, 3) == ["one", "two: 1", "two: 2"]
    assert last_lines(tmp_path / "none", 3) == last_lines(None, 3) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"event": "run_info", "stats": {"decode": 1}}, {"event": "planned", "jobs": {"decode": 1}}),
        (
            {"event": "job_info", "jobid": 3, "rule_name": "decode", "rule_msg": None, "log": ["a.log"]},
            {"event": "began", "job": 3, "rule": "decode", "what": None, "log": "a.log"},
        ),
        ({"event": "job_finished", "job_id": 3}, {"event": "ended", "job": 3}),
        ({"event": "job_error", "jobid": 3}, {"event": "failed", "job": 3}),
        ({"event": "shellcmd"}, None),
        ({}, None),
    ],
)
def test_snakemake_s_events_are_told_as_they_are_shown(told, expected):
    """Fails where Snakemake calls an event, or what it tells of it, otherwise."""
    common = pytest.importorskip("snakemake_interface_logger_plugins.common")
    record = logging.makeLogRecord(told | ({"event": common.LogEvent(told["event"])} if told else {}))
    assert event(record) == expected
