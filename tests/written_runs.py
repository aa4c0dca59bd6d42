"""Folders of runs as an evaluation leaves them, written by hand: settings.json and one record for each verdict."""

import hashlib
import json

SETTINGS = {
    "pair": "two",
    "task": "gsm8k",
    "task_version": 1,
    "rule": "never",
    "parameters": {},
    "split": "test",
    "limit": None,
    "mode": "autoregressive",
    "window": 5,
    "temperature": 1.0,
    "max_new_tokens": 8,
    "seed": 0,
}


def record(name, correct, *, reply="one two", n_tokens=4, seconds=0.5, mass=1.0, **more):
    """A record of one reply, without its place."""
    return {
        "id": name,
        "prompt_sha256": hashlib.sha256(name.encode()).hexdigest(),
        "reply": reply,
        "extracted": "1",
        "correct": correct,
        "strict": correct,
        "n_tokens": n_tokens,
        "deferral_mass": mass,
        "n_tested": 0,
        "n_accepted": 0,
        "n_cycles": 0,
        "seconds": seconds,
        "max_new_tokens": 8,
        **more,
    }


def write_records(folder, records, **settings):
    """Write a run of these records; settings: what differs from SETTINGS. Returns the folder."""
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(SETTINGS | settings))
    lines = (json.dumps({"index": index, **one}) + "\n" for index, one in enumerate(records))
    (folder / "records.jsonl").write_text("".join(lines))
    return folder


def write_run(folder, verdicts, **settings):
    """Write a run whose questions q0, q1, ... are right where `verdicts` has a 1."""
    return write_records(folder, [record(f"q{i}", one == "1") for i, one in enumerate(verdicts)], **settings)
