"""Reproduce a profile: `python -m analysis.reproduce analysis/config/quick.yaml`; `make reproduce` does it.

Snakemake decides what is to be done and does it; here is what one sees of it, and what was reproduced at the end.
All goes to results/<name>. With --renew what the repository keeps of it is copied there once all is done.
"""

import argparse
import fcntl
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import yaml

from analysis.events import ASKED
from analysis.progress import Progress, clock, last_lines
from analysis.reproduced import DIGITS, compare
from proxyalign.cli.common import table

ROOT = Path(__file__).parent.parent
KEPT = ("figures", "paper", "record")  # folders of results/<name>, by the profile's entry that says where each is kept
_READ = 65536
_OFTEN = 0.5  # seconds between two looks at the jobs' logs
_PATIENCE = 20.0  # seconds for jobs that are asked to stop
_SHOWN = 12  # lines of a failed job's log, and numbers that differ
_KEPT_PAPER = "paper/main.pdf"
_KEY_FIGURE = "gap_vs_speedup.png"


def main() -> int:
    """Run the workflow, show it and say what came of it; the exit code is 0 where all is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", type=Path, help="a file of analysis/config")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--renew", action="store_true", help="copy what the repository keeps to where it is kept")
    arguments = parser.parse_args()
    path = arguments.profile.resolve()
    os.chdir(ROOT)
    profile = yaml.safe_load(path.read_text()) if path.is_file() else None
    if not isinstance(profile, dict) or "name" not in profile:
        print(f"reproduce: PROFILE must be a profile's file, got {arguments.profile}; see analysis/config")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped in either way, the jobs are stopped too
    results = Path("results", profile["name"])
    with alone(results) as is_alone:
        if not is_alone:
            print(f"reproduce: {results} must be written by one at a time, got another that runs; let it end first")
            return 2
        return reproduce(path, profile, results, arguments.cores, arguments.renew)


def reproduce(path: Path, profile: Mapping[str, Any], results: Path, cores: int, renew: bool) -> int:
    """As `main`, by the only one that writes to the folder `results`."""
    log, progress = results / "snakemake.log", Progress(sys.stdout)
    try:
        code = follow(path, cores, log, progress)
    except KeyboardInterrupt:
        progress.close()
        print("reproduce: stopped; what is done is kept, and the same command goes on from there")
        return 130
    progress.close()
    if code:
        print(failure(progress, log))
        return 1
    what = (
        f"{progress.n_done} jobs in {clock(progress.seconds).strip()}" if progress.n_done else "nothing was to be done"
    )
    print(f"{profile['name']}: all is there ({what}); the workflow's log is {log}\n")
    print("\n".join(places(profile, results)) + "\n")
    print("\n".join(found(profile, results)))
    if renew:
        print("\n" + "\n".join(renewed(profile, results)))
    return 0


def follow(profile: Path, cores: int, log: Path, progress: Progress) -> int:
    """Run Snakemake on a profile and show it; its exit code. Where this ends in any way, its jobs end too."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "snakemake", "--snakefile", "analysis/Snakefile", "--configfile", str(profile)]
    command += ["--cores", str(cores), "--rerun-incomplete", "--nolock"]  # the folder is locked here
    with log.open("w") as file:
        workflow = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            pass_fds=[writing], env=os.environ | {ASKED: str(writing)},
        )  # fmt: skip
    with ended_with_this(workflow.pid), FileIO(reading) as events:
        os.close(writing)
        try:
            for event in _events(events, progress):
                progress.take(event)
            return workflow.wait()
        except KeyboardInterrupt:
            os.killpg(workflow.pid, signal.SIGINT)  # the jobs keep what they have
            with suppress(subprocess.TimeoutExpired):
                workflow.wait(_PATIENCE)
            raise


