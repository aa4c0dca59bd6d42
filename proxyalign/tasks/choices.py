"""Multiple choice: questions with listed choices, answered by what is likeliest, or by a reply that names a letter."""

import math
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from proxyalign.errors import InputError
from proxyalign.tasks.base import Kind, Question, Score, check_request, single_likeliest
from proxyalign.tasks.files import data_folder
from proxyalign.tasks.letters import final_letter, states_letter
from proxyalign.tasks.numeric import own_reply
from proxyalign.tasks.splits import SPLITS

LETTERS = string.ascii_uppercase
_NEXT_QUESTION = "Question:"  # what a base model writes once it has answered
_INSTRUCTION = "Answer the question with the letter of the right choice.\n\n"
_FORM = 'End with a line that has "Answer: " and then the letter of the right choice alone.'


@dataclass(frozen=True)
class Item:
    """One question with its choices, before it is put in words.

    right: the index of the right one of `texts`. topic: what the question is about, where a heading names it.
    examples: questions with answers that come first, below the heading.
    """

    id: str
    ask: str
    texts: tuple[str, ...]
    right: int
    meta: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    topic: str = ""
    examples: tuple["Item", ...] = ()

    @property
    def letters(self) -> str:
        """The letters of its choices, "ABCD"."""
        return LETTERS[: len(self.texts)]

    def listed(self, label: str = "") -> str:
        """`label` and the question, and below it a line for each choice: "A. ..."."""
        lines = [f"{letter}. {text}" for letter, text in zip(self.letters, self.texts, strict=True)]
        return "\n".join([label + self.ask, *lines])

    def led(self, label: str = "") -> str:
        """The heading, the worked examples, and the question, to be answered by a letter after a blank."""
        heading = f"The following are multiple choice questions (with answers) about {self.topic}.\n\n"
        worked = [f"{one.listed(label)}\nAnswer: {one.letters[one.right]}\n\n" for one in self.examples]
        return f"{heading if self.topic else ''}{''.join(worked)}{self.listed(label)}\nAnswer:"


Load = Callable[[str, str, Path], list[Item]]
"""Reads the items of a task: its name, for messages; the split; the folder that holds the benchmarks."""


@dataclass(frozen=True)
class Choices:
    """A benchmark of choices, answered by what is likeliest.

    form: what is compared after the prompt, as in the evaluation harness of EleutherAI, so that numbers compare:
    "letters" of a shown list (measure "credit"), or the "texts" of the choices after the question alone (measures
    "credit", of the summed log-likelihoods, and "acc_norm", of these divided by the number of characters). Where k
    choices tie, each earns 1/k of a credit, and none is correct. label: what stands before a question of the list.
    """

    name: str
    load: Load
    form: Literal["letters", "texts"]
    licence: str
    source: str
    checksums: Mapping[str, str]
    label: str = "Question: "
    groups: str | None = None
    kind: Kind = "choice"
    version: int = 1
    splits: tuple[str, ...] = SPLITS
    max_new_tokens: int = 0
    stop: tuple[str, ...] = ()

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The questions in the order of `load`; see `Task.questions`. data: by default what PROXYALIGN_DATA names."""
        check_request(self, split, limit)
        return [self._question(item) for item in self.load(self.name, split, data_folder(self.name, data))[:limit]]

    def score(self, question: Question, log_likelihoods: Sequence[float]) -> Score:
        """Right where the right choice alone is the likeliest, by the sum over its tokens; measures as above."""
        right = reference(self.name, question, log_likelihoods)
        measures = {"credit": (credit(log_likelihoods, right), 1.0)}
        if self.form == "texts":
            each = zip(log_likelihoods, question.choices, strict=True)
            measures["acc_norm"] = (credit([one / len(text.strip()) for one, text in each], right), 1.0)
        found = single_likeliest(log_likelihoods)
        return Score(found == right, None if found is None else str(found), found == right, measures)

    def _question(self, item: Item) -> Question:
        if self.form == "letters":
            prompt, choices = item.led(self.label), tuple(item.letters)
            message = f"{item.listed(self.label)}\n\nAnswer with the letter of the right choice alone."
        else:
            prompt, choices, message = f"{self.label}{item.ask}\nAnswer:", item.texts, item.ask
        return Question(
            item.id, prompt, None, item.right, item.meta, message, choices=tuple(f" {one}" for one in choices)
        )


@dataclass(frozen=True)
class LetterReplies:
    """The same questions, answered by a reply that names a letter of the shown list.

    Both models read the list, ahead of it the heading and worked examples where the items have a topic, else an
    instruction; a chat template wraps the list with a sentence that asks for the letter at the end. `Question.choices`
    are the texts that stand beside the letters, so that an answer in the words of one of them is read too.
    """

    name: str
    load: Load
    licence: str
    source: str
    checksums: Mapping[str, str]
    groups: str | None = None
    kind: Kind = "reply"
    version: int = 1
    splits: tuple[str, ...] = SPLITS
    max_new_tokens: int = (
        256  # room for a proxy that explains before it answers; a base goes on to a next question soon
    )
    stop: tuple[str, ...] = (_NEXT_QUESTION,)

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The questions in the order of `load`; see `Task.questions`. data: by default what PROXYALIGN_DATA names."""
        check_request(self, split, limit)
        return [self._question(item) for item in self.load(self.name, split, data_folder(self.name, data))[:limit]]

    def score(self, question: Question, text: str) -> Score:
        """Right where `final_letter` of the reply, up to a next question, is the reference; strict as asked for."""
        reply = own_reply(text)
        letters = LETTERS[: len(question.choices) or 5]  # 5: a question that was made by hand may list no choices
        found = final_letter(reply, letters, question.choices)
        correct = found is not None and found == question.reference
        return Score(correct, found, strict=correct and states_letter(reply, str(question.reference)))

    def _question(self, item: Item) -> Question:
        lead = "" if item.topic else _INSTRUCTION
        return Question(
            id=item.id,
            prompt=lead + item.led(_NEXT_QUESTION + " "),
            proxy_prompt=None,
            reference=item.letters[item.right],
            meta=item.meta,
            message=f"{item.listed(_NEXT_QUESTION + ' ')}\n\n{_FORM}",
            choices=item.texts,
        )


def credit(values: Sequence[float], right: int) -> float:
    """1/k where `right` is among the k largest values, else 0; 0 where one is NaN, so that none is favoured."""
    if any(math.isnan(one) for one in values):
        return 0.0
    best = max(values)
    return 1 / sum(one == best for one in values) if values[right] == best else 0.0


def reference(task: str, question: Question, log_likelihoods: Sequence[float]) -> int:
    """The index of the right choice. Raises InputError unless each choice, and what is scored beside, has a number."""
    n_needed = len(question.choices) + len(question.others)
    if len(log_likelihoods) != n_needed:
        raise InputError(
            f"{task}: log_likelihoods must be one for each choice, {n_needed} for question {question.id}, "
            f"got {len(log_likelihoods)}; pass those of question.choices, then those of question.others"
        )
    return int(question.reference)
