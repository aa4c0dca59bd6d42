"""What a benchmark is to the rest of the package: questions with prompts, and a score for what a pair makes of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from proxyalign.errors import InputError
from proxyalign.validation import check_count

Kind = Literal["reply", "choice"]


@dataclass(frozen=True)
class Question:
    """One question, as it is put to a pair.

    id: unique within its task and split, and the same in every process.
    prompt: the whole text that the base reads, examples included; a reply or a choice is what follows it.
    proxy_prompt: the text that the proxy reads instead, or None where both read the same.
    reference: the right answer, in the form that `Task.score` reads; of a choice task the index of the right one.
    meta: anything that a table may be split by (for example {"myth": True}); JSON values alone.
    message: what a chat template wraps, the question alone with the form that is asked for; None where it wraps the
    prompt.
    choices: of a choice task, the continuations to choose among, each as it follows the prompt (with its blank).
    others: continuations whose likelihood the score reads beside those, and which cannot be chosen.
    """

    id: str
    prompt: str
    proxy_prompt: str | None
    reference: str | int
    meta: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    message: str | None = None
    choices: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """What an answer is worth.

    correct: the extracted answer equals the reference; never True where nothing could be extracted, or where a choice
    is not the single likeliest.
    extracted: the answer found in the reply, or None where there is none (it is then wrong, and counted apart); of a
    choice its index, as a text, None where several are likeliest.
    strict: correct, and given in the form that the task asks for.
    measures: what else the benchmark reports, by name, each as (amount, weight): a run's number is the sum of the
    amounts over the sum of the weights.
    """

    correct: bool
    extracted: str | None
    strict: bool
    measures: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Task(Protocol):
    """A benchmark: its questions, and how an answer to one of them is scored.

    name: what `proxyalign.tasks.get` and `--task` call it.
    kind: "reply", whose answers are texts, or "choice", whose answers are the log-likelihoods of given continuations.
    version: raised by one whenever a prompt or the scoring changes, so that scores of two versions never mix.
    splits: the names that `questions` knows: "dev" (to choose parameters on), "test" (to report), and where "dev" is a
    part of "test" also "held-out", the rest of it, to report what was chosen on "dev" (`splits.SPLITS`).
    max_new_tokens: the reply length that the task needs; the default of an evaluation. 0 for a choice.
    stop: strings at which `score` stops reading, so that a reply may end with them: what comes after is paid for, and
    counts in speed, deferral and acceptance, for nothing.
    groups: the name in `Question.meta` over whose values a second, macro, mean of the accuracy is taken; None for none.
    licence, source: of the data.
    checksums: the SHA-256 of the editions of its files that are known, by their path in the data folder; any other
    edition is read as well, and told.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def version(self) -> int: ...

    @property
    def splits(self) -> tuple[str, ...]: ...

    @property
    def max_new_tokens(self) -> int: ...

    @property
    def stop(self) -> tuple[str, ...]: ...

    @property
    def groups(self) -> str | None: ...

    @property
    def licence(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def checksums(self) -> Mapping[str, str]: ...

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The questions of `split` in a fixed order, the first `limit` of them where it is given.

        data: the folder with the task's files, where it has any, or "hub" for those of the Hugging Face hub
        (`files.HUB`); None is the folder that PROXYALIGN_DATA names. Raises InputError for an unknown split, a limit
        below 1, and files that are missing or cannot be read.
        """
        ...

    def score(self, question: Question, answer: Any) -> Score:
        """Score the answer to `question`.

        answer: of a reply task the text without its prompt; of a choice task the log-likelihoods in nats of
        `question.choices`, then of `question.others`.
        """
        ...


def check_request(task: Task, split: str, limit: int | None) -> None:
    """Raise InputError where `task` has no such split, or `limit` is not a count of at least 1."""
    if split not in task.splits:
        raise InputError(f"{task.name}: split must be one of {', '.join(task.splits)}, got {split!r}; pass one of them")
    if limit is not None:
        check_count(task.name, "limit", limit, least=1)


def single_likeliest(log_likelihoods: Sequence[float]) -> int | None:
    """The index of the largest number; None where several are largest, or one is NaN, so that none is favoured."""
    best = max(log_likelihoods)
    found = [i for i, one in enumerate(log_likelihoods) if one == best]
    return found[0] if len(found) == 1 and all(one == one for one in log_likelihoods) else None
