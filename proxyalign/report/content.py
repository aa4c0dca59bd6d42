"""What a report shows of each question: its text where it can be found, and every run's reply with its trace."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation.comparison.runs import Run
from proxyalign.tasks import Question

_LAB = "lab.json"  # what the folder of a trained lab pair holds, which is the data of its own world


def questions_of(run: Run, data: str | Path | None) -> tuple[dict[str, Question], str | None]:
    """The questions of a run by id, and a sentence where some of their texts are not to be had.

    Records hold a digest of each prompt and not the prompt, so that questions are read from the task's files again and
    taken where the digest agrees. data: the folder of these files, by default what PROXYALIGN_DATA names. Raises
    InputError where `data` is given and cannot be read.
    """
    settings = run.settings
    name, pair = str(settings.get("task")), Path(str(settings.get("pair")))
    folder = pair if data is None and name.startswith("lab-") and (pair / _LAB).is_file() else data
    found: list[Question] = []
    why = f"there is no task {name!r}"
    if name in tasks.NAMES:
        why = "the task's files hold other ones"
        try:
            found = tasks.get(name).questions(str(settings.get("split")), folder, settings.get("limit"))
        except InputError as reason:
            if data is not None:
                raise
            why = str(reason)
    digests = {str(record["id"]): record.get("prompt_sha256") for record in run.records}
    same = {one.id: one for one in found if hashlib.sha256(one.prompt.encode()).hexdigest() == digests.get(one.id)}
    n = len(digests) - len(same)
    return same, f"the texts of {n} of {len(digests)} questions are not shown: {why}" if n else None


def content(runs: Sequence[Run], questions: Mapping[str, Question]) -> dict[str, Any]:
    """Everything that the page's script shows, as JSON values.

    runs: all of the same questions, the reference first, whose order is the page's. `questions` has a question's `id`,
    and where they are known its `text`, `answer` and `choices`; `replies` one list a run, in the order of `questions`.
    """
    ids = [str(record["id"]) for record in runs[0].records]
    return {
        "runs": [run.label for run in runs],
        "questions": [{"id": name, **_shown(questions.get(name))} for name in ids],
        "replies": [[_reply(by_id[name]) for name in ids] for by_id in (run.by_id for run in runs)],
    }


def _shown(question: Question | None) -> dict[str, Any]:
    """The text that was asked, without the examples before it where the task tells them apart."""
    if question is None:
        return {}
    text = question.prompt if question.message is None else question.message
    if question.choices:
        return {"text": text, "answer": question.reference, "choices": [choice.strip() for choice in question.choices]}
    return {"text": text, "answer": str(question.reference)}


def _reply(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a run made of one question. A trace goes in as it was kept."""
    n = record["n_tokens"]
    told = {
        "right": bool(record["correct"]),
        "extracted": record["extracted"],
        "n_tokens": n,
        "deferred": record["deferral_mass"] / n if n else 0.0,
    }
    return told | {name: record[name] for name in ("reply", "trace", "log_likelihoods") if name in record}
