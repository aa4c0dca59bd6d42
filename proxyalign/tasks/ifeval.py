"""IFEval (Zhou et al. 2023, arXiv:2311.07911): instructions whose fulfilment a program can check."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxyalign.errors import InputError
from proxyalign.tasks.base import Kind, Question, Score, check_request
from proxyalign.tasks.files import bad_row, check_unique, data_folder, first_file, read_jsonl
from proxyalign.tasks.instructions import KINDS, Instruction, fault, follows, follows_loosely
from proxyalign.tasks.instructions.packages import missing
from proxyalign.tasks.splits import SPLITS, part_of

_SOURCE = "instruction_following_eval/data of github.com/google-research/google-research"
_PLAIN = "plain"
_NEXT_INSTRUCTION = "\n\nInstruction:"  # what a base model writes once it has answered


@dataclass(frozen=True)
class Ifeval:
    """IFEval, zero-shot. A reply is right where it follows every instruction of its prompt strictly.

    The base reads "Instruction: ... Response:" around the prompt, a form that it can go on from; without it many a base
    model goes on asking. A chat template wraps the prompt alone, as published. A reply ends where it goes on to a next
    "Instruction:" after a blank line, which no prompt of the file asks for, and none of GPT-4's published replies has.

    The splits are those of `SPLITS`, and "plain": the prompts whose checks need neither a detector of languages nor a
    splitter of sentences (387 of 541; `Question.meta` says it of each), and so no package.

    published: score with the published code's checks where they differ (`KINDS`), for comparison.
    """

    name: str
    published: bool = False
    version: int = 1
    splits: tuple[str, ...] = (*SPLITS, _PLAIN)
    max_new_tokens: int = 1280  # as in lm-evaluation-harness 0.4.13
    stop: tuple[str, ...] = (_NEXT_INSTRUCTION,)
    kind: Kind = "reply"
    groups: str | None = None
    licence: str = "Apache-2.0"
    source: str = _SOURCE
    checksums: Mapping[str, str] = field(
        default_factory=lambda: {
            "ifeval/input_data.jsonl": "67ffeee0fcb87c317c5b08a2de85557b4a7e96ada6178aa645b4954fe4b53d49"
        }
    )

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The prompts in the order of the file; see `Task.questions`.

        data: the folder that holds ifeval/, by default what PROXYALIGN_DATA names. An id is the prompt's key; the
        reference is the JSON list of its instructions, each with its arguments. Raises InputError, besides, where a
        prompt's checks need a package that is not installed.
        """
        check_request(self, split, limit)
        folder = data_folder(self.name, data) / "ifeval"
        rows = self._rows(first_file(self.name, folder, ("input_data.jsonl", "input_data_public.jsonl"), _SOURCE))
        if split == _PLAIN:
            rows = [row for row in rows if _is_plain(row[2])]
        else:
            rows = part_of(self.name, split, rows, key=lambda row: row[0])
        rows = rows[:limit]
        self._check_tools(split, rows)
        return [
            Question(
                id=key,
                prompt=f"Instruction: {prompt}\n\nResponse:",
                proxy_prompt=None,
                reference=json.dumps([[one.id, one.arguments] for one in asked], ensure_ascii=False),
                meta={"plain": _is_plain(asked)},
                message=prompt,
            )
            for key, prompt, asked in rows
        ]

    def score(self, question: Question, text: str) -> Score:
        """Score one reply; what is extracted is how many instructions it follows strictly, as "2/3", None of a blank
        reply.

        The measures are the benchmark's other three numbers, instructions followed strictly, and prompts and
        instructions followed loosely; and prompts followed strictly of the split "plain" alone.
        """
        reply = text.split(_NEXT_INSTRUCTION, 1)[0]
        strict, loose = verdicts(question, reply, self.published)
        n, n_strict, n_loose = len(strict), sum(strict), sum(loose)
        return Score(
            correct=n_strict == n,
            extracted=f"{n_strict}/{n}" if reply.strip() else None,
            strict=n_strict == n,
            measures={
                "prompt_loose": (float(n_loose == n), 1.0),
                "instruction_strict": (float(n_strict), float(n)),
                "instruction_loose": (float(n_loose), float(n)),
                **({"prompt_strict_plain": (float(n_strict == n), 1.0)} if question.meta.get("plain") else {}),
            },
        )

    def _rows(self, path: Path) -> list[tuple[str, str, list[Instruction]]]:
        """Key, prompt and instructions of each row."""
        fields = {"key": int, "prompt": str, "instruction_id_list": list, "kwargs": list}
        rows = read_jsonl(self.name, path, fields)
        check_unique(self.name, path, [(number, row["key"]) for number, row in rows], "key")
        return [(str(row["key"]), row["prompt"], self._instructions(path, number, row)) for number, row in rows]

    def _instructions(self, path: Path, number: int, row: Mapping[str, Any]) -> list[Instruction]:
        ids, arguments = row["instruction_id_list"], row["kwargs"]
        if not ids or len(ids) != len(arguments):
            raise bad_row(self.name, path, number, "have instructions, and kwargs for each", [len(ids), len(arguments)])
        found = []
        for name, given in zip(ids, arguments, strict=True):
            if not isinstance(name, str) or not isinstance(given, dict):
                raise bad_row(self.name, path, number, "have texts as ids and objects as kwargs", [name, given])
            known = {key: value for key, value in given.items() if value is not None}  # some editions fill up with null
            wrong = fault(name, known)
            if wrong is not None:
                raise bad_row(self.name, path, number, *wrong)
            found.append(Instruction(name, known))
        return found

    def _check_tools(self, split: str, rows: Sequence[tuple[str, str, list[Instruction]]]) -> None:
        """Raise InputError where a package that scores these rows is missing, before they are decoded for hours."""
        needed = {KINDS[one.id].needs for _, _, asked in rows for one in asked}
        lacking = [package for tool in needed if tool is not None for package in missing(tool)]
        if lacking:
            raise InputError(
                f"{self.name}: the checks of split {split!r} must have their packages, got no "
                f"{' and no '.join(sorted(lacking))}; pip install 'proxyalign[benchmarks]', or take split {_PLAIN!r}"
            )


def verdicts(question: Question, reply: str, published: bool = False) -> tuple[list[bool], list[bool]]:
    """Of each instruction of the question, in order, whether the reply follows it strictly, and loosely.

    published: as `Ifeval.published`. Raises InputError where a check needs a package that is not installed.
    """
    asked = [Instruction(name, arguments) for name, arguments in json.loads(str(question.reference))]
    strict = [follows(one, reply, published) for one in asked]
    loose = [done or follows_loosely(one, reply, published) for done, one in zip(strict, asked, strict=True)]
    return strict, loose


def _is_plain(asked: Sequence[Instruction]) -> bool:
    return all(KINDS[one.id].needs is None for one in asked)


TASKS = {task.name: task for task in (Ifeval("ifeval"), Ifeval("ifeval-published", published=True))}
