"""`proxyalign bench`: measure speed on this machine, every contestant side by side in one run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxyalign.cli import bench_exact, bench_served
from proxyalign.cli.common import check_out, notes, print_json, table
from proxyalign.cli.options import Base, Device, Offline, Pair, Proxy, pair_from_options, rules_at
from proxyalign.errors import InputError
from proxyalign.validation import check_count

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(help="Measure speed on this machine, all contestants side by side.", no_args_is_help=True)

_HEADER = (
    "contestant",
    "tokens/s",
    "x base alone [95 %]",
    "deferred",
    "accepted",
    "tokens/cycle",
    "x by 12",
    "at cost",
    "of bare",
)
_BATCH_HEADER = ("contestant", "T", "batch", "tokens/s", "x batch 1", "x transformers")
_STEP_HEADER = ("rule", "tokens", "draft ms", "verify ms", "test ms", "share of both")
_MEMORY_HEADER = ("bytes held of each new token", "caches", "all else", "a law", "largest tensor")

app.command("exact")(bench_exact.exact)
app.command("served")(bench_served.served)


@app.command("decode")
def decode(
    task: Annotated[str, typer.Option(help="The task whose questions are answered.")] = "lab-math",
    pair: Pair = None,
    base: Base = None,
    proxy: Proxy = None,
    alpha: Annotated[float, typer.Option(help="Threshold of dual and of nudging, in [0, 1].")] = 0.4,
    budget: Annotated[float, typer.Option(help="Budget of primal, deferral mass a step in [0, 1].")] = 0.5,
    also: Annotated[
        str, typer.Option(help="More rules, with commas, at this alpha or budget: near-optimal,exact.")
    ] = "",
    windows: Annotated[str, typer.Option(help="Drafts per cycle, numbers with commas.")] = "3,4,5",
    split: Annotated[str, typer.Option(help="dev or test; speed is no reason to look at test questions.")] = "dev",
    limit: Annotated[int, typer.Option(help="Take the first so many questions.")] = 40,
    repeats: Annotated[int, typer.Option(help="How often each question is answered.")] = 1,
    temperature: Annotated[float, typer.Option(help="Of the draws; 0 is greedy.")] = 1.0,
    max_new_tokens: Annotated[int | None, typer.Option(help="Longest answer; by default the task's own.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    threads: Annotated[int, typer.Option(help="Processor threads; a small model is fastest on one.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Folder of the task's files, by default PROXYALIGN_DATA.")] = None,
    device: Device = "cpu",
    offline: Offline = False,
    batches: Annotated[bool, typer.Option("--batches", help="Also decode in batches of 1, 8 and 16.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Also write the numbers to this JSON file; one that exists is replaced.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON and nothing else.")] = False,
) -> None:
    """Decode the same questions in every way, one sequence at a time, and compare each with the base alone.

    The contestants take turns on every question: the base alone, transformers' generate, plain and assisted by the
    proxy, then dual, primal, nudging and the rules of --also, autoregressive and speculative. "x by 12" is what
    statement 12 predicts from the acceptance and the drafts' cost; "at cost" also counts what verifying a window costs
    more than one step; "of bare" is the speed as a share of what it would be if nothing but forward passes took time.
    The next table is what a cycle does beside those, on rows of large vocabularies, and the share that rule, test and
    draw have in verifying. The last one is what is held in memory of each new token.

    Example: proxyalign bench decode --task lab-math --limit 10 --windows 3,5
    """
    sizes = _windows(windows)
    check_out("bench", out)

    import torch
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from transformers.utils import logging

    from proxyalign import tasks
    from proxyalign.bench.batches import measure_batches, measure_step
    from proxyalign.bench.decoding_speed import Contestant, contestants, measure
    from proxyalign.bench.memory_growth import growth
    from proxyalign.deferral.rules import Dual
    from proxyalign.evaluation.provenance import surroundings
    from proxyalign.models import load_pair

    if threads < 1 or repeats < 1:
        raise InputError(f"bench: threads and repeats must be at least 1, got {threads} and {repeats}; pass 1 or more")
    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    field = contestants(alpha, budget, alpha, sizes)
    for rule in rules_at(also, alpha=alpha, budget=budget):
        field += [Contestant(rule), Contestant(rule, "speculative", max(sizes))]
    benchmark = tasks.get(task)
    if benchmark.kind == "choice":
        raise InputError(
            f"bench: task must be one that is answered in text, got {task}, whose choices are read; take {task}-reply"
        )
    questions = benchmark.questions(split, data=data, limit=limit)
    n_tokens = benchmark.max_new_tokens if max_new_tokens is None else max_new_tokens
    check_count("bench", "max_new_tokens", n_tokens, least=1)
    name = pair_from_options(pair, base, proxy)
    models = load_pair(name, base=base, proxy=proxy, device=device, offline=offline)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes) as progress:
        bar = progress.add_task("questions", total=len(questions))
        numbers = measure(
            models,
            [question.prompt for question in questions],
            field,
            max_new_tokens=n_tokens,
            stop=benchmark.stop,
            temperature=temperature,
            repeats=repeats,
            seed=seed,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
        if batches:
            rounds = progress.add_task("batches", total=None)
            numbers["batches"] = measure_batches(
                models,
                [question.prompt for question in questions],
                Dual(alpha),
                windows=sizes,
                n_tokens=n_tokens,
                repeats=repeats,
                seed=seed,
                progress=lambda done, total: progress.update(rounds, completed=done, total=total),
            )
        numbers["steps"] = measure_step(models, questions[0].prompt, window=max(sizes), seed=seed)
        numbers["memory"] = [
            growth(models, questions[0].prompt, one, n_tokens=n_tokens, seed=seed)
            for one in (Contestant(Dual(alpha)), Contestant(Dual(alpha), "speculative", max(sizes)))
        ]
    of_what = {
        "pair": name or f"{base} + {proxy}",
        "task": benchmark.name,
        "split": split,
        "device": device,
        "dtype": str(models.base.dtype).removeprefix("torch."),
        **surroundings(("proxyalign", "torch", "transformers", "triton")),
    }
    answer = {**of_what, **numbers}
    if out is not None:
        from proxyalign.files import write_json

        write_json(out, answer)
    if json:
        print_json(answer)
        return
    print(table([_HEADER, *(_cells(run) for run in answer["runs"])]))
    costs = ", ".join(f"{what} {cost:.2f} ms" for what, cost in answer["costs_ms"].items())
    if batches:
        print("\n" + table([_BATCH_HEADER, *(_batch_cells(run) for run in answer["batches"])]))
    print("\n" + table([_STEP_HEADER, *(_step_cells(step) for step in answer["steps"])]))
    print("\n" + table([_MEMORY_HEADER, *(_memory_cells(one) for one in answer["memory"])]))
    on = f"{answer['dtype']}, {threads} thread{'s' * (threads > 1)}, {len(questions)} questions"
    print(f"\nforward passes (mean): {costs}; {on}")


@app.command("rules")
def rules(
    vocabulary: Annotated[int, typer.Option(help="Tokens in a row.")] = 49_152,
    batch: Annotated[int, typer.Option(help="Rows in a batch; the rules are also timed one row at a time.")] = 64,
    budget: Annotated[float, typer.Option(help="Budget of primal, near-optimal and exact, in [0, 1].")] = 0.3,
    eps: Annotated[float, typer.Option(help="Share of the optimum that near-optimal may lose.")] = 0.01,
    alpha: Annotated[float, typer.Option(help="Threshold of dual and of nudging, in [0, 1].")] = 0.1,
    rows: Annotated[Path | None, typer.Option(help="A file of rows instead, as proxyalign rows writes.")] = None,
    repeats: Annotated[int, typer.Option(help="Runs of which the fastest counts.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the rows that are made up.")] = 0,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = 1,
    device: Annotated[str, typer.Option(help="Where the rows lie, as torch names it.")] = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON and nothing else.")] = False,
) -> None:
    """Time the rules that read the base alone on float32 rows of one vocabulary, beside torch.sort, in one run.

    The rules are primal, near-optimal, exact (on a few rows), dual and nudging. The rows are made up, from flat laws
    to sure ones, or the first of a file. A time is the median over the rows of the fastest run on each.

    Example: proxyalign bench rules --vocabulary 32000 --batch 16
    """
    if min(vocabulary, batch, repeats, threads) < 1:
        raise InputError(
            f"bench: vocabulary, batch, repeats and threads must be at least 1, got {vocabulary}, {batch}, {repeats} "
            f"and {threads}; pass 1 or more"
        )

    import torch
    from rich.progress import Progress

    from proxyalign.bench.rules import measure, synthetic_rows
    from proxyalign.models.options import Options

    where = Options(device=device).where()
    torch.set_num_threads(threads)
    if rows is None:
        p = synthetic_rows(vocabulary, batch, seed)
    else:
        from proxyalign.rows import read_rows

        p = torch.from_numpy(read_rows(rows).p[:batch]).float()
    with Progress(console=notes) as progress:
        bar = progress.add_task("repeats", total=repeats)
        runs = measure(
            p.to(where),
            budget=budget,
            eps=eps,
            alpha=alpha,
            repeats=repeats,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    n_rows, n_tokens = p.shape
    if json:
        of_what = {"vocabulary": n_tokens, "batch": n_rows, "rows": str(rows or "made up"), "seed": seed}
        print_json({**of_what, "device": device, "threads": threads, "torch": torch.__version__, "runs": runs})
        return
    header = ("contestant", "rows at once", "of rows", "ms a row", "slowest", "x torch.sort")
    cells = [
        (
            run["name"],
            str(run["batch"]),
            str(run["n_rows"]),
            f"{run['ms_per_row']:.3f}",
            f"{run['worst_ms_per_row']:.3f}",
            f"{run['times_as_fast']:.1f}",
        )
        for run in runs
    ]
    print(table([header, *cells]))
    print(f"\n{n_tokens} tokens a row, {rows or 'made up'}; {device}, {threads} thread{'s' * (threads > 1)}")


def _windows(text: str) -> list[int]:
    """Read `3,4,5`; InputError unless all are whole numbers of at least 1."""
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise InputError(f"bench: --windows must be whole numbers of at least 1 with commas, got {text!r}; write 3,4,5")
    return sizes


def _cells(run: "Mapping[str, Any]") -> tuple[str, ...]:
    def shown(name: str, form: str) -> str:
        return "-" if run[name] is None else format(run[name], form)

    return (
        run["name"],
        shown("tokens_per_second", ".0f"),
        f"{run['speedup']:.2f} [{run['speedup_low']:.2f}, {run['speedup_high']:.2f}]",
        shown("deferral_rate", ".1%"),
        shown("acceptance_rate", ".1%"),
        shown("tokens_per_cycle", ".2f"),
        shown("predicted_speedup", ".2f"),
        shown("predicted_speedup_at_cost", ".2f"),
        shown("share_of_bare_passes", ".2f"),
    )


def _batch_cells(run: "Mapping[str, Any]") -> tuple[str, ...]:
    beside = run["times_transformers"]
    return (
        run["name"],
        f"{run['temperature']:g}",
        str(run["batch"]),
        f"{run['tokens_per_second']:.0f}",
        f"{run['times_one']:.2f}",
        "-" if beside is None else f"{beside:.2f}",
    )


def _step_cells(step: "Mapping[str, Any]") -> tuple[str, ...]:
    return (
        step["rule"],
        str(step["vocabulary"]),
        f"{step['draft_ms']:.2f}",
        f"{step['verify_ms']:.2f}",
        f"{step['test_ms']:.2f}",
        f"{step['share']:.1%}",
    )


def _memory_cells(one: "Mapping[str, Any]") -> tuple[str, ...]:
    return (
        one["name"],
        *(f"{one[what]:.0f}" for what in ("cache_bytes", "other_bytes", "law_bytes", "largest_bytes")),
    )
