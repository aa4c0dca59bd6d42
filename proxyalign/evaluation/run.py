"""Decode a task's questions with a pair under a rule, record by record, and go on where an earlier run stopped."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import proxyalign
from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation.asked import Asked, ask, read_questions, store_chats, stored_chats
from proxyalign.evaluation.metrics import Summary, summarise
from proxyalign.evaluation.provenance import commit, models_digest
from proxyalign.evaluation.records import RECORDS, RecordFile, check_folder, claim_folder
from proxyalign.evaluation.row_sample import ROWS, RowSample
from proxyalign.evaluation.settings import Settings, questions_digest
from proxyalign.files import write_json
from proxyalign.tasks import Question, Task
from proxyalign.validation import check_count

if TYPE_CHECKING:
    from proxyalign.decoding import Generation, Trace
    from proxyalign.models import ModelPair

SUMMARY = "summary.json"
Progress = Callable[[Settings, int, int], None]  # called with the run, how many questions are done, and how many of all


def prepare(
    grid: Sequence[Settings], out: str | Path, *, data: str | Path | None = None, batch_size: int = 1
) -> list[Question]:
    """Check everything about `grid` that can be checked without the models, and return its questions; writes nothing.

    grid: one or more settings that differ in rule, parameters, mode, window, temperature or seed. Raises InputError
    for rules, tasks and files that cannot be used, and for a folder `out` that holds something else.
    """
    from proxyalign.deferral import rules

    check_count("evaluation", "batch_size", batch_size, least=1)
    if not grid:
        raise InputError("evaluation: the grid must hold at least one run, got none; pass a rule")
    for settings in grid:
        rules.make(settings.rule, **settings.parameters)
    if len({settings.slug for settings in grid}) < len(grid):
        raise InputError("evaluation: the grid's runs must differ, got the same run twice; drop one")
    questions = read_questions(grid, data)
    check_folder(Path(out), {**_merged(grid), "questions": questions_digest(questions)})
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
    out = Path(out)
    questions = prepare(grid, out, data=data, batch_size=batch_size)
    for settings in grid:
        _check_reference(pair, settings)
    asked = ask(
        pair,
        grid[0],
        questions,
        n_new=max(settings.max_new_tokens for settings in grid),
        chats=stored_chats(out, questions) if grid[0].proxy_chat else None,
    )
    merged, models = {**_merged(grid), **asked.fingerprint()}, models_digest(pair)
    claim_folder(out, {**merged, "models": models})
    store_chats(out, asked)
    rows = []
    for settings in grid:
        result = _run(pair, settings, out / settings.slug, asked, models, batch_size, progress)
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
    before the next batch is decoded), where `settings.rows` asks for it, rows.npz (see `RowSample`), and where the
    proxy reads its chat template, proxy_prompts.json. Where it holds records of the same settings, questions and models
    already, the run goes on after the last complete one, with the prompts that it began with, should the template write
    the date into them: question i is decoded with the seed of prompt i, so the records are those of an uninterrupted
    run. A reply ends where it goes on to a next question (`Task.stop`).

    A record has: index, id, meta, prompt_sha256, reply, extracted, correct, strict, n_tokens, seconds (its share, by
    tokens, of its batch's decoding time), deferral_mass (summed over tokens), n_tested, n_accepted and n_cycles (0
    where nothing is drafted), the settings, version and commit.

    data: the folder of the task's files. batch_size: how many questions are decoded together; it changes the speed
    alone. progress: told after each batch. Raises InputError for what cannot be used, before anything is written.
    """
    check_count("evaluation", "batch_size", batch_size, least=1)
    _check_reference(pair, settings)
    questions, folder = read_questions([settings], data), Path(out) / settings.slug
    chats = stored_chats(folder, questions) if settings.proxy_chat else None
    asked = ask(pair, settings, questions, n_new=settings.max_new_tokens, chats=chats)
    return _run(pair, settings, folder, asked, models_digest(pair), batch_size, progress)


