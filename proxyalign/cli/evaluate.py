"""`proxyalign evaluate`: answer a task's questions under a rule or a grid of them, and tell how well and how fast."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxyalign.cli.common import notes, print_json
from proxyalign.cli.evaluation_table import headline, measures_table, runs_table
from proxyalign.cli.options import (
    Alpha,
    Base,
    BaseChat,
    Boundaries,
    Budget,
    Delta,
    Device,
    Offline,
    Pair,
    Proxy,
    ProxyChat,
    Reference,
    RuleName,
    RuleTemperature,
    Set,
    VerifierName,
    as_options,
    pair_from_options,
    rules_from_options,
)

if TYPE_CHECKING:
    from proxyalign.evaluation import Settings


def evaluate(
    task: Annotated[str, typer.Option(help="lab-facts, lab-math, gsm8k, mmlu, ifeval, ...; another name lists all.")],
    rule: RuleName,
    out: Annotated[Path, typer.Option(help="Folder for the records and summary.json; the same command goes on in it.")],
    grid: Annotated[
        str | None, typer.Option(help="One run for each value of a parameter, as in alpha=0.2,0.4.")
    ] = None,
    alpha: Alpha = None,
    budget: Budget = None,
    settings: Set = None,
    pair: Pair = None,
    base: Base = None,
    proxy: Proxy = None,
    reference: Reference = None,
    proxy_chat: ProxyChat = False,
    base_chat: BaseChat = False,
    mode: Annotated[str, typer.Option(help="autoregressive or speculative.")] = "autoregressive",
    window: Annotated[int, typer.Option(help="Drafts per cycle in speculative mode.")] = 5,
    verifier: VerifierName = None,
    delta: Delta = None,
    split: Annotated[str, typer.Option(help="dev, to choose parameters on; test, or held-out, to report.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Take the first so many questions; all by default.")] = None,
    temperature: Annotated[float, typer.Option(help="Of the draws; 0 is greedy.")] = 1.0,
    rule_temperature: RuleTemperature = 1.0,
    boundaries: Boundaries = "any",
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Longest reply in tokens; by default the task's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws; each question has its own generator.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Questions decoded together; changes the speed alone.")] = 16,
    rows: Annotated[int, typer.Option(help="Keep so many of the base's visited distributions in rows.npz.")] = 0,
    traces: Annotated[
        bool, typer.Option("--traces", help="Keep who wrote each token in the records, for proxyalign report.")
    ] = False,
    shard: Annotated[str | None, typer.Option(help="Answer a part of the questions alone, as in 2/4.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Join the shards in OUT; no model is loaded.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the task's files; by default PROXYALIGN_DATA, or the pair's.")
    ] = None,
    device: Device = "cpu",
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")] = False,
) -> None:
    """Answer a task's questions, under one rule or for each value of a grid, and summarise accuracy and speed.

    Every answer is one line in OUT/RUN/records.jsonl, on the disk before the next questions are asked. After an
    interruption the same command goes on; a folder that was made with other settings is refused. Tasks of choices
    compare likelihoods, the others decode replies.

    With --mode speculative --verifier mentored --delta 0.1 more drafts pass, and how far the law of a token is from
    the rule's on average, in total variation, is a measure of the run.

    On several machines: the same command with --shard 1/4, ..., --shard 4/4, and then with --merge.

    Example:

    proxyalign evaluate --task lab-math --rule dual --alpha 0.4 --out runs
    """
    from proxyalign import tasks
    from proxyalign.errors import InputError
    from proxyalign.evaluation import Settings, prepare, run_grid
    from proxyalign.evaluation import merge as merge_shards
    from proxyalign.evaluation.merging import shards_of

    benchmark, name = tasks.get(task), pair_from_options(pair, base, proxy)
    if data is None and name is not None and task.startswith("lab-") and (Path(name) / "lab.json").is_file():
        data = Path(name)  # another lab pair is asked about its own world
    chosen = rules_from_options(rule, alpha, budget, settings, grid)
    runs = [
        Settings(
            pair=" + ".join(part for part in (name, base, proxy, reference) if part is not None),
            task=benchmark.name,
            task_version=benchmark.version,
            rule=one.name,
            parameters=one.parameters(),
            split=split,
            limit=limit,
            mode=mode,
            window=window,
            temperature=temperature,
            rule_temperature=rule_temperature,
            boundaries=boundaries,
            max_new_tokens=benchmark.max_new_tokens if max_new_tokens is None else max_new_tokens,
            seed=seed,
            rows=rows,
            proxy_chat=proxy_chat,
            base_chat=base_chat,
            verifier=verifier,
            delta=delta,
        )
        for one in chosen
    ]
    if merge and shard is not None:
        raise InputError(
            f"evaluate: --merge must come without --shard, got --shard {shard}; run the shards, then merge"
        )
    labels = [str(one).removesuffix("()") for one in chosen]
    if merge:
        summary = merge_shards(shards_of(out), out, grid=runs)
    else:
        prepare(runs, out, data=data, batch_size=batch_size, shard=shard)

        from transformers.utils import logging

        from proxyalign.models import load_pair

        logging.disable_progress_bar()  # loading a small pair takes less time than drawing one
        models = load_pair(name, base=base, proxy=proxy, reference=reference, device=device, offline=offline)
        with _Bars({run.slug: label for run, label in zip(runs, labels, strict=True)}) as bars:
            summary = run_grid(
                models, runs, out, data=data, batch_size=batch_size, progress=bars.show, shard=shard, traces=traces
            )
    if json:
        print_json(summary)
        return
    best = max(summary["runs"], key=lambda run: run["accuracy"])
    at = summary["runs"].index(best)
    models_asked = {"pair": name, "base": base, "proxy": proxy, "reference": reference}
    source = " ".join(f"--{key} {value}" for key, value in models_asked.items() if value is not None)
    source += " --proxy-chat" * proxy_chat + f" --rule-temperature {rule_temperature:g}" * (rule_temperature != 1.0)
    source += f" --boundaries {boundaries}" * (boundaries != "any")
    options = as_options(chosen[at])
    reported = "held-out" if "held-out" in benchmark.splits else "test"  # what shares no question with dev
    report = f"evaluate {source}{' --base-chat' * base_chat} --task {task} {options} --split {reported} --out ..."
    look = f'generate {source} {options} "QUESTION"'
    print(f"{labels[at]}: {headline(best, summary['settings'], benchmark.kind)}\n")
    print(runs_table(labels, summary["runs"], benchmark.kind))
    if measures := measures_table(labels, summary["runs"]):
        print(f"\n{measures}")
    if unknown := summary.get("data", {}).get("others"):
        notes.print(f"\nfiles of an edition that the task does not know: {', '.join(unknown)}", markup=False)
    notes.print(f"\nrecords and summary.json: {out}", markup=False)
    if shard is not None:
        look = report = f"evaluate ... --out {out} --merge, once all shards are done"
    notes.print(f"next: proxyalign {report if split == 'dev' else look}", markup=False)


class _Bars:
    """One progress bar on stderr for each run, where stderr is a terminal."""

    def __init__(self, labels: dict[str, str]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=notes, disable=not notes.is_terminal)
        self._labels = labels
        self._ids: dict[str, Any] = {}

    def __enter__(self) -> "_Bars":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def show(self, settings: "Settings", n_done: int, n: int) -> None:
        """Move the run's bar."""
        if settings.slug not in self._ids:
            self._ids[settings.slug] = self._bars.add_task(self._labels[settings.slug], total=n)
        self._bars.update(self._ids[settings.slug], completed=n_done)
