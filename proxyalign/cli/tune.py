"""`proxyalign tune`: choose a rule, its parameter, window and temperature on a task's development questions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxyalign.cli.common import notes, print_json
from proxyalign.cli.options import Base, BaseChat, Device, Offline, Pair, Proxy, ProxyChat, Reference, pair_from_options
from proxyalign.cli.tune_space import RANGE, reference_from_option, space_from_options
from proxyalign.errors import InputError
from proxyalign.validation import check_count

if TYPE_CHECKING:
    from proxyalign.evaluation.tuning.development import Progress
    from proxyalign.evaluation.tuning.space import Setting

RESULT = "tuning.json"


def tune(
    task: Annotated[
        str, typer.Option(help="lab-facts, gsm8k, mmlu, ifeval, ...; its development questions are asked.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for study, records, tuning.json; the same command goes on in it.")],
    split: Annotated[str, typer.Option(help="dev; on test questions nothing is chosen.")] = "dev",
    objective: Annotated[
        str | None, typer.Option(help="accuracy (the default), speed, or pareto: both, with a figure.")
    ] = None,
    guarantee: Annotated[
        list[str] | None,
        typer.Option(
            help="'harm<=0.05@0.9': with probability 0.9 at most 5 % of questions are answered rightly by the "
            "reference and wrongly by the cascade. 'tv<=0.1': texts within 0.1 of the base's. In place of a search."
        ),
    ] = None,
    rules: Annotated[
        str | None,
        typer.Option(help="Rules to choose among, with commas; by default dual,primal, or dual under a guarantee."),
    ] = None,
    alpha: Annotated[
        str | None,
        typer.Option(help=f"Of the rules that take it: LOW:HIGH, or values with commas; by default {RANGE}."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help=f"As --alpha, for the rules that take a budget; by default {RANGE}.")
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            help="Drafts a cycle, with commas, 0 for token by token; by default 0, or 0,1,3,5 where speed counts."
        ),
    ] = None,
    temperatures: Annotated[str, typer.Option(help="Of the draws, with commas; 0 is greedy.")] = "1",
    trials: Annotated[
        int, typer.Option(help="Settings to try; under a guarantee, into how many values a range is cut.")
    ] = 20,
    reference_rule: Annotated[
        str, typer.Option(help="What harm is measured against: a rule, as in never or dual:alpha=0.1.")
    ] = "never",
    pair: Pair = None,
    base: Base = None,
    proxy: Proxy = None,
    reference: Reference = None,
    proxy_chat: ProxyChat = False,
    base_chat: BaseChat = False,
    limit: Annotated[int | None, typer.Option(help="Take the first so many questions; all by default.")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Longest reply in tokens; by default the task's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws, and of the search.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Questions decoded together; changes the speed alone.")] = 16,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the task's files; by default PROXYALIGN_DATA, or the pair's.")
    ] = None,
    device: Device = "cpu",
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print tuning.json and nothing else.")] = False,
) -> None:
    """Choose how to decode on a task's development questions: by a search, or with a guarantee.

    Without --guarantee Optuna tries --trials settings. With it one rule's values are tried in rising order, and the
    last is taken that the questions allow to promise; where there is none, it says how many questions it would take.
    The objective then gives way to the guarantee. After an interruption the same command goes on.

    Example: proxyalign tune --task lab-facts --trials 30 --out tuned
    """
    _check_extras(objective)
    check_count("tune", "trials", trials, least=1)
    from proxyalign.evaluation.tuning.development import Development
    from proxyalign.evaluation.tuning.search import measures_of
    from proxyalign.evaluation.tuning.under_guarantee import promises

    asked, aim = promises(guarantee) if guarantee else None, objective or "accuracy"
    is_timed = "tokens_per_second" in measures_of(aim) and asked is None
    space = space_from_options(
        rules, {"alpha": alpha, "budget": budget}, windows, temperatures,
        n_values=trials, asked=asked, is_timed=is_timed,
    )  # fmt: skip
    against = reference_from_option(reference_rule, space)
    if against is not None and (asked is None or asked.harm is None):
        raise InputError(
            f"tune: --reference-rule must go with a guarantee of harm, got {reference_rule!r} without one; drop it"
        )
    name = pair_from_options(pair, base, proxy)
    if data is None and name is not None and task.startswith("lab-") and (Path(name) / "lab.json").is_file():
        data = Path(name)  # another lab pair is asked about its own world
    development = Development(
        pair=" + ".join(part for part in (name, base, proxy, reference) if part is not None),
        task=task,
        split=split,
        limit=limit,
        max_new_tokens=max_new_tokens,
        seed=seed,
        proxy_chat=proxy_chat,
        base_chat=base_chat,
        data=data,
        batch_size=batch_size,
    )
    development.questions()  # files that are missing are told before models are loaded

    from transformers.utils import logging

    import proxyalign
    from proxyalign.cli import tune_words as words
    from proxyalign.evaluation.provenance import commit
    from proxyalign.evaluation.records import writing
    from proxyalign.evaluation.tuning.figure import save_pareto
    from proxyalign.evaluation.tuning.search import ranked, search
    from proxyalign.evaluation.tuning.space import Setting
    from proxyalign.evaluation.tuning.under_guarantee import guaranteed
    from proxyalign.files import write_json
    from proxyalign.models import load_pair

    logging.disable_progress_bar()  # loading a small pair takes less time than drawing one
    models = load_pair(name, base=base, proxy=proxy, reference=reference, device=device, offline=offline)
    answer: dict[str, Any] = {**development.as_dict(), "objective": None if asked else aim, "guarantee": guarantee}
    chosen: Setting | None
    with _bars() as progress:
        if asked is None:
            rows = search(models, development, space, out, objective=aim, n_trials=trials, progress=progress)
            best = ranked(rows, aim)
            chosen = Setting(**{key: best[0][key] for key in ("rule", "parameter", "window", "temperature")})
            answer |= {"trials": rows, "best": [row["label"] for row in best] if aim == "pareto" else best[0]["label"]}
            told = words.of_search(rows, aim)
        else:
            found = guaranteed(models, development, space, out, asked, reference=against, progress=progress)
            chosen = found.chosen
            answer |= {key: None if one is None else asdict(one) for key, one in vars(found).items()}
            told = words.of_guarantee(found)
    answer |= {"chosen": _plain(chosen), "version": proxyalign.__version__, "commit": commit()}
    with writing(out / RESULT):
        write_json(out / RESULT, answer)
    drawn = save_pareto(rows, out, f"{task}, {split}") if asked is None and aim == "pareto" else []
    if json:
        print_json(answer)
        return
    print(told)
    if is_timed:
        notes.print(f"\n{words.CLOCK}", markup=False)
    if objective and asked:
        notes.print(f"\nthe objective {objective} gave way to the guarantee", markup=False)
    if asked is None:
        notes.print(f"\n{words.FLATTERY}", markup=False)
    notes.print(f"\nrecords and {', '.join([RESULT, *(path.name for path in drawn)])}: {out}", markup=False)
    if chosen is not None:
        parts = {"pair": name, "base": base, "proxy": proxy, "reference": reference}
        source = " ".join(f"--{key} {value}" for key, value in parts.items() if value is not None)
        source += " --proxy-chat" * proxy_chat + " --base-chat" * base_chat
        report = words.next_command(source, development, chosen)
        notes.print(f"next, once: {report}", markup=False)


def _plain(setting: "Setting | None") -> dict[str, Any] | None:
    return None if setting is None else {**asdict(setting), "label": str(setting)}


def _check_extras(objective: str | None) -> None:
    """Raise InputError where a package that this needs is not installed."""
    for package, extra in (
        ("optuna", "tune"),
        ("scipy", "tune"),
        *([("matplotlib", "analysis")] * (objective == "pareto")),
    ):
        if util.find_spec(package) is None:
            raise InputError(f"tune: {package} must be installed, got none; run pip install 'proxyalign[{extra}]'")


@contextmanager
def _bars() -> Iterator["Progress"]:
    """A context with what shows progress on stderr, where that is a terminal: a bar for each thing under way."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=notes, disable=not notes.is_terminal)
    under_way: dict[str, Any] = {}

    def show(what: str, done: int, n: int) -> None:
        for other in [key for key in under_way if key not in (what, "trials", "settings")]:
            bars.remove_task(under_way.pop(other))  # one setting at a time
        if what not in under_way:
            under_way[what] = bars.add_task(what, total=n)
        bars.update(under_way[what], completed=done)

    with bars:
        yield show
