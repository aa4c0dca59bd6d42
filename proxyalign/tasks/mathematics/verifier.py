"""math-verify (github.com/huggingface/Math-Verify) in a process of its own, which works from any thread.

Its own time limits are alarms: they work in the main thread alone, and not within one long step of arithmetic.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from proxyalign.errors import InputError


def check_installed(owner: str) -> None:
    """Raise InputError where math-verify is not installed."""
    if find_spec("math_verify") is None:
        raise InputError(
            f"{owner}: math-verify must be installed to compare formulas, got none; "
            "install it with pip install 'proxyalign[benchmarks]'"
        )


@lru_cache(maxsize=4096)
def verified(reference: str, answer: str) -> bool:
    """Whether two LaTeX formulas are equal by math-verify as `worker` asks it; False where it cannot tell in time.

    Works in any thread. Raises InputError where math-verify is not installed, and nothing else.
    """
    check_installed("math500")
    return _worker.ask(reference, answer)


_SECONDS = 5.0  # of the processor's time for one comparison, so that a busy machine gives no other verdict


class Worker:
    """The process: started when it is first asked, and again after it ended on a comparison that took too long.

    seconds: of the processor's time that one comparison may take.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, reference: str, answer: str) -> bool:
        """Whether two LaTeX formulas are equal; False where they cannot be read or compared in time."""
        with self._lock:
            for _ in range(2):  # a process that somebody else ended is asked again in the next one
                process = self._process = self._process or _start(self._seconds)
                told = _exchange(process, json.dumps([reference, answer]))
                if told:
                    return told == "true\n"
                self._process = None
                if process.wait() == -signal.SIGVTALRM:  # the limit that it sets itself
                    return False
            return False

    def close(self) -> None:
        """End the process, if any."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _start(seconds: float) -> "subprocess.Popen[str]":
    package = str(Path(__file__).parents[3])
    paths = [package, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "proxyalign.tasks.mathematics.worker", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # Ctrl-C is for the evaluation, which closes this one as it ends
    )


def _exchange(process: "subprocess.Popen[str]", line: str) -> str:
    """The line that the process answers to `line`, nothing where it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline()
    except OSError:
        return ""


def _forget() -> None:
    """In a forked child: the process and the lock are the parent's, which are left as they are."""
    global _worker
    _inherited.append(_worker)
    _worker = Worker()


_worker = Worker()
_inherited: list[Worker] = []
atexit.register(lambda: _worker.close())
os.register_at_fork(after_in_child=_forget)
