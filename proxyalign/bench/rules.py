"""Speed of the rules on rows of one vocabulary, measured side by side with a full sort of the same rows."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from proxyalign.deferral.rules import Dual, Exact, NearOptimal, Nudging, Primal
from proxyalign.errors import InputError

SORT = "torch.sort"
N_EXACT = 5  # rows, spread over all, that are solved exactly, each of which takes as long as hundreds of others


def synthetic_rows(vocabulary: int, n: int, seed: int) -> Tensor:
    """Laws (n, V) float32 from flat to sure: softmax of normal logits whose standard deviation rises from 1 to 5."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, vocabulary, generator=generator)
    return torch.softmax(logits * torch.linspace(1, 5, n)[:, None], -1)


def measure(
    p: Tensor,
    *,
    budget: float,
    eps: float,
    alpha: float,
    repeats: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Time a row of p (n, V), alone and in the batch of all n, for torch.sort, primal, near-optimal, dual and nudging.

    Exact is timed too, on a few rows alone. The contestants take turns at going through all rows, so that noise hits
    all of them alike. Each answer has the contestant's `name`, the `batch`, the `n_rows` that it was timed on,
    `ms_per_row`, the median over these of the fastest of `repeats` runs, `worst_ms_per_row`, the largest, and
    `times_as_fast`, compared with the sort of the same rows in batches of that size. Raises InputError where p has no
    rows or repeats is not positive.
    """
    if p.dim() != 2 or not p.numel() or repeats < 1:
        raise InputError(
            f"bench: rows (n, V) and repeats must be at least 1, got {tuple(p.shape)} and {repeats}; pass 1 or more"
        )
    contestants: dict[str, Callable[[Tensor], Any]] = {SORT: torch.sort}
    exact, n = Exact(budget), len(p)
    rules = (Primal(budget), NearOptimal(budget, eps), exact, Dual(alpha), Nudging(alpha))
    contestants |= {str(rule): rule.defer for rule in rules}
    batches = [p[at : at + 1] for at in range(n)] + ([p] if n > 1 else [])
    few = sorted({round(k * (n - 1) / max(N_EXACT - 1, 1)) for k in range(N_EXACT)})
    places = {name: few if name == str(exact) else list(range(len(batches))) for name in contestants}
    best = {name: dict.fromkeys(places[name], float("inf")) for name in contestants}
    for name in contestants:
        contestants[name](batches[0])  # what is loaded, or made, at a first call
    for turn in range(repeats):
        for name, run in contestants.items():
            for at in places[name]:
                best[name][at] = min(best[name][at], _milliseconds(run, batches[at]) / len(batches[at]))
        progress(turn + 1, repeats)
    answers = []
    for size in [1] if n == 1 else [1, n]:
        for name in contestants:
            times = {at: each for at, each in best[name].items() if len(batches[at]) == size}
            if times:
                answers.append(
                    {
                        "name": name,
                        "batch": size,
                        "n_rows": size * len(times),
                        "ms_per_row": median(times.values()),
                        "worst_ms_per_row": max(times.values()),
                        "times_as_fast": median(best[SORT][at] for at in times) / median(times.values()),
                    }
                )
    return answers


def _milliseconds(run: Callable[[Tensor], Any], p: Tensor) -> float:
    """How long `run(p)` takes, what it queues on an accelerator included."""
    _wait(p)
    start = time.perf_counter()
    run(p)
    _wait(p)
    return 1000 * (time.perf_counter() - start)


def _wait(p: Tensor) -> None:
    if p.device.type == "cuda":
        torch.cuda.synchronize(p.device)
