"""What a run puts to a pair: the questions, and the token ids that each model reads of them, made once for all runs."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation.settings import Settings, questions_digest
from proxyalign.files import read_text, write_json
from proxyalign.tasks import Question

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

PROMPTS = "proxy_prompts.json"
_QUESTIONS = ("task", "task_version", "split", "limit", "proxy_chat", "base_chat")  # what settings say of the questions


@dataclass(frozen=True)
class Asked:
    """The questions of a run, each with what the models read.

    prompts: the base's token ids. chats: the prompts as texts, where the proxy's chat template wrote them, else None.
    proxy_prompts: the proxy's token ids, None where it reads what the base does. stop: strings that end a reply.
    template: a digest of the chat template, None where none is read. choices: of a choice task the ids of each choice,
    and of what is scored beside them, as they follow a question's prompt; None otherwise. first: the number of the
    question that prompts, proxy_prompts and choices begin with, which are those of a shard alone; questions and chats
    are all.
    """

    questions: list[Question]
    prompts: list[list[int]]
    chats: list[str] | None
    proxy_prompts: list[list[int]] | None
    stop: tuple[str, ...]
    template: str | None
    choices: list[list[list[int]]] | None
    first: int

    def rows(self, batch: range) -> slice:
        """Where the questions of these numbers lie in prompts, proxy_prompts and choices."""
        return slice(batch.start - self.first, batch.stop - self.first)

    def fingerprint(self) -> dict[str, Any]:
        """What of it must be the same where a run goes on; what a chat template read off the clock need not be."""
        in_chat = self.template is not None
        told = {"questions": questions_digest(self.questions, in_chat=in_chat), "stop": list(self.stop)}
        return {**told, "chat_template": self.template} if in_chat else told


def read_questions(grid: Sequence[Settings], data: str | Path | None) -> list[Question]:
    """The questions that all runs of the grid ask.

    Raises InputError where they ask different ones, of another version of the task than this one, or none at all.
    """
    first = grid[0]
    for settings in grid:
        for name in _QUESTIONS:
            if getattr(settings, name) != getattr(first, name):
                raise InputError(
                    f"evaluation: {name} must be the same in all runs of a grid, got {getattr(first, name)!r} and "
                    f"{getattr(settings, name)!r}; make two grids of them"
                )
    task = tasks.get(first.task)
    if task.version != first.task_version:
        raise InputError(
            f"evaluation: task_version of {task.name} must be {task.version}, got {first.task_version}; "
            "scores of two versions do not compare, so start a new run with this one"
        )
    questions = task.questions(split=first.split, data=data, limit=first.limit)
    if not questions:
        raise InputError(
            f"evaluation: {task.name} must have a question in its split {first.split!r}, got none; take another split, "
            "or copy the task's files again"
        )
    return questions


def ask(
    pair: "ModelPair",
    settings: Settings,
    questions: list[Question],
    *,
    n_new: int,
    chats: list[str] | None = None,
    part: range | None = None,
) -> Asked:
    """The questions as the models of `pair` read them, with room for `n_new` more tokens.

    part: the numbers of those that are read; all by default. chats: what the proxy's chat template made of all when the
    run began; a template may write the date, so that it makes something else of them now. Raises InputError for a
    question that is empty or too long, and for a base that is served.
    """
    if pair.is_served:
        raise InputError(
            f"evaluation: the base must be loaded here, got {pair.base!r}; ask a served one with proxyalign.generate"
        )
    template = None
    if settings.proxy_chat:
        fresh = [pair.chat_text(_message(question)) for question in questions] if chats is None else chats
        template, chats = _template_digest(pair), fresh
    part = range(len(questions)) if part is None else part
    read, said = questions[part.start : part.stop], None if chats is None else chats[part.start : part.stop]
    prompts, choices = _of_base(pair, settings, read, said)
    proxy_prompts = _of_proxy(pair, settings, read, said)
    stop = tasks.get(settings.task).stop
    asked = Asked(questions, prompts, chats, proxy_prompts, stop, template, choices, part.start)
    _check_lengths(pair, asked, n_new)
    return asked


def _message(question: Question) -> str:
    """What a chat template wraps."""
    return question.prompt if question.message is None else question.message


def _of_base(
    pair: "ModelPair", settings: Settings, questions: Sequence[Question], chats: Sequence[str] | None
) -> tuple[list[list[int]], list[list[list[int]]] | None]:
    """The base's ids of each prompt, and of a choice task those of each question's choices and others after it."""
    prompts, choices = [], []
    for at, question in enumerate(questions):
        said = chats[at] if settings.base_chat and chats is not None else None
        text = question.prompt if said is None else said
        if settings.is_choice:
            from proxyalign.decoding.choices import choice_ids

            prompt, ids = choice_ids(pair, text, (*question.choices, *question.others), in_chat=said is not None)
            choices.append(ids)
        elif said is not None and not pair.has_two_vocabularies:
            prompt = pair.template_ids(text, "base")
        else:  # to another vocabulary the marks of the proxy's template are text like any other
            prompt = pair.encode(text)
        prompts.append(prompt)
    return prompts, choices if settings.is_choice else None


def _of_proxy(
    pair: "ModelPair", settings: Settings, questions: Sequence[Question], chats: Sequence[str] | None
) -> list[list[int]] | None:
    """The proxy's ids of each prompt, None where it reads what the base does."""
    if chats is not None:
        same = settings.base_chat and not pair.has_two_vocabularies
        return None if same else [pair.template_ids(text) for text in chats]
    if not pair.has_two_vocabularies and all(question.proxy_prompt is None for question in questions):
        return None
    texts = [question.prompt if question.proxy_prompt is None else question.proxy_prompt for question in questions]
    # Pieces of choices begin with the blanks at a prompt's end.
    return [pair.encode(text.rstrip() if settings.is_choice else text, "proxy") for text in texts]


