"""`proxyalign bench served`: a cascade whose base a server writes, beside what that server writes by itself."""

from pathlib import Path
from typing import Annotated

import typer

from proxyalign.cli.common import check_out, notes, print_json, table
from proxyalign.cli.options import Alpha, Budget, Offline, RuleName, Set, rules_from_options

_HEADER = ("texts at once", "tokens/s", "of the server alone", "ratio", "deferred")
_PATIENCE = 20.0  # seconds for a server that does not answer, whose numbers would be none
_PROMPTS = (
    "Once upon a time",
    "The capital of France is",
    "def fib(n):",
    "Water boils at",
    "In 1969 the first",
    "My favourite recipe for soup:",
    "The theory of evolution",
    "Dear Sir or Madam,",
)


def served(
    url: Annotated[str, typer.Argument(help="Where the server is, such as http://localhost:8080/v1.")],
    model: Annotated[str, typer.Argument(help="The base's name there.")],
    proxy: Annotated[str, typer.Option(help="The proxy: smol, gemma, lab, a hub name or a folder.")],
    tokenizer: Annotated[
        str | None, typer.Option(help="Whose tokenizer the base has, named as the proxy is; by default the proxy's.")
    ] = None,
    rule: RuleName = "dual",
    alpha: Alpha = None,
    budget: Budget = None,
    settings: Set = None,
    at_once: Annotated[str, typer.Option(help="Texts at once, numbers with commas.")] = "1,8",
    texts: Annotated[
        int, typer.Option(help="Texts in all, for each text at once; the last ones have it to themselves.")
    ] = 8,
    max_new_tokens: Annotated[int, typer.Option(help="Longest text.")] = 64,
    temperature: Annotated[float, typer.Option(help="Of the draws.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="The server alone, the cascade, the server alone: so often.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    threads: Annotated[int, typer.Option(help="Processor threads of the proxy.")] = 1,
    offline: Offline = False,
    out: Annotated[
        Path | None, typer.Option(help="Also write the numbers to this JSON file; one that exists is replaced.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON and nothing else.")] = False,
) -> None:
    """Let a server write by itself and in a cascade, in turns, and compare their tokens a second.

    Both draw from the same law, and the server shows as much of it in both. Whatever else the machine does hits both,
    but a proxy on the server's own processors slows it down.

    Example:

    proxyalign bench served http://server:8080/v1 base --proxy smol --alpha 0.4
    """
    chosen = rules_from_options(rule, alpha, budget, settings)[0]
    check_out("bench served", out)
    sizes = [int(size) if size.strip().isdecimal() else 0 for size in at_once.split(",")]

    import torch
    from rich.progress import Progress, TaskID
    from transformers.utils import logging

    from proxyalign.bench.served import measure
    from proxyalign.evaluation.provenance import surroundings
    from proxyalign.models.causal import load_causal
    from proxyalign.serving.base import ServedBase
    from proxyalign.serving.cascade import check_rule
    from proxyalign.validation import check_count

    for name, values in (("at_once", sizes), ("texts", [texts]), ("threads", [threads])):
        for value in values:
            check_count("bench", name, value, least=1)
    check_rule("bench served", chosen)
    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    writer, own, where = load_causal(proxy, offline=offline)
    of_base = own if tokenizer is None else load_causal(tokenizer, offline=offline)[1]
    base = ServedBase(url, model, tokenizer=of_base, patience=_PATIENCE)
    runs = []
    with Progress(console=notes) as progress:
        for size in sizes:
            bar = progress.add_task(f"{size} at once", total=rounds)
            # No two alike, so that no text finds its prompt in the server's cache.
            prompts = [f"{i + 1}. {_PROMPTS[i % len(_PROMPTS)]}" for i in range(texts * size)]

            def tell(done: int, _: int, bar: TaskID = bar) -> None:
                progress.update(bar, completed=done)

            numbers = measure(
                base, writer, own, prompts, chosen,
                n_concurrent=size, max_new_tokens=max_new_tokens, temperature=temperature, rounds=rounds, seed=seed,
                progress=tell,
            )  # fmt: skip
            runs.append({"at_once": size, **numbers})
    answer = {
        "model": model,
        "proxy": where,
        "rule": str(chosen),
        "max_new_tokens": max_new_tokens,
        "texts": texts,
        "temperature": temperature,
        **surroundings(("proxyalign", "torch", "transformers")),
        "runs": runs,
    }
    if out is not None:
        from proxyalign.files import write_json

        write_json(out, answer)
    if json:
        print_json(answer)
        return
    cells = [
        (
            str(run["at_once"]),
            f"{one['tokens_per_second']:.1f}",
            f"{one['server_tokens_per_second']:.1f}",
            f"{one['ratio']:.2f}",
            f"{one['deferral_rate']:.1%}",
        )
        for run in runs
        for one in run["rounds"]
    ]
    print(table([_HEADER, *cells]))
    medians = ", ".join(f"{run['ratio']:.2f} for {run['at_once']} at once" for run in runs)
    print(f"\n{chosen}, {max_new_tokens} tokens a text; median of the ratios: {medians}")
