"""MMLU (Hendrycks et al. 2021, arXiv:2009.03300): four choices in up to 57 subjects, after five examples or none.

The prompt is the authors', as lm-evaluation-harness writes it (one blank before the subject where the authors have two;
blanks around a question taken away), and the letters of the shown list are compared. The authors leave examples out
where a prompt is too long for a model; here all stay, and a model whose context is too short is told.
"""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

from proxyalign.errors import InputError
from proxyalign.tasks.base import Task
from proxyalign.tasks.choices import Choices, Item, LetterReplies
from proxyalign.tasks.files import bad_row, first_file, read_csv
from proxyalign.tasks.mmlu_editions import CHECKSUMS
from proxyalign.tasks.splits import part_of

_LICENCE = "MIT"
_SOURCE = "data.tar of github.com/hendrycks/test"
_ANSWERS = "ABCD0123"


def _load(task: str, split: str, folder: Path, shots: int) -> list[Item]:
    """The questions of `split` in all subjects whose test file is there, in a fixed order that mixes the subjects.

    It is that of their SHA-256, so that the first questions are a sample of all. `meta` names the subject, and says how
    many subjects there are: a mean over fewer than 57 is not the published number.
    """
    folder = folder / "mmlu"
    names = {path.name for path in (folder / "test").glob("*.csv")}
    subjects = sorted({name.removesuffix(".csv").removesuffix("_public").removesuffix("_test") for name in names})
    if not subjects:
        raise InputError(
            f"{task}: {folder / 'test'} must hold a file such as anatomy_test.csv for each subject, got none; "
            f"copy test/ and dev/ from {_SOURCE}"
        )
    items = part_of(task, split, [item for one in subjects for item in _read(task, folder, one, "test")], _key)
    examples = {one: tuple(_examples(task, folder, one, shots)) for one in subjects}
    return [
        replace(item, examples=examples[str(item.meta["subject"])], meta={**item.meta, "n_subjects": len(subjects)})
        for item in sorted(items, key=lambda item: (hashlib.sha256(_key(item).encode()).hexdigest(), item.id))
    ]


def _key(item: Item) -> str:
    """What names a question in both editions of the files, and is the same for the few that a file holds twice."""
    return "\n".join((item.topic, item.ask, *item.texts))


def _examples(task: str, folder: Path, subject: str, shots: int) -> list[Item]:
    """The first `shots` questions of the subject's dev file. Raises InputError where it has fewer."""
    found = _read(task, folder, subject, "dev")[:shots] if shots else []
    if len(found) < shots:
        raise InputError(
            f"{task}: {folder / 'dev' / subject}_dev.csv must hold {shots} questions, got {len(found)}; "
            f"copy the file again from {_SOURCE}, or take mmlu-0shot"
        )
    return found


def _read(task: str, folder: Path, subject: str, part: str) -> list[Item]:
    """The questions of one file: with a header and answers 0 to 3, or the authors' without one and answers A to D."""
    path = first_file(task, folder / part, (f"{subject}_{part}.csv", f"{subject}_{part}_public.csv"), _SOURCE)
    rows = read_csv(task, path)
    if rows[0][1][-1].strip().casefold() == "answer":
        rows = rows[1:]
    items: list[Item] = []
    for number, cells in rows:
        if len(cells) != 6:
            raise bad_row(task, path, number, "have a question, four choices and an answer", cells)
        ask, *texts, answer = cells
        if not ask.strip() or not "".join(texts).strip():
            raise bad_row(task, path, number, "have a question and choices that are not blank", cells)
        place = _ANSWERS.find(answer.strip() or " ")
        if place < 0 or len(answer.strip()) > 1:
            raise bad_row(task, path, number, "have an answer from A to D, or from 0 to 3", answer)
        if not texts[place % 4].strip():
            raise bad_row(task, path, number, "have a right choice that is not blank", cells)
        topic = subject.replace("_", " ")
        items.append(
            Item(f"{subject}-{len(items) + 1}", ask.strip(), tuple(texts), place % 4, {"subject": subject}, topic)
        )
    return items


TASKS: dict[str, Task] = {}
for _name, _shots in (("mmlu", 5), ("mmlu-0shot", 0)):
    _of = partial(_load, shots=_shots)
    TASKS[_name] = Choices(_name, _of, "letters", _LICENCE, _SOURCE, CHECKSUMS, label="", groups="subject")
    TASKS[f"{_name}-reply"] = LetterReplies(f"{_name}-reply", _of, _LICENCE, _SOURCE, CHECKSUMS, groups="subject")
