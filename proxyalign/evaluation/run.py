"""Decode a task's questions with a pair under a rule, record by record, and go on where an earlier run stopped."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import proxyalign
from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation.metrics import Summary, summarise
from proxyalign.evaluation.provenance import commit, models_digest
from proxyalign.evaluation.records import RECORDS, RecordFile, check_folder, claim_folder
from proxyalign.evaluation.rows import ROWS, RowSample
from proxyalign.evaluation.settings import Settings, questions_digest
from proxyalign.files import write_json
from proxyalign.tasks import Question, Task

if TYPE_CHECKING:
    from proxyalign.decoding import Trace
    from proxyalign.models import ModelPair

SUMMARY = "summary.json"
ProxyPrompts = list[str] | list[list[int]] | None  # texts or token ids, None where the proxy reads what the base does
Progress = Callable[[Settings, int, int], None]  # called with the run, how many questions are done, and how many of all


def prepare(
    grid: Sequence[Settings], out: str | Path, *, data: str | Path | None = None, batch_size: int = 1
) -> list[Question]:
    """Check everything about `grid` that can be checked without the models, and return its questions; writes nothing.

    grid: one or more settings that differ in rule, parameters, mode, window, temperature or seed. Raises InputError
    for rules, tasks and files that cannot be used, and for a folder `out` that holds something else.
    """
    from proxyalign.deferral import rules

    _check_batch_size(batch_size)
    if not grid:
        raise InputError("evaluation: the grid must hold at least one run, got none; pass a rule")
    for settings in grid:
        rules.make(settings.rule, **settings.parameters)
    if len({settings.slug for settings in grid}) < len(grid):
        raise InputError("evaluation: the grid's runs must differ, got the same run twice; drop one")
    questions = _questions(grid[0], data)
    check_folder(Path(out), _merged(grid, questions))
    return questions


def run_grid(
    pair: "ModelPair",
    grid: Sequence[Settings],
    out: str | Path,
    *,
    data: str | Path | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run every settings of `grid` into its own folder in `out`, and write and return `out`/summary.json.

    The summary has `settings` (those that the runs share, and lists of those that they do not), `runs` (rule,
    parameters, folder and the numbers of a Summary, in the grid's order), `version` and `commit`. Arguments and
    errors are those of `run`; the folder `out` may hold this grid alone.
    """
    from proxyalign.decoding.arguments import check_reference
    from proxyalign.deferral import rules

    out = Path(out)
    questions = prepare(grid, out, data=data, batch_size=batch_size)
    for settings in grid:
        check_reference("evaluation", pair, rules.make(settings.rule, **settings.parameters))
    own = _proxy_prompts(pair, grid[0], questions)
    _check_lengths(pair, questions, own, max(settings.max_new_tokens for settings in grid))
    merged = _merged(grid, questions)
    claim_folder(out, {**merged, "models": models_digest(pair)})
    rows = []
    for settings in grid:
        result = run(pair, settings, out, data=data, batch_size=batch_size, progress=progress)
        rows.append(
            {
                "rule": settings.rule,
                "parameters": dict(settings.parameters),
                "folder": settings.slug,
                **result.as_dict(),
            }
        )
    summary = {"settings": merged, "runs": rows, "version": proxyalign.__version__, "commit": commit()}
    write_json(out / SUMMARY, summary)
    return summary