def stored_chats(folder: Path, questions: Sequence[Question], *, must_exist: bool = False) -> list[str] | None:
    """What the proxy's chat template made of the questions when the run in `folder` began; None where nothing says so.

    Raises InputError where the file holds something else, or is not there and `must_exist`.
    """
    path = folder / PROMPTS
    remedy = "restore the file, or delete the run's folder and start it again"
    if not path.exists():
        if must_exist:
            raise InputError(
                f"evaluation: {path} must be there beside the records that it belongs to, got none; {remedy}"
            )
        return None
    try:
        texts = json.loads(read_text("evaluation", path))["texts"]
    except (ValueError, TypeError, KeyError):
        texts = None
    if not isinstance(texts, list) or len(texts) != len(questions) or not all(isinstance(text, str) for text in texts):
        raise InputError(
            f"evaluation: {path} must hold the proxy's {len(questions)} prompts, got something else; {remedy}"
        )
    return texts


def store_chats(folder: Path, asked: Asked) -> None:
    """Write what the proxy reads beside the records, where a chat template wrote it and no file says so yet."""
    if asked.chats is not None and not (folder / PROMPTS).exists():
        write_json(folder / PROMPTS, {"texts": asked.chats})


def _template_digest(pair: "ModelPair") -> str:
    """A SHA-256 over the proxy's chat template and the special tokens that it may write."""
    tokenizer = pair.chat_tokenizer
    parts = [tokenizer.chat_template, {name: str(token) for name, token in tokenizer.special_tokens_map.items()}]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check_lengths(pair: "ModelPair", asked: Asked, n_new: int) -> None:
    """Raise InputError for the first question without a token or without room for its reply, before any is decoded."""
    for at, (question, of_base, of_proxy) in enumerate(
        zip(asked.questions[asked.first :], asked.prompts, asked.proxy_prompts or asked.prompts, strict=False)
    ):
        if asked.choices is not None:
            n_new = max(map(len, asked.choices[at]), default=0)
        if not of_base or not of_proxy:
            raise InputError(
                f"evaluation: a prompt must hold at least one token, got none for question {question.id}; mend the "
                "task's files or the chat template"
            )
        for role, ids in (("base", of_base), ("proxy", of_proxy)):
            room = pair.context_of(role)
            if room is not None and len(ids) + n_new > room:
                what, remedy = "choice", "take"
                if asked.choices is None:
                    what, remedy = "reply", "lower max_new_tokens (--max-new-tokens), or take"
                raise InputError(
                    f"evaluation: prompt and {what} must fit the models' context of {room} tokens, "
                    f"got {len(ids)} + {n_new} for question {question.id}; "
                    f"{remedy} a task with shorter prompts or other models"
                )
