"""What is shown while a workflow runs: a line for each job, which tells how far it is, and one for what is left.

On a terminal the lines of running jobs are drawn in place; elsewhere a line is written for each job that ends, and now
and then one for each that runs. What a job says of itself is the last line of its own log.
"""

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

EVERY = 60.0  # seconds between two lines of a running job, where lines are not drawn in place
_TAIL = 4096  # bytes of a log that are read for its last line
_GATHERS = "all"  # the rule that asks for everything and does nothing


@dataclass
class Job:
    """A job that runs: its rule, what it does in words, its log, and when it began (seconds)."""

    rule: str
    what: str
    log: Path | None
    began: float


class Progress:
    """Shows events of `analysis.events` as they come.

    failed: the jobs that did. n_jobs, n_done: of the workflow, as far as it is known.
    """

    def __init__(self, out: TextIO) -> None:
        self.failed: list[Job] = []
        self.n_jobs = self.n_done = 0
        self._out, self._in_place = out, out.isatty()
        self._left: Counter[str] = Counter()
        self._running: dict[int, Job] = {}
        self._n_drawn = 0
        self._began = self._told = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been shown."""
        return time.monotonic() - self._began

    def take(self, event: Mapping[str, Any]) -> None:
        """One event: change what is shown, with a line that stays for a job that ended."""
        match event["event"]:
            case "planned":
                self._left = Counter({rule: n for rule, n in event["jobs"].items() if rule not in (_GATHERS, "total")})
                self.n_jobs = self._left.total()
            case "began" if event["rule"] != _GATHERS:
                log = Path(event["log"]) if event["log"] else None
                what = event["what"] or event["rule"].replace("_", " ")
                self._running[event["job"]] = Job(event["rule"], what, log, time.monotonic())
            case "ended" if event["job"] in self._running:
                job = self._running.pop(event["job"])
                self._left[job.rule] -= 1
                self.n_done += 1
                self._stay(f"{self.n_done:>3} of {self.n_jobs}  {clock(time.monotonic() - job.began)}  {job.what}")
            case "failed" if event["job"] in self._running:
                job = self._running.pop(event["job"])
                self.failed.append(job)
                self._stay(f"   failed  {clock(time.monotonic() - job.began)}  {job.what}")
        self.draw()

    def draw(self) -> None:
        """Show what runs now and what is left, where that is due."""
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1
            lines = [*self._now(width // 2), f"{clock(self.seconds).strip()} so far, {self.left()}"]
            self._out.write(self._wipe() + "".join(f"{line[:width]}\n" for line in lines))
            self._n_drawn = len(lines)
            self._out.flush()
        elif self._running and time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            self._out.write("".join(f"{line}\n" for line in [*self._now(), self.left()]))
            self._out.flush()

    def _now(self, width: int | None = None) -> list[str]:
        """A line for each job that runs: how long it has, what it does, in so many signs at most, and how far it is."""
        lines = []
        for job in self._running.values():
            how_far = last_line(job.log)
            what = f"{job.what[:width]}: {how_far}" if how_far else job.what
            lines.append(f"{'':>9}  {clock(time.monotonic() - job.began)}  {what}")
        return lines

    def close(self) -> None:
        """Take the lines away that were drawn in place."""
        self._out.write(self._wipe())
        self._out.flush()
        self._n_drawn = 0

    def left(self) -> str:
        """How many jobs of which rules are not done, in words."""
        left = {rule: n for rule, n in self._left.items() if n > 0}
        if not self.n_jobs:
            return "looking for what is to be done"
        told = ", ".join(f"{n} {rule.replace('_', ' ')}" for rule, n in left.items())
        return f"{self.n_done} of {self.n_jobs} jobs done" + (f", left: {told}" if told else "")

    def _stay(self, line: str) -> None:
        self._out.write(f"{self._wipe()}{line}\n")
        self._n_drawn = 0
        self._told = time.monotonic()

    def _wipe(self) -> str:
        """The signs that take a terminal back to where the lines in place began, and clear them."""
        return f"\x1b[{self._n_drawn}F\x1b[J" if self._n_drawn else ""


def clock(seconds: float) -> str:
    """Minutes and seconds, in five places or more."""
    return f"{int(seconds) // 60:>2}:{int(seconds) % 60:02}"


def last_line(path: Path | None) -> str:
    """The last line of a file that another process writes, "" where it has none yet."""
    return next(iter(last_lines(path, 1)), "")


def last_lines(path: Path | None, n: int) -> list[str]:
    """The last lines of a file that are not empty, at most n; none where it is not there."""
    if path is None or not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        text = file.read().decode(errors="replace")
    return [line.rstrip() for line in text.replace("\r", "\n").split("\n") if line.strip()][-n:]