def run(
    pair: "ModelPair",
    settings: Settings,
    out: str | Path,
    *,
    data: str | Path | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> Summary:
    """Answer every question of `settings` with `pair`, and return what the records say.

    The folder `out`/`settings.slug` gets settings.json, records.jsonl (one JSON object per question, on the disk
    before the next batch is decoded) and, where `settings.rows` asks for it, rows.npz (see `RowSample`). Where it
    holds records of the same settings, questions and models already, the run goes on after the last complete one:
    question i is decoded with the seed of prompt i, so the records are those of an uninterrupted run.

    A record has: index, id, meta, prompt_sha256, reply, extracted, correct, strict, n_tokens, seconds (its share, by
    tokens, of its batch's decoding time), deferral_mass (summed over tokens), n_tested, n_accepted and n_cycles (0
    where nothing is drafted), the settings, version and commit.

    data: the folder of the task's files. batch_size: how many questions are decoded together; it changes the speed
    alone. progress: told after each batch. Raises InputError for what cannot be used, before anything is written.
    """
    from proxyalign.decoding import generate
    from proxyalign.decoding.arguments import check_reference
    from proxyalign.deferral import rules

    _check_batch_size(batch_size)
    rule = rules.make(settings.rule, **settings.parameters)
    check_reference("evaluation", pair, rule)
    task, questions = tasks.get(settings.task), _questions(settings, data)
    own = _proxy_prompts(pair, settings, questions)
    _check_lengths(pair, questions, own, settings.max_new_tokens)
    folder = Path(out) / settings.slug
    claim_folder(
        folder,
        {
            **settings.as_dict(),
            "questions": questions_digest(_as_put(pair, settings, questions)),
            "models": models_digest(pair),
        },
    )
    drafts = settings.mode == "speculative" and rule.constant is not True  # the proxy alone has nothing to verify
    constants = {**settings.as_dict(), "version": proxyalign.__version__, "commit": commit()}
    with RecordFile(folder / RECORDS) as file:
        sample = None
        if settings.rows and rule.constant is not True:  # a rule that always defers visits no base distribution
            sample = _row_sample(settings, folder, resumed=bool(file.records))
        while (first := len(file.records)) < len(questions):
            if progress:
                progress(settings, first, len(questions))
            batch = questions[first : first + batch_size]
            replies = generate(
                pair,
                [question.prompt for question in batch],
                rule,
                mode=settings.mode,
                window=settings.window,
                max_new_tokens=settings.max_new_tokens,
                temperature=settings.temperature,
                rule_temperature=settings.rule_temperature,
                seed=settings.seed,
                proxy_prompts=None if own is None else own[first : first + batch_size],
                batch_size=batch_size,
                distributions=sample is not None,
                first_index=first,
            )
            if sample is not None:  # before the records: a kill in between repeats the batch and finds its rows kept
                for index, trace in enumerate(replies.traces, start=first):
                    if trace.distributions is not None:
                        sample.offer(index, trace.distributions)
                sample.save()
            per_token = replies.stats.seconds / max(1, replies.stats.n_tokens)
            for question, text, trace in zip(batch, replies.texts, replies.traces, strict=True):
                answer = _record(task, question, len(file.records), text, trace, drafts)
                file.append({**answer, "seconds": per_token * answer["n_tokens"], **constants})
        if progress:
            progress(settings, len(questions), len(questions))
        return summarise(file.records)


def _check_batch_size(batch_size: int) -> None:
    if not batch_size >= 1:
        raise InputError(
            f"evaluation: batch_size must be a whole number of at least 1, got {batch_size}; pass 1 or more"
        )


def _questions(settings: Settings, data: str | Path | None) -> list[Question]:
    """The questions of a run, after a check that this is the task's version that the settings name."""
    task = tasks.get(settings.task)
    if task.version != settings.task_version:
        raise InputError(
            f"evaluation: task_version of {task.name} must be {task.version}, got {settings.task_version}; "
            "scores of two versions do not compare, so start a new run with this one"
        )
    return task.questions(split=settings.split, data=data, limit=settings.limit)


def _as_put(pair: "ModelPair", settings: Settings, questions: Sequence[Question]) -> Sequence[Question]:
    """The questions with the texts that the proxy reads under these settings, so that another template is noticed."""
    if not settings.proxy_chat:
        return questions
    return [replace(question, proxy_prompt=pair.chat_text(question.prompt)) for question in questions]


def _check_lengths(pair: "ModelPair", questions: Sequence[Question], own: ProxyPrompts, max_new_tokens: int) -> None:
    """Raise InputError for the first question that leaves no room for its reply, before any of them is decoded.

    own: what the proxy reads of each.
    """
    if pair.context_length is None:
        return
    for question, of_proxy in zip(questions, own or [[]] * len(questions), strict=True):
        ids = pair.encode(of_proxy) if isinstance(of_proxy, str) else of_proxy
        n_tokens = max(len(pair.encode(question.prompt)), len(ids))
        if n_tokens + max_new_tokens > pair.context_length:
            raise InputError(
                f"evaluation: prompt and reply must fit the models' context of {pair.context_length} tokens, "
                f"got {n_tokens} + {max_new_tokens} for question {question.id}; "
                "lower max_new_tokens (--max-new-tokens), or take a task with shorter prompts or other models"
            )


def _merged(grid: Sequence[Settings], questions: Sequence[Question]) -> dict[str, Any]:
    """What the settings of a grid say, one value where they agree and a list of each run's where they do not."""
    merged: dict[str, Any] = {}
    for name in grid[0].as_dict():
        values = [settings.as_dict()[name] for settings in grid]
        merged[name] = values[0] if all(value == values[0] for value in values) else values
    return {**merged, "questions": questions_digest(questions)}


def _row_sample(settings: Settings, folder: Path, *, resumed: bool) -> RowSample:
    """The sample of visited rows that the settings ask for, with what an earlier run kept."""
    if resumed and not (folder / ROWS).exists():
        raise InputError(
            f"evaluation: {folder / ROWS} must be there beside the records that it belongs to, got none; "
            "restore the file, or delete the run's folder and start it again"
        )
    return RowSample(folder / ROWS, settings.rows, settings.seed)


def _proxy_prompts(pair: "ModelPair", settings: Settings, questions: Sequence[Question]) -> ProxyPrompts:
    """What the proxy reads of each question."""
    if settings.proxy_chat:
        return [pair.chat(question.prompt) for question in questions]
    if all(question.proxy_prompt is None for question in questions):
        return None
    return [question.prompt if question.proxy_prompt is None else question.proxy_prompt for question in questions]


def _record(task: Task, question: Question, index: int, text: str, trace: "Trace", drafts: bool) -> dict[str, Any]:
    """What one reply is worth and what it took, as JSON values."""
    score = task.score(question, text)
    n_tested, n_accepted, n_cycles = _drafting(trace.source.tolist()) if drafts else (0, 0, 0)
    return {
        "index": index,
        "id": question.id,
        "meta": dict(question.meta),
        "prompt_sha256": hashlib.sha256(question.prompt.encode()).hexdigest(),
        "reply": text,
        "extracted": score.extracted,
        "correct": score.correct,
        "strict": score.strict,
        "n_tokens": len(trace.token_ids),
        "deferral_mass": float(trace.deferral_mass.sum()),
        "n_tested": n_tested,
        "n_accepted": n_accepted,
        "n_cycles": n_cycles,
    }


def _drafting(sources: Sequence[str]) -> tuple[int, int, int]:
    """Drafts tested, drafts accepted and cycles of a speculative reply, read off who wrote its tokens.

    An emitted "draft" was tested and accepted, and a "residual" stands where a test failed. A cycle ends in a residual,
    in a bonus of the "base", ahead of an owed draft, which is the "proxy"'s, or where the reply ends within a window.
    """
    n_accepted, n_rejected = sources.count("draft"), sources.count("residual")
    cut_short = sources[-1:] in (["draft"], ["proxy"])
    return n_accepted + n_rejected, n_accepted, n_rejected + sources.count("base") + sources.count("proxy") + cut_short
