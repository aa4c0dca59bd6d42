"""GSM8K (Cobbe et al. 2021, arXiv:2110.14168): school mathematics in words, with eight worked examples or none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxyalign.errors import InputError
from proxyalign.tasks.base import Kind, Question, Score, Task, check_request
from proxyalign.tasks.files import bad_row, data_folder, first_file, read_jsonl
from proxyalign.tasks.numbers import drop_calculator_marks, parse_number
from proxyalign.tasks.numeric import INSTRUCTION, NEXT_QUESTION, score_number

_SOURCE = "grade_school_math/data of github.com/openai/grade-school-math"


@dataclass(frozen=True)
class Gsm8k:
    """GSM8K with `shots` worked examples ahead of each question.

    The examples are the first `shots` rows of train.jsonl whose question and solution are at most 300 characters
    each, calculator marks removed, so that anyone with the data set builds the same prompt; with no examples, one
    sentence asks for the form of the answer instead. The split "test" is test.jsonl, or test_public.jsonl where the
    folder has only that part of it; "dev" is the rest of train.jsonl. Both models read the same text, unless a chat
    template wraps the message, which is the question without examples and asks for the form.
    """

    name: str
    shots: int
    version: int = 2
    splits: tuple[str, ...] = ("dev", "test")
    max_new_tokens: int = 400  # the longest worked solution has 1,228 characters, and a token has about three
    stop: tuple[str, ...] = (NEXT_QUESTION,)
    kind: Kind = "reply"
    groups: str | None = None
    licence: str = "MIT"
    source: str = _SOURCE
    checksums: Mapping[str, str] = field(
        default_factory=lambda: {
            "gsm8k/test_public.jsonl": "5020a06ac8c7739794ddcb7391660a8d005ab5f9c800390fe7ce0b87f1753391",
            "gsm8k/train.jsonl": "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
        }
    )

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The questions in the order of the file; see `Task.questions`.

        data: the folder that holds gsm8k/, by default what PROXYALIGN_DATA names. An id is the split and the line
        number in its file.
        """
        check_request(self, split, limit)
        folder = data_folder(self.name, data) / "gsm8k"
        train = self._rows(folder, ("train.jsonl",)) if self.shots or split == "dev" else []
        examples = [row for row in train if len(row[1]) <= 300 and len(row[2]) <= 300][: self.shots]
        if len(examples) < self.shots:
            raise InputError(
                f"{self.name}: {folder / 'train.jsonl'} must hold {self.shots} short worked examples, "
                f"got {len(examples)}; copy the whole file from {_SOURCE}"
            )
        taken = {row[0] for row in examples}
        rows = train if split == "dev" else self._rows(folder, ("test.jsonl", "test_public.jsonl"))
        rows = [row for row in rows if split == "test" or row[0] not in taken][:limit]
        lead = "".join(f"Question: {ask}\nAnswer: {solution}\n\n" for _, ask, solution, _ in examples) or INSTRUCTION
        return [
            Question(
                f"{split}-{number}",
                f"{lead}Question: {ask}\nAnswer:",
                None,
                answer,
                message=INSTRUCTION + ask,
            )
            for number, ask, _, answer in rows
        ]

    def score(self, question: Question, text: str) -> Score:
        """Right where the reply gives the number; see `numeric.score_number`."""
        return score_number(question, text)

    def _rows(self, folder: Path, names: tuple[str, ...]) -> list[tuple[int, str, str, str]]:
        """Line number, question, worked solution without marks, and final answer of each row of the first file."""
        path = first_file(self.name, folder, names, _SOURCE)
        rows = []
        for number, row in read_jsonl(self.name, path, {"question": str, "answer": str}):
            solution, _, answer = (part.strip() for part in row["answer"].rpartition("####"))
            if parse_number(answer) is None:
                raise bad_row(self.name, path, number, "end its answer in #### and a number", row["answer"][-30:])
            rows.append((number, row["question"].strip(), f"{drop_calculator_marks(solution)}\n#### {answer}", answer))
        return rows


TASKS: dict[str, Task] = {task.name: task for task in (Gsm8k("gsm8k", shots=8), Gsm8k("gsm8k-0shot", shots=0))}
