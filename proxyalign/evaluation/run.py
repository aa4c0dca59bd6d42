"""Put a task's questions to a pair under a rule, record by record, and go on where an earlier run stopped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import proxyalign
from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation.answers import answered, n_together
from proxyalign.evaluation.asked import PROMPTS, Asked, ask, read_questions, store_chats, stored_chats
from proxyalign.evaluation.kept_traces import check_traces
from proxyalign.evaluation.metrics import Summary, summarise
from proxyalign.evaluation.provenance import commit, data_editions, models_digest
from proxyalign.evaluation.records import RECORDS, RecordFile, check_folder, claim_folder, writing
from proxyalign.evaluation.row_sample import ROWS, RowSample
from proxyalign.evaluation.settings import Settings, questions_digest
from proxyalign.evaluation.shards import Shard
from proxyalign.files import write_json
from proxyalign.tasks import Question
from proxyalign.validation import check_count

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

SUMMARY = "summary.json"
Record = Mapping[str, Any]
Progress = Callable[[Settings, int, int], None]  # called with the run, how many questions are done, and how many of all


def prepare(
    grid: Sequence[Settings],
    out: str | Path,
    *,
    data: str | Path | None = None,
    batch_size: int = 1,
    shard: str | None = None,
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
    out, _, told = _part(grid[0], Path(out), len(questions), batch_size, shard)
    digest = questions_digest(questions, in_chat=grid[0].proxy_chat)
    check_folder(out, {**merged_settings(grid), **told, "questions": digest})
    return questions


def run_grid(
    pair: "ModelPair",
    grid: Sequence[Settings],
    out: str | Path,
    *,
    data: str | Path | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
    shard: str | None = None,
    traces: bool = False,
) -> dict[str, Any]:
    """Run every settings of `grid` into its own folder in `out`, and write and return `out`/summary.json.

    The summary has `settings` (those that the runs share, and lists of those that they do not), `runs` (rule,
    parameters, folder and the numbers of a Summary, in the grid's order), `version` and `commit` of what wrote it,
    `made_by`, those of what wrote the records, and for a task with files `data`, whether their editions are known (see
    `data_editions`). Arguments and errors are those of `run`; the folder `out` may hold this grid alone.

    shard: a part of the questions alone, as "2/4", which lands in a folder of its own in `out`, for
    `proxyalign.evaluation.merge` to join; all parts must have one batch size.
    """
    for settings in grid:
        check_traces(settings, traces)
    questions = prepare(grid, out, data=data, batch_size=batch_size, shard=shard)
    out, part, told = _part(grid[0], Path(out), len(questions), batch_size, shard)
    for settings in grid:
        _check_reference(pair, settings)
    size = n_together(grid[0], batch_size)
    asked = ask(
        pair,
        grid[0],
        questions,
        n_new=max(settings.max_new_tokens for settings in grid),
        chats=stored_chats(out, questions) if grid[0].proxy_chat else None,
        part=range(part.start // size * size, min(len(questions), -(-part.stop // size) * size)),  # in whole batches
    )
    merged, models = {**merged_settings(grid), **asked.fingerprint(), **told}, models_digest(pair)
    claim_folder(out, {**merged, "models": models})
    with writing(out):
        store_chats(out, asked)
    results = []
    for settings in grid:
        folder = out / settings.slug
        records = _run(pair, settings, folder, asked, models, part, told, batch_size, progress, traces)
        results.append((settings.as_dict(), settings.slug, records))
    return write_summary(out, merged, results, data_editions(tasks.get(grid[0].task), data))


def write_summary(
    out: Path,
    merged: Mapping[str, Any],
    results: Iterable[tuple[Mapping[str, Any], str, Sequence[Record]]],
    data: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Write and return `out`/summary.json of a grid. results: settings, folder and records of each run."""
    runs, makers = [], set()
    groups = tasks.get(merged["task"]).groups
    for settings, folder, records in results:
        told = {"rule": settings["rule"], "parameters": dict(settings["parameters"]), "folder": folder}
        runs.append({**told, **summarise(records, groups=groups).as_dict()})
        makers |= {(record["version"], record["commit"]) for record in records}
    summary = {
        "settings": dict(merged),
        "runs": runs,
        "version": proxyalign.__version__,
        "commit": commit(),
        "made_by": [{"version": version, "commit": made} for version, made in sorted(makers, key=str)],
        **({} if data is None else {"data": dict(data)}),
    }
    with writing(out / SUMMARY):
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
    traces: bool = False,
) -> Summary:
    """Answer every question of `settings` with `pair`, and return what the records say.

    The folder `out`/`settings.slug` gets settings.json, records.jsonl (one JSON object per question, on the disk
    before the next batch is decoded), where `settings.rows` asks for it, rows.npz (see `RowSample`), and where the
    proxy reads its chat template, proxy_prompts.json. Where it holds records of the same settings, questions and models
    already, the run goes on after the last complete one, with the prompts that it began with, should the template write
    the date into them: question i is decoded with the seed of prompt i, so the records are those of an uninterrupted
    run. A reply ends where it goes on to a next question (`Task.stop`).

    A record has: index, id, meta, prompt_sha256, reply, reply_measures (of `evaluation.measures`, those that nothing
    else in it gives), extracted, correct, strict, measures (where the task has any, see `Score`), n_tokens, seconds
    (its share, by tokens, of its batch's decoding time), deferral_mass (summed over tokens), n_tested, n_accepted and
    n_cycles (0 where nothing is drafted), the settings, version and commit. That of a choice task has log_likelihoods
    in place of the reply, of the question's choices and then of its others, in nats and null for minus infinity; its
    n_tokens are those of the prompt as the base reads it, and of the choices.

    Records of an earlier version of the package are gone on with, as long as settings, questions, models and the task's
    version are the same: each says which version wrote it.

    data: the folder of the task's files. batch_size: how many questions are decoded together; it changes the speed
    alone. progress: told after each batch. traces: whether each record has its reply's trace too, token by token
    (`kept_traces.kept`), which a report shows; it changes no answer, so that a run may go on with or without. Raises
    InputError for what cannot be used, before anything is written.
    """
    check_count("evaluation", "batch_size", batch_size, least=1)
    check_traces(settings, traces)
    _check_reference(pair, settings)
    questions, folder = read_questions([settings], data), Path(out) / settings.slug
    chats = stored_chats(folder, questions) if settings.proxy_chat else None
    asked = ask(pair, settings, questions, n_new=settings.max_new_tokens, chats=chats)
    everything = range(len(questions))
    records = _run(pair, settings, folder, asked, models_digest(pair), everything, {}, batch_size, progress, traces)
    return summarise(records, groups=tasks.get(settings.task).groups)


