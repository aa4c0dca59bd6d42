"""CommonsenseQA (Talmor et al. 2019, arXiv:1811.00937): everyday knowledge with five choices, random split, dev set.

The public test set has no answers, so that the dev set is what is reported. By likelihood the letters of the shown list
are compared, as in lm-evaluation-harness's commonsense_qa: 24 of the 1,221 questions have a choice twice, which texts
could not tell apart.
"""

from pathlib import Path

from proxyalign.tasks.base import Task
from proxyalign.tasks.choices import Choices, Item, LetterReplies
from proxyalign.tasks.exams import read_exam
from proxyalign.tasks.files import first_file
from proxyalign.tasks.splits import part_of

_NAMES = ("dev_rand_split.jsonl", "dev_rand_split_public.jsonl")
_LICENCE = "MIT"
_SOURCE = "dev_rand_split.jsonl of www.tau-nlp.org/commonsenseqa"
_CHECKSUMS = {"commonsenseqa/dev_rand_split.jsonl": "3210497fdaae614ac085d9eb873dd7f4d49b6f965a93adadc803e1229fd8a02a"}


def _load(task: str, split: str, folder: Path) -> list[Item]:
    """The questions of `split` in the order of the file, by their own ids."""
    path = first_file(task, folder / "commonsenseqa", _NAMES, _SOURCE)
    return part_of(task, split, read_exam(task, path), lambda item: item.id)


TASKS: dict[str, Task] = {
    "commonsenseqa": Choices("commonsenseqa", _load, "letters", _LICENCE, _SOURCE, _CHECKSUMS),
    "commonsenseqa-reply": LetterReplies("commonsenseqa-reply", _load, _LICENCE, _SOURCE, _CHECKSUMS),
}
