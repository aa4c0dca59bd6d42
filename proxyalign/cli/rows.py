"""`proxyalign rows`: record a causal language model's next-token rows on a file of texts, with where they came from."""

from pathlib import Path
from typing import Annotated

import typer

from proxyalign.cli.common import check_out, notes, print_json
from proxyalign.validation import check_count


def rows(
    model: Annotated[str, typer.Option(help="lab, smol, gemma (extra [real]), a hub name, or a checkpoint folder.")],
    text: Annotated[Path, typer.Option(help="One text a line; in a .jsonl file, under --field of each line.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write; one that exists is replaced.")],
    limit: Annotated[int, typer.Option(help="Keep so many rows, drawn from all positions of all texts.")] = 100,
    gguf_file: Annotated[str | None, typer.Option(help="A GGUF file in the model's folder, read instead.")] = None,
    field: Annotated[str, typer.Option(help="The key of the texts in a .jsonl file.")] = "question",
    seed: Annotated[int, typer.Option(help="Of the draw of positions.")] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no hub for the model.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object alone.")] = False,
) -> None:
    """Record next-token rows of any causal model: the laws that bench exact, bench rules and verify read with --rows.

    Example:

    proxyalign rows --model smol --text gsm8k/test.jsonl --out rows.npz
    """
    from proxyalign.files import sha256
    from proxyalign.rows import read_texts, record_rows

    check_count("rows", "limit", limit, least=1)
    check_count("rows", "seed", seed, least=0)
    check_out("rows", out)
    texts = read_texts(text, field)

    import torch
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from transformers.utils import logging

    from proxyalign.models.causal import load_causal

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    notes.print(f"loading {model} ...", markup=False)
    network, tokenizer, source = load_causal(model, gguf_file=gguf_file, offline=offline)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes) as bars:
        bar = bars.add_task("texts", total=None)
        recorded = record_rows(
            network,
            tokenizer,
            texts,
            limit=limit,
            seed=seed,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    recorded.provenance.update(source, text_file=text.name, text_sha256=sha256(text))
    recorded.save(out)
    n_rows, n_tokens = recorded.p.shape
    if json:
        print_json({"out": str(out), "n_rows": n_rows, "n_tokens": n_tokens, "provenance": recorded.provenance})
        return
    print(
        f"{out}: {n_rows} rows over {n_tokens} tokens, after {recorded.provenance['n_positions']} positions of "
        f"{len(texts)} texts\nnext: proxyalign bench exact --rows {out}"
    )