def _events(pipe: FileIO, progress: Progress) -> Iterator[dict[str, Any]]:
    """What the workflow tells until it ends; what is shown is drawn anew while it tells nothing."""
    begun = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(_OFTEN):
                progress.draw()
            elif read := pipe.read(_READ):
                *lines, begun = (begun + read).split(b"\n")
                yield from map(json.loads, lines)
            else:
                return


@contextmanager
def ended_with_this(group: int) -> Iterator[None]:
    """However this ends, a kill of this process included, the processes of the group are killed."""
    wait_and_kill = ["sh", "-c", 'read _; kill -s KILL -- "-$1" 2> /dev/null', "sh", str(group)]
    with subprocess.Popen(wait_and_kill, stdin=subprocess.PIPE, start_new_session=True):  # it reads until we end
        yield


@contextmanager
def alone(results: Path) -> Iterator[bool]:
    """Whether this is the only process that writes to a folder of results, as long as it lasts."""
    results.mkdir(parents=True, exist_ok=True)
    with (results / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def failure(progress: Progress, log: Path) -> str:
    """What failed and why, with the last lines of its log."""
    told = [(f"{job.what} failed", job.log) for job in progress.failed] or [("the workflow failed", log)]
    lines = []
    for what, where in told:
        lines.append(f"reproduce: {what}; the last lines of {where}:")
        lines += [f"    {line}" for line in last_lines(where, _SHOWN)]
    lines.append(f"The whole log is {log}. What is done is kept, and the same command goes on from there.")
    return "\n".join(lines)


def places(profile: Mapping[str, Any], results: Path) -> list[str]:
    """Where the products are, a line each."""
    lines = [f"table    {results / 'tables' / 'runs.parquet'}"]
    if "figures" in profile:
        n_others = len(list((results / "figures").glob("*.png"))) - 1
        lines.append(f"figures  {results / 'figures' / _KEY_FIGURE} and {n_others} other{'s' * (n_others != 1)}")
        lines += [f"report   {results / 'report' / task}.html" for task in profile["tasks"]]
    if "paper" in profile:
        pdf = results / "paper.pdf"
        lines.append(
            f"PDF      {pdf if pdf.exists() else f'{_KEPT_PAPER}, of the recorded numbers; latexmk sets one of these'}"
        )
    return lines


def found(profile: Mapping[str, Any], results: Path) -> list[str]:
    """What was reproduced of the numbers that the repository keeps, and each speed beside the one that it keeps."""
    if "record" not in profile:
        return ["no numbers of this profile are recorded"]
    kept = Path(profile["record"], "runs.json")
    if not kept.exists():
        return [f"no numbers of this profile are recorded yet: {kept} is not there"]
    here = results / "record" / "runs.json"
    result = compare(json.loads(here.read_text()), json.loads(kept.read_text()))
    lines = [f"{result.n_equal:,} of {result.n_numbers:,} numbers equal the recorded ones to {DIGITS} digits ({kept})"]
    lines += [f"    {line}" for line in result.differing[:_SHOWN]]
    if len(result.differing) > _SHOWN:
        lines.append(f"    and {len(result.differing) - _SHOWN:,} others: compare {here} with {kept}")
    return [*lines, "", *([table(result.speeds)] if result.speeds else [])]


def renewed(profile: Mapping[str, Any], results: Path) -> list[str]:
    """Copy what the repository keeps to where it is kept, and say how many files are others now."""
    lines = []
    for name in (name for name in KEPT if Path(profile.get(name, results / name)) != results / name):
        made = sorted((results / name).iterdir())
        kept = Path(profile[name])
        kept.mkdir(parents=True, exist_ok=True)
        others = [path for path in made if not _is_kept(path, kept / path.name)]
        for path in others:
            shutil.copyfile(path, kept / path.name)
        lines.append(f"renewed {kept}: {len(others)} of {len(made)} files are others now")
    return lines


def _is_kept(path: Path, kept: Path) -> bool:
    return kept.exists() and path.read_bytes() == kept.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
