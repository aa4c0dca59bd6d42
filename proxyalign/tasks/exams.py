"""Reading multiple-choice questions in the JSON lines of the Allen Institute: ARC, and CommonsenseQA after it."""

from pathlib import Path
from typing import Any

from proxyalign.tasks.choices import LETTERS, Item
from proxyalign.tasks.files import bad_row, check_unique, read_jsonl, shown


def read_exam(task: str, path: Path) -> list[Item]:
    """The questions of a file whose lines hold `id`, `question` (`stem`, `choices` of `text` and `label`), `answerKey`.

    Labels may be letters or digits, of any number of choices from two on; the choices keep their order, and the first
    is A whatever its label is. Raises InputError naming the line of one that cannot be used.
    """
    rows = read_jsonl(task, path, {"id": str, "question": dict, "answerKey": str})
    check_unique(task, path, [(number, row["id"]) for number, row in rows], "id")
    return [_item(task, path, number, row) for number, row in rows]


def _item(task: str, path: Path, number: int, row: dict[str, Any]) -> Item:
    stem, choices = row["question"].get("stem"), row["question"].get("choices")
    if not isinstance(stem, str) or not stem.strip():
        raise bad_row(task, path, number, "have a text as the stem of its question", stem)
    if not isinstance(choices, list) or not 2 <= len(choices) <= len(LETTERS):
        raise bad_row(task, path, number, f"have from 2 to {len(LETTERS)} choices", choices)
    for choice in choices:
        for name in ("text", "label"):
            value = choice.get(name) if isinstance(choice, dict) else None
            if not isinstance(value, str) or not value.strip():
                raise bad_row(task, path, number, f"have choices with a {name} each", choice)
    labels = [choice["label"] for choice in choices]
    if len(set(labels)) < len(labels) or row["answerKey"] not in labels:
        raise bad_row(
            task, path, number, f"have an answerKey among different labels, {shown(labels)}", row["answerKey"]
        )
    return Item(row["id"], stem.strip(), tuple(choice["text"] for choice in choices), labels.index(row["answerKey"]))
