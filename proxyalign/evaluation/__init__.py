"""Runs of a pair on a task under a rule: resumable records, and what they say in numbers."""

from proxyalign.evaluation.comparison import compare
from proxyalign.evaluation.merging import merge
from proxyalign.evaluation.metrics import Summary, summarise, wilson
from proxyalign.evaluation.records import read_records
from proxyalign.evaluation.run import prepare, run, run_grid
from proxyalign.evaluation.settings import Settings

__all__ = [
    "Settings",
    "Summary",
    "compare",
    "merge",
    "prepare",
    "read_records",
    "run",
    "run_grid",
    "summarise",
    "wilson",
]
