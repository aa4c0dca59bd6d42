"""The search for a setting by Optuna: one evaluation at a time, seeded, and on the disk, to go on with after a kill."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyalign.errors import InputError
from proxyalign.evaluation.tuning.development import Development, Progress, check_settings
from proxyalign.evaluation.tuning.folder import claimed
from proxyalign.evaluation.tuning.space import Setting, Space
from proxyalign.validation import check_count

if TYPE_CHECKING:
    from proxyalign.models import ModelPair

# What each objective makes large.
OBJECTIVES = {
    "accuracy": ("accuracy",),
    "speed": ("tokens_per_second",),
    "pareto": ("accuracy", "tokens_per_second"),
}
STUDY = "study.db"
Row = Mapping[str, Any]


def search(
    pair: "ModelPair",
    development: Development,
    space: Space,
    out: str | Path,
    *,
    objective: str = "accuracy",
    n_trials: int = 20,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Try `n_trials` settings of `space`, each chosen by Optuna's TPE in the light of those before; all, in order.

    A trial is an evaluation: a dict of rule, parameter (None where it has none), window, temperature, label, folder,
    and the numbers of its `Summary`. objective: "accuracy", "speed" (tokens a second) or "pareto" (both). out: a folder
    of this search alone, with the study in study.db and the records in records/; a setting that comes again is not
    decoded again. Every trial draws from a generator of its own, seeded by `development.seed` and by how many are done:
    a search of accuracy gives the same trials again, and one that was killed goes on to the same end when it is called
    again. Speed is read off a clock, and what it says steers the search: two searches by speed need not agree.

    Raises InputError for what cannot be used, and for a folder of something else, before anything is decoded.
    """
    import optuna
    from optuna.trial import TrialState

    measures = measures_of(objective)
    check_count("tune", "trials", n_trials, least=1)
    settings = list(space.settings())
    check_settings(pair, development, settings)
    questions = development.questions()
    out = Path(out)
    asked = {**development.as_dict(), **asdict(space), "objective": objective}
    with claimed(out, asked), _quiet(), _usable(out / STUDY):
        study = optuna.create_study(
            storage=_storage(out),
            study_name="tune",
            directions=["maximize"] * len(measures),
            load_if_exists=True,
        )
        for cut_off in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(cut_off.number, state=TrialState.FAIL)  # by a kill; what it tried is chosen anew, the same
        if "tokens_per_second" in measures and development.benchmark.kind == "reply":
            _warm_up(pair, development, settings, [question.prompt for question in questions])
        while len(rows := _finished(study)) < n_trials:
            if progress:
                progress("trials", len(rows), n_trials)
            study.sampler = optuna.samplers.TPESampler(seed=_seed(development.seed, len(rows)))
            trial = study.ask()
            setting = _suggested(trial, space)
            summary = development.evaluate(pair, setting, out, progress).as_dict()
            folder = development.settings(setting).slug
            trial.set_user_attr("row", {**asdict(setting), "label": str(setting), "folder": folder, **summary})
            study.tell(trial, [summary[measure] for measure in measures])
        if progress:
            progress("trials", n_trials, n_trials)
        return rows[:n_trials]


def measures_of(objective: str) -> tuple[str, ...]:
    """The numbers that an objective makes large, "accuracy" and "tokens_per_second". InputError for another name."""
    if objective not in OBJECTIVES:
        raise InputError(f"tune: objective must be {', '.join(OBJECTIVES)}, got {objective!r}; choose one of them")
    return OBJECTIVES[objective]


def ranked(rows: Sequence[Row], objective: str) -> list[Row]:
    """The settings that were tried, each once, best first; of "pareto" those alone that no other beats in both.

    "Beats" is: at least as large in both, and larger in one. Ties keep the order in which they were tried; the front
    begins with the most accurate.
    """
    measures = measures_of(objective)
    tried: dict[str, Row] = {}
    for row in rows:
        tried.setdefault(str(row["label"]), row)
    worth = {label: tuple(row[measure] for measure in measures) for label, row in tried.items()}
    is_front = len(measures) > 1
    best = [label for label in tried if not (is_front and any(_beats(one, worth[label]) for one in worth.values()))]
    return [tried[label] for label in sorted(best, key=worth.__getitem__, reverse=True)]


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine >= its for mine, its in zip(one, other, strict=True))


def _suggested(trial: Any, space: Space) -> Setting:
    """What Optuna suggests. Parameters of two rules have nothing in common but their names, so each has its own."""
    rule = trial.suggest_categorical("rule", space.rules)
    values = space.values(rule)
    place = trial.suggest_int(f"place of {rule}", 0, len(values) - 1)
    window = trial.suggest_categorical("window", space.windows)
    temperature = trial.suggest_categorical("temperature", space.temperatures)
    return Setting(rule, values[place], window, temperature)


def _finished(study: Any) -> list[dict[str, Any]]:
    """What the trials that ended say, in the order in which they were begun."""
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [dict(trial.user_attrs["row"]) for trial in done]


def _storage(out: Path) -> Any:
    """The study's file, by a connection of ours, since a URL would cut a path at a question mark.

    A kill leaves it whole. It is not waited for until the disk has it, fifteen times a trial: where the power fails and
    it is lost, the records are there, and the same search finds all of them again.
    """
    import sqlite3

    from optuna.storages import RDBStorage

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(out / STUDY, timeout=60)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    return RDBStorage("sqlite:///study", engine_kwargs={"creator": connect})


def _seed(seed: int, n_done: int) -> int:
    """The seed of the sampler's next choice, which depends on nothing that a kill could lose."""
    return int(np.random.SeedSequence([seed, n_done]).generate_state(1)[0])


def _warm_up(pair: "ModelPair", development: Development, settings: Sequence[Setting], prompts: list[str]) -> None:
    """Decode a little by every rule in every mode, so that no clock counts what is paid once, such as compiling."""
    from proxyalign.decoding import generate

    for how in {(setting.rule, setting.window): setting for setting in settings}.values():
        generate(
            pair,
            prompts[: development.batch_size],
            how.made(),
            mode=how.how["mode"],
            window=how.how["window"],
            temperature=how.temperature,
            max_new_tokens=min(8, development.n_new_tokens),
            batch_size=development.batch_size,
        )


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """A context in which a study that cannot be read or written is told in a sentence."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as reason:
        said = str(reason.__cause__ or reason).splitlines()[0]
        raise InputError(
            f"tune: {str(path)!r} must be a study of Optuna's with room to grow, got {said}; make room, or delete "
            "it: the records make its trials again"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """A context in which Optuna writes no lines of its own on stderr, where progress is shown."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
