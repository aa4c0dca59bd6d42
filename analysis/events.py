"""What Snakemake does, a line of JSON an event, told to `reproduce`, which started it and shows how far it is."""

import json
import logging
import os
from typing import Any

ASKED = "PROXYALIGN_EVENTS"  # the environment's name for the file descriptor that the lines go to


class Teller(logging.Handler):
    """Writes each event of the workflow that `reproduce` shows; the rest is Snakemake's own log."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        told = event(record)
        if told is not None:
            os.write(self._descriptor, f"{json.dumps(told)}\n".encode())


def event(record: logging.LogRecord) -> dict[str, Any] | None:
    """An event that is shown: jobs planned by rule, one that began, ended or failed. None for any other."""
    kind = getattr(record, "event", None)
    told = vars(record)
    match getattr(kind, "value", None):
        case "run_info":
            return {"event": "planned", "jobs": told["stats"]}
        case "job_info":
            logs = [str(path) for path in told["log"]]
            return {
                "event": "began", "job": told["jobid"], "rule": told["rule_name"], "what": told["rule_msg"],
                "log": logs[0] if logs else None,
            }  # fmt: skip
        case "job_finished":
            return {"event": "ended", "job": told["job_id"]}
        case "job_error":
            return {"event": "failed", "job": told["jobid"]}
    return None


def tell() -> None:
    """Tell Snakemake's events from now on, where somebody asks for them; called in its process."""
    if ASKED in os.environ:
        logging.getLogger("snakemake.logging").addHandler(Teller(int(os.environ[ASKED])))