def _run(
    pair: "ModelPair",
    settings: Settings,
    folder: Path,
    asked: Asked,
    models: str,
    part: range,
    told: Mapping[str, Any],
    batch_size: int,
    progress: Progress | None,
    traces: bool,
) -> list[dict[str, Any]]:
    """Answer the questions of `part` into `folder`, after all checks but those of the folder; their records.

    models: their digest. told: what the folder's settings say of the part, nothing where it is all questions.
    """
    claim_folder(folder, {**settings.as_dict(), **asked.fingerprint(), **told, "models": models})
    constants = {**settings.as_dict(), "version": proxyalign.__version__, "commit": commit()}
    size = n_together(settings, batch_size)
    with RecordFile(folder / RECORDS, first=part.start) as file:
        for name in (ROWS, PROMPTS):  # what a kill left of files that were being written, which may be large
            for partial in folder.glob(f".{name}.*"):
                partial.unlink()
        if asked.chats is not None:
            stored_chats(folder, asked.questions, must_exist=bool(file.records))
            with writing(folder):
                store_chats(folder, asked)
        sample = _row_sample(settings, folder, resumed=bool(file.records))
        while (n_done := len(file.records)) < len(part):
            if progress:
                progress(settings, n_done, len(part))
            first = part.start + n_done
            start = first // size * size
            batch = range(start, min(start + size, len(asked.questions)))
            own = range(first, min(batch.stop, part.stop))
            records = answered(pair, settings, asked, batch, own, batch_size=batch_size, sample=sample, traces=traces)
            file.append(*({**record, **constants} for record in records))
        if progress:
            progress(settings, len(part), len(part))
        return file.records


def _part(
    settings: Settings, out: Path, n: int, batch_size: int, shard: str | None
) -> tuple[Path, range, dict[str, Any]]:
    """The folder of a shard, its questions' numbers, and what its settings say of it; of all where `shard` is None."""
    if shard is None:
        return out, range(n), {}
    one = Shard.parse(shard)
    part = one.part(n, n_together(settings, batch_size))
    return out / one.folder, part, {"shard": one.as_dict(part, n)}


def _check_reference(pair: "ModelPair", settings: Settings) -> None:
    from proxyalign.decoding.arguments import check_reference
    from proxyalign.deferral import rules

    check_reference("evaluation", pair, rules.make(settings.rule, **settings.parameters))


def merged_settings(grid: Sequence[Settings]) -> dict[str, Any]:
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
