"""The pair gemma-smol on real questions: every rule and mode beside both parents and transformers' own assistance.

The base, Gemma 3 270M, is no giant beside its proxy, SmolLM2-135M-Instruct: what is measured is that a model that was
only pre-trained and an aligned one of another family go through every mode, at what speed, and what comes out.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.product import commit, versions
from proxyalign.files import write_json

DUAL, PRIMAL = (0.05, 0.15, 0.3), (0.2, 0.5, 0.8)
WINDOW = 1  # which statement 12 finds best for a proxy of half the base's cost and the acceptance that there is
LONGER = 3
ALONE = 3  # questions of each task that are answered one at a time, beside transformers
STOP = ("\nQuestion:",)


@dataclass
class Cell:
    """One way to decode and what came of it: seconds and pieces of each batch, the engine's numbers, the texts."""

    rule: Any
    mode: str
    boundaries: str = "any"
    seconds: list[float] = field(default_factory=list)
    stats: list[Any] = field(default_factory=list)
    answers: list[list[int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        words = "" if self.boundaries == "any" else ", between words"
        return f"{self.rule} {self.mode}{words}"


def prompts(data: Path | None, n: int) -> dict[str, list[tuple[str, str]]]:
    """For each task, what the base reads as plain text and what the user says to the proxy."""
    if data is None:
        from proxyalign import tasks

        questions = tasks.get("lab-math").questions("dev", limit=n)
        return {"lab-math": [(question.prompt, question.prompt) for question in questions]}
    asked = _lines(data / "gsm8k" / "test.jsonl", data / "gsm8k" / "test_public.jsonl")[:n]
    told = _lines(data / "ifeval" / "input_data.jsonl")[:n]
    return {
        "gsm8k": [(f"Question: {one['question']}\nAnswer:", one["question"]) for one in asked],
        "ifeval": [(f"{one['prompt']}\n\n", one["prompt"]) for one in told],
    }


def _lines(*paths: Path) -> list[dict[str, Any]]:
    """The JSON lines of the first of these files that is there."""
    path = next((path for path in paths if path.exists()), paths[0])
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def cells() -> list[Cell]:
    """Both parents, dual and primal at three settings in both modes, and two of them between words."""
    from proxyalign.deferral.rules import Always, Dual, Never, Primal

    ways = [Cell(rule, mode) for rule in (Never(), Always()) for mode in ("autoregressive", "speculative")][:3]
    for rule in [*map(Dual, DUAL), *map(Primal, PRIMAL)]:
        ways += [Cell(rule, "autoregressive"), Cell(rule, "speculative")]
    return [*ways, *(Cell(rule, "speculative", "word") for rule in (Dual(DUAL[1]), Primal(PRIMAL[1])))]


def decode(pair: Any, asked: Sequence[tuple[str, str]], ways: Sequence[Cell], n_new: int, batch_size: int) -> None:
    """Let every way answer each batch of questions in turn, in an order drawn anew, so that noise hits all alike."""
    from proxyalign.decoding import generate

    rng = np.random.default_rng(0)
    for first in range(0, len(asked), batch_size):
        batch = asked[first : first + batch_size]
        for which in rng.permutation(len(ways)):
            way = ways[which]
            start = time.perf_counter()
            out = generate(
                pair, [plain for plain, _ in batch], way.rule, mode=way.mode, window=WINDOW, max_new_tokens=n_new,
                proxy_prompts=[pair.chat(said) for _, said in batch], boundaries=way.boundaries, stop=STOP,
                batch_size=batch_size, first_index=first,
            )  # fmt: skip
            way.seconds.append(time.perf_counter() - start)
            way.stats.append(out.stats)
            way.answers += out.token_ids
            way.texts += out.texts
            print(f"{first + len(batch)} of {len(asked)}: {way}", file=sys.stderr, flush=True)


def summary(pair: Any, way: Cell) -> dict[str, Any]:
    """One way's numbers; None where one does not apply. tokens_per_second counts pieces."""
    n_tokens, seconds = sum(stats.n_tokens for stats in way.stats), sum(way.seconds)
    tested = sum(stats.n_tested for stats in way.stats)
    return {
        "name": str(way),
        "rule": way.rule.name,
        "parameters": way.rule.parameters(),
        "mode": way.mode,
        "boundaries": way.boundaries,
        "n_tokens": n_tokens,
        "seconds": seconds,
        "tokens_per_second": n_tokens / seconds,
        "deferral_rate": sum(stats.deferral_rate * stats.n_tokens for stats in way.stats) / n_tokens,
        "acceptance_rate": sum(stats.n_accepted for stats in way.stats) / tested if tested else None,
        "read_otherwise": {role: pair.vocabulary.share_read_otherwise(role, way.answers) for role in ("base", "proxy")},
        "first_text": way.texts[0],
    }


def main() -> None:
    """Decode, print a table, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=2, help="of each task")
    parser.add_argument("--max-new-tokens", type=int, default=32, help="pieces of an answer")
    parser.add_argument("--batch-size", type=int, default=8, help="questions decoded together")
    parser.add_argument("--dtype", default="auto", help="of both models")
    parser.add_argument("--out", type=Path, default=Path("results/real/real_pair.json"), help="the measurement")
    arguments = parser.parse_args()

    import torch
    from transformers.utils import logging

    from proxyalign.bench.decoding_speed import ASSISTED, BASE_ALONE, TRANSFORMERS, Contestant, measure
    from proxyalign.deferral.rules import Dual, Never
    from proxyalign.models import load_pair

    logging.disable_progress_bar()
    start = time.perf_counter()
    pair = load_pair("gemma-smol", dtype=arguments.dtype)
    loading = time.perf_counter() - start
    folder = os.environ.get("PROXYALIGN_DATA")
    asked = prompts(Path(folder) if folder else None, arguments.questions)
    ways = cells()
    for questions in asked.values():
        decode(pair, questions, ways, arguments.max_new_tokens, arguments.batch_size)
    runs = [summary(pair, way) for way in ways]
    some = [one for questions in asked.values() for one in questions[:ALONE]]
    field_of_one = [
        BASE_ALONE,
        Contestant(Never(), "speculative", WINDOW),
        Contestant(Never(), engine=TRANSFORMERS),
        *(Contestant(Never(), "speculative", n, engine=ASSISTED) for n in (WINDOW, LONGER)),
        Contestant(Dual(DUAL[1])),
        *(Contestant(Dual(DUAL[1]), "speculative", n) for n in (WINDOW, LONGER)),
    ]
    alone = measure(
        pair, [plain for plain, _ in some], field_of_one, max_new_tokens=arguments.max_new_tokens, stop=STOP,
        proxy_prompts=[pair.chat(said) for _, said in some],
    )  # fmt: skip
    note = "Both models are of about one size: the base is no giant beside its proxy."
    settings = {"questions": {task: len(questions) for task, questions in asked.items()}, "window": WINDOW}
    settings |= {"max_new_tokens": arguments.max_new_tokens, "batch_size": arguments.batch_size}
    settings |= {"dtype": str(pair.base.dtype).removeprefix("torch."), "threads": torch.get_num_threads()}
    numbers = {"note": note, "settings": settings, **commit(), "versions": versions(), "seconds_loading": loading}
    write_json(arguments.out, {**numbers, "runs": runs, "alone": alone})
    print(_table(runs, alone["runs"]))
    print(f"\n{note}\nnumbers: {arguments.out}")


def _table(runs: Sequence[dict[str, Any]], alone: Sequence[dict[str, Any]]) -> str:
    """A line for each way, in batches and then one text at a time."""
    of_rule = {
        run["name"].replace("speculative", "autoregressive"): run for run in runs if run["mode"] != "speculative"
    }
    lines = [("in batches", "tokens/s", "x token by token", "deferred", "accepted", "read otherwise: base, proxy")]
    for run in runs:
        step = of_rule.get(run["name"].replace("speculative", "autoregressive").removesuffix(", between words"), run)
        other = ", ".join(f"{share:.1%}" for share in run["read_otherwise"].values())
        ratio = f"{run['tokens_per_second'] / step['tokens_per_second']:.2f}" if step is not run else "-"
        lines.append((run["name"], f"{run['tokens_per_second']:.1f}", ratio, *_shares(run), other))
    lines.append(("one at a time", "tokens/s", "x the base alone", "deferred", "accepted", ""))
    lines += [
        (run["name"], f"{run['tokens_per_second']:.1f}", f"{run['speedup']:.2f}", *_shares(run), "") for run in alone
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(n) for cell, n in zip(line, widths, strict=True)).rstrip() for line in lines)


def _shares(run: dict[str, Any]) -> list[str]:
    return ["-" if run[name] is None else f"{run[name]:.1%}" for name in ("deferral_rate", "acceptance_rate")]


if __name__ == "__main__":
    main()
