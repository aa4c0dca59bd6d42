"""SVAMP (Patel, Bhattamishra & Goyal 2021, arXiv:2103.07191): short arithmetic stories, varied so that cues mislead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from proxyalign.tasks.base import Kind, Question, Score, Task, check_request
from proxyalign.tasks.files import check_unique, data_folder, first_file, read_json_list
from proxyalign.tasks.numeric import INSTRUCTION, NEXT_QUESTION, score_number
from proxyalign.tasks.splits import SPLITS, part_of

_SOURCE = "github.com/arkilpatel/SVAMP"
_FIELDS = {"ID": str, "Body": str, "Question": str, "Answer": float}


@dataclass(frozen=True)
class Svamp:
    """SVAMP without examples: one sentence asks for the form of the answer, as in gsm8k-0shot.

    The file is SVAMP.json, or SVAMP_public.json where the folder has only that part of it; its splits are `SPLITS`, by
    the rows' own ids. Both models read the same text.
    """

    name: str = "svamp"
    version: int = 1
    splits: tuple[str, ...] = SPLITS
    max_new_tokens: int = 256  # one or two steps of arithmetic, in full sentences
    stop: tuple[str, ...] = (NEXT_QUESTION,)
    kind: Kind = "reply"
    groups: str | None = None
    licence: str = "MIT"
    source: str = _SOURCE
    checksums: Mapping[str, str] = field(
        default_factory=lambda: {
            "svamp/SVAMP_public.json": "bfa403ce7889743988be7a2d2fe9f1cee2b14a9b23315238b981a36099065859"
        }
    )

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The questions in the order of the file, named by its ids; see `Task.questions`.

        data: the folder that holds svamp/, by default what PROXYALIGN_DATA names.
        """
        check_request(self, split, limit)
        folder = data_folder(self.name, data) / "svamp"
        path = first_file(self.name, folder, ("SVAMP.json", "SVAMP_public.json"), _SOURCE)
        rows = read_json_list(self.name, path, _FIELDS)
        check_unique(self.name, path, [(number, row["ID"]) for number, row in rows], "ID")
        return [
            Question(
                id=row["ID"],
                prompt=f"{INSTRUCTION}Question: {ask}\nAnswer:",
                proxy_prompt=None,
                reference=f"{Decimal(str(row['Answer'])):f}",
                meta={"type": str(row.get("Type", "unknown"))},
                message=INSTRUCTION + ask,
            )
            for _, row in part_of(self.name, split, rows, lambda row: row[1]["ID"])[:limit]
            for ask in [f"{row['Body'].strip()} {row['Question'].strip()}"]
        ]

    def score(self, question: Question, text: str) -> Score:
        """Right where the reply gives the number; see `numeric.score_number`."""
        return score_number(question, text)


TASKS: dict[str, Task] = {task.name: task for task in (Svamp(),)}
