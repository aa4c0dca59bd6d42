"""MATH-500 (Hendrycks et al. 2021, arXiv:2103.03874; the 500 problems of Lightman et al. 2023, arXiv:2305.20050)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxyalign.tasks.base import Kind, Question, Score, Task, check_request
from proxyalign.tasks.boxes import boxes
from proxyalign.tasks.files import check_unique, data_folder, first_file, read_jsonl
from proxyalign.tasks.mathematics.equality import equal
from proxyalign.tasks.mathematics.verifier import check_installed
from proxyalign.tasks.numeric import own_reply
from proxyalign.tasks.splits import SPLITS, part_of

_SOURCE = "prm800k/math_splits of github.com/openai/prm800k"
_FIELDS = {"problem": str, "answer": str}
_INSTRUCTION = "Solve the problem step by step. Put the final answer into \\boxed{}.\n\n"
_NEXT_PROBLEM = "\n\nProblem:"  # what a base model writes once it has answered
_BETWEEN_BOXES = re.compile(
    r"\}?(?:[\s$,;.]|\band\b|\bor\b|\\text\{\s*(?:and|or)\s*\})*(?:\b(?P<name>[A-Za-z])\s*=\s*)?"
)
_SAID = re.compile(
    r"\banswer\b\W{0,4}?(?:\bis\b|[:=])[\s:*]*(?:(?:therefore|thus|hence|then|simply|just|equal to)\b[\s:,*]*)?"
    r"(?P<answer>[^\n]*?)(?:\.(?=\s|$)|\n|$)",
    re.IGNORECASE,
)
_SET = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$\n]+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_SHORT = 80  # characters of a reply that is nothing but an answer


@dataclass(frozen=True)
class Math500:
    """MATH-500 without examples: one sentence asks for the answer in a box.

    The file is math500/test.jsonl; its splits are `SPLITS`, by the texts of the problems. Both models read the same
    text. An id is "test-" and the line in the file, in every split.
    """

    name: str = "math500"
    version: int = 1
    splits: tuple[str, ...] = SPLITS
    max_new_tokens: int = 1024  # the longest solution has about 3,700 characters
    stop: tuple[str, ...] = (_NEXT_PROBLEM,)
    kind: Kind = "reply"
    groups: str | None = None
    licence: str = "MIT"
    source: str = _SOURCE
    checksums: Mapping[str, str] = field(
        default_factory=lambda: {
            "math500/test.jsonl": "34943b1a3660c7dc63c7bc89b5ecefc0ffdeeee32501c2ad161cdec34d7a4b4c",
            # with the field unique_id, as its authors published it
            "prm800k/math_splits/test.jsonl": "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132",
        }
    )

    def questions(
        self, split: str = "test", data: str | Path | None = None, limit: int | None = None
    ) -> list[Question]:
        """The problems in the order of the file; see `Task.questions`.

        data: the folder that holds math500/, by default what PROXYALIGN_DATA names. Raises InputError also where
        math-verify is not installed.
        """
        check_request(self, split, limit)
        check_installed(self.name)
        folder = data_folder(self.name, data) / "math500"
        path = first_file(self.name, folder, ("test.jsonl",), _SOURCE)
        rows = read_jsonl(self.name, path, _FIELDS)
        check_unique(self.name, path, [(n, row["unique_id"]) for n, row in rows if "unique_id" in row], "unique_id")
        return [
            Question(
                id=f"test-{number}",
                prompt=f"{_INSTRUCTION}Problem: {row['problem'].strip()}\nSolution:",
                proxy_prompt=None,
                reference=row["answer"],
                meta={
                    "subject": str(row.get("subject", "unknown")),
                    "level": str(row.get("level", "unknown")),
                    "percent": re.search(r"percent|\\%", row["problem"]) is not None,
                },
                message=f"{_INSTRUCTION}{row['problem'].strip()}",
            )
            for number, row in part_of(self.name, split, rows, lambda row: row[1]["problem"].strip())[:limit]
        ]

    def score(self, question: Question, text: str) -> Score:
        """Right where the answer that the reply gives is equal to the reference; see `answer_of` and `equality.equal`.

        28\\% is 28 where the question is about percent (`meta["percent"]`), and 0.28 elsewhere. Strict asks for the
        answer in a box on top. Measures: "lenient", right where 28\\% is 28 in every question, as in the scorer of
        MATH's authors, so this is the number to stand beside published ones; "authors", right where the reference is
        cut at its last "=", as in the paper's own code.
        """
        reference, percent = str(question.reference), bool(question.meta.get("percent", False))
        answer, boxed = answer_of(text)
        correct, lenient, cut = (
            answer is not None and equal(wanted, answer, percent_is_unit=as_unit)
            for wanted, as_unit in ((reference, percent), (reference, True), (reference.rpartition("=")[2], percent))
        )
        return Score(
            correct,
            answer,
            strict=correct and boxed,
            measures={"lenient": (float(lenient), 1.0), "authors": (float(cut), 1.0)},
        )


def answer_of(text: str) -> tuple[str | None, bool]:
    """The answer that a reply gives, in LaTeX, and whether it stands in a box; None where it gives none.

    A reply ends where it goes on to a next problem. With any box in it the answer is the last one, together with those
    that only commas, "and", "or" and the "x =" of the same x part from it; a last box that is not finished is no
    answer. Without a box it is what the last "answer is" or "Answer:" names; else the last formula; else all of a reply
    that is one short line of mathematics, or one word.
    """
    reply = own_reply(text.split(_NEXT_PROBLEM, 1)[0])
    found = boxes(reply)
    if found:
        if found[-1].closes is None:
            return None, False
        together = [reply[found[-1].opens : found[-1].closes]]
        for box, after in zip(reversed(found[:-1]), reversed(found[1:]), strict=True):
            if box.closes is None or box.closes > after.begins:
                break
            between = _BETWEEN_BOXES.fullmatch(reply, box.closes, after.begins)
            if between is None:
                break
            if between["name"] and not re.search(rf"\b{between['name']}\s*=\s*$", reply[: box.begins][-20:]):
                break
            together.insert(0, reply[box.opens : box.closes])
        answer = ", ".join(dict.fromkeys(content.strip() for content in together))
        return answer or None, bool(answer)
    said = [match["answer"] for match in _SAID.finditer(reply)]
    if said:
        return ([*_formulas(said[-1]), said[-1]][0].strip() or None), False
    if formulas := _formulas(reply):
        return formulas[-1], False
    short = re.fullmatch(rf"[\s#]*(\S+|(?=.*[\d\\+=^/-])[^\n]{{1,{_SHORT}}}?)\s*", reply)
    return (short[1] if short else None), False


def _formulas(text: str) -> list[str]:
    """What each formula of `text` that is set apart by dollars or brackets holds."""
    return [next(filter(None, found.groups())).strip() for found in _SET.finditer(text)]


TASKS: dict[str, Task] = {task.name: task for task in (Math500(),)}
