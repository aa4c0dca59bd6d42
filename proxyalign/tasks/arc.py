"""ARC-Challenge (Clark et al. 2018, arXiv:1803.05457): grade-school science with three to five choices.

By likelihood the texts of the choices are compared, after the question alone, as in lm-evaluation-harness's
arc_challenge; as a reply a letter of the shown list is read, as in the paper of the deferral rules.
"""

from pathlib import Path

from proxyalign.tasks.base import Task
from proxyalign.tasks.choices import Choices, Item, LetterReplies
from proxyalign.tasks.exams import read_exam
from proxyalign.tasks.files import first_file
from proxyalign.tasks.splits import part_of

_NAMES = ("ARC-Challenge-Test.jsonl", "ARC-Challenge-Test_public.jsonl")
_LICENCE = "CC BY-SA 4.0, Allen Institute for AI"
_SOURCE = "ARC-V1-Feb2018-2/ARC-Challenge of allenai.org/data/arc"
_CHECKSUMS = {  # an edition of 1,150 of the 1,172 questions
    "arc/ARC-Challenge-Test.jsonl": "edfac2380c22134a5f0cf78c61459ba76aa3299d7be0df0420cb1a340d3c2096"
}


def _load(task: str, split: str, folder: Path) -> list[Item]:
    """The questions of `split` in the order of the file, by their own ids."""
    path = first_file(task, folder / "arc", _NAMES, _SOURCE)
    return part_of(task, split, read_exam(task, path), lambda item: item.id)


TASKS: dict[str, Task] = {
    "arc-challenge": Choices("arc-challenge", _load, "texts", _LICENCE, _SOURCE, _CHECKSUMS),
    "arc-challenge-reply": LetterReplies("arc-challenge-reply", _load, _LICENCE, _SOURCE, _CHECKSUMS),
}