def _run(
    pair: "ModelPair",
    settings: Settings,
    folder: Path,
    asked: Asked,
    models: str,
    batch_size: int,
    progress: Progress | None,
) -> Summary:
    """Answer what is asked into `folder`, after all checks but those of the folder. models: their digest."""
    claim_folder(folder, {**settings.as_dict(), **asked.fingerprint(), "models": models})
    task, n = tasks.get(settings.task), len(asked.questions)
    constants = {**settings.as_dict(), "version": proxyalign.__version__, "commit": commit()}
    with RecordFile(folder / RECORDS) as file:
        if asked.chats is not None:
            stored_chats(folder, asked.questions, must_exist=bool(file.records))
            store_chats(folder, asked)
        sample = _row_sample(settings, folder, resumed=bool(file.records))
        while (first := len(file.records)) < n:
            if progress:
                progress(settings, first, n)
            questions, *_ = asked.batch(first, batch_size)
            replies = _decoded(pair, settings, asked, first, batch_size, False if sample is None else sample.wants)
            if sample is not None:  # before the records: a kill in between repeats the batch and finds its rows kept
                for index, trace in enumerate(replies.traces, start=first):
                    if trace.distributions is not None and trace.law_positions is not None:
                        positions = trace.law_positions
                        sample.offer(index, positions.tolist(), trace.distributions, trace.deferral_mass[positions])
                sample.save()
            per_token = replies.stats.seconds / max(1, replies.stats.n_tokens)
            for question, text, trace in zip(questions, replies.texts, replies.traces, strict=True):
                answer = _record(task, question, len(file.records), text, trace)
                file.append({**answer, "seconds": per_token * answer["n_tokens"], **constants})
        if progress:
            progress(settings, n, n)
        return summarise(file.records)


def _decoded(
    pair: "ModelPair",
    settings: Settings,
    asked: Asked,
    first: int,
    batch_size: int,
    distributions: bool | Callable[[int, int], bool],
) -> "Generation":
    """The replies to the questions from number `first` on. distributions: as of `generate`."""
    from proxyalign.decoding import generate
    from proxyalign.deferral import rules

    _, prompts, proxy_prompts = asked.batch(first, batch_size)
    return generate(
        pair,
        prompts,
        rules.make(settings.rule, **settings.parameters),
        mode=settings.mode,
        window=settings.window,
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        rule_temperature=settings.rule_temperature,
        seed=settings.seed,
        proxy_prompts=proxy_prompts,
        stop=asked.stop,
        batch_size=batch_size,
        distributions=distributions,
        first_index=first,
        boundaries=settings.boundaries,
    )


def _check_reference(pair: "ModelPair", settings: Settings) -> None:
    from proxyalign.decoding.arguments import check_reference
    from proxyalign.deferral import rules

    check_reference("evaluation", pair, rules.make(settings.rule, **settings.parameters))


def _merged(grid: Sequence[Settings]) -> dict[str, Any]:
    """What the settings of a grid say, one value where they agree and a list of each run's where they do not."""
    merged: dict[str, Any] = {}
    for name in grid[0].as_dict():
        values = [settings.as_dict()[name] for settings in grid]
        merged[name] = values[0] if all(value == values[0] for value in values) else values
    return merged


def _row_sample(settings: Settings, folder: Path, *, resumed: bool) -> RowSample | None:
    """The sample of visited rows that the settings ask for, with what an earlier run kept.

    None where they ask for none, and for a rule that always defers, which visits no base distribution.
    """
    from proxyalign.deferral import rules

    if not settings.rows or rules.make(settings.rule, **settings.parameters).constant is True:
        return None
    if resumed and not (folder / ROWS).exists():
        raise InputError(
            f"evaluation: {folder / ROWS} must be there beside the records that it belongs to, got none; "
            "restore the file, or delete the run's folder and start it again"
        )
    return RowSample(folder / ROWS, settings.rows, settings.seed)


def _record(task: Task, question: Question, index: int, text: str, trace: "Trace") -> dict[str, Any]:
    """What one reply is worth and what it took, as JSON values."""
    score = task.score(question, text)
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
        "n_tested": trace.n_tested,
        "n_accepted": trace.n_accepted,
        "n_cycles": trace.n_cycles,
    }
