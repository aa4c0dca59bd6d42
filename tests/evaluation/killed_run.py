"""Kills a run of the lab pair at random moments, and says what is left of it: `python killed_run.py OUT N_KILLS`.

One process loads the pair and forks those that run, so that a kill costs no start of an interpreter.
"""

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

from proxyalign.evaluation import Settings, read_records, run_grid
from proxyalign.models import load_pair

CLOCKS = re.compile(rb'"(seconds|tokens_per_second)": [0-9.e-]+')
COMMON = {"pair": "lab", "task": "lab-math", "task_version": 1, "rule": "dual", "max_new_tokens": 6, "limit": 18}
GRID = [Settings(**COMMON, seed=2, rows=5, parameters={"alpha": alpha}) for alpha in (0.1, 0.4)]


def contents(folder):
    """Every file but what a kill left half written, without what a clock says."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".settings")]
    return {str(path.relative_to(folder)): CLOCKS.sub(b"", path.read_bytes()) for path in files}


def records(folder):
    """The records of each run, and the bytes of those that are whole."""
    found = {}
    for settings in GRID:
        path = folder / settings.slug / "records.jsonl"
        content = path.read_bytes() if path.exists() else b""
        found[settings.slug] = content[: content.rfind(b"\n") + 1]
        assert not path.exists() or len(read_records(path)) == content.count(b"\n")
    return found


def main(out, n_kills):
    """Kill runs until `n_kills` have hit, each run from a new folder on once one has come to its end."""
    torch.set_num_threads(1)
    pair = load_pair("lab")
    rng = random.Random(0)
    begin = time.monotonic()
    run_grid(pair, GRID, out / "undisturbed", batch_size=3)
    seconds = time.monotonic() - begin
    wanted, whole = contents(out / "undisturbed"), records(out / "undisturbed")
    n_hits = n_ends = n_records = n_cut = 0
    while n_hits < n_kills or not (out / "killed" / "summary.json").exists():
        if (out / "killed" / "summary.json").exists():
            shutil.rmtree(out / "killed")
        before = records(out / "killed")
        child = os.fork()
        if child == 0:
            run_grid(pair, GRID, out / "killed", batch_size=3)
            os._exit(0)
        if n_hits < n_kills:
            time.sleep(rng.uniform(0, seconds / 5))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        was_killed = os.WIFSIGNALED(status)
        n_hits += was_killed
        after = records(out / "killed")
        for name in after:  # nothing is lost, changed or doubled, at any moment
            assert after[name].startswith(before[name])
            assert CLOCKS.sub(b"", whole[name]).startswith(CLOCKS.sub(b"", after[name]))
            n_records += after[name].count(b"\n") - before[name].count(b"\n")
            n_cut += (out / "killed" / name / "records.jsonl").exists() and after[name] != (
                out / "killed" / name / "records.jsonl"
            ).read_bytes()
        if not was_killed:
            assert os.waitstatus_to_exitcode(status) == 0
            assert contents(out / "killed") == wanted
            n_ends += 1
    print(json.dumps({"kills": n_hits, "runs": n_ends, "records": n_records, "cut": n_cut}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
