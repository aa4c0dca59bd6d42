"""What a benchmark is to the rest of the package: questions with prompts, and a score for a reply."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from proxyalign.errors import InputError
from proxyalign.validation import check_count


@dataclass(frozen=True)
class Question:
    """One question, as it is put to a pair.

    id: unique within its task and split, and the same in every process.
    prompt: the whole text that the base reads, examples included; a reply is what follows it.
    proxy_prompt: the text that the proxy reads instead, or None where both read the same.
    reference: the right answer, in the form that `Task.score` reads.
    meta: anything that a table may be split by (for example {"myth": True}); JSON values alone.
    """

    id: str
    prompt: str
    proxy_prompt: str | None
    reference: str
    meta: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """What a reply is worth.

    correct: the extracted answer equals the reference; never True where nothing could be extracted.
    extracted: the answer found in the reply, or None where there is none (it is then wrong, and counted apart).
    strict: correct, and given in the form that the task asks for.
    """

    correct: bool
    extracted: str | None
    strict: bool


class Task(Protocol):
    """A benchmark: its questions, and how a reply to one of them is scored.

    name: what `proxyalign.tasks.get` and `--task` call it.
    version: raised by one whenever a prompt or the scoring changes, so that scores of two versions never mix.
    splits: the names that `questions` knows, "dev" (to choose parameters on) and "test" (to report).
    max_new_tokens: the reply length that the task needs; the default of an evaluation.
    stop: strings at which `score` stops reading, so that a reply may end with them: what comes after is paid for, and
    counts in speed, deferral and acceptance, for nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def splits(self) -> tuple[str, ...]: ...

    @property
    def max_new_tokens(self) -> int: ...

    @property
    def stop(self) -> tuple[str, ...]: ...

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The questions of `split` in a fixed order, the first `limit` of them where it is given.

        data: the folder with the task's files, where it has any. Raises InputError for an unknown split, a limit
        below 1, and files that are missing or cannot be read.
        """
        ...

    def score(self, question: Question, text: str) -> Score:
        """Score `text`, the reply to `question` without its prompt."""
        ...


def check_request(task: Task, split: str, limit: int | None) -> None:
    """Raise InputError where `task` has no such split, or `limit` is not a count of at least 1."""
    if split not in task.splits:
        raise InputError(f"{task.name}: split must be one of {', '.join(task.splits)}, got {split!r}; pass one of them")
    if limit is not None:
        check_count(task.name, "limit", limit, least=1)
