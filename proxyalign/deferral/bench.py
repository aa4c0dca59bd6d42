"""Speed of the rules on rows of one vocabulary, measured side by side with a full sort of the same rows."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from proxyalign.deferral.rules import Dual, Nudging, Primal
from proxyalign.errors import InputError

SORT = "torch.sort"


def synthetic_rows(vocabulary: int, n: int, seed: int) -> Tensor:
    """Laws (n, V) float32 from flat to sure: softmax of normal logits whose standard deviation rises from 1 to 5."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, vocabulary, generator=generator)
    return torch.softmax(logits * torch.linspace(1, 5, n)[:, None], -1)


def measure(
    p: Tensor,
    *,
    budget: float,
    alpha: float,
    repeats: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Time a row of p (n, V), alone and in the batch of all n, for torch.sort and for primal, dual and nudging.

    The contestants take turns at going through all rows, so that noise hits all of them alike. Each answer has the
    contestant's `name`, the `batch`, `ms_per_row`, the median over the rows of the fastest of `repeats` runs,
    `worst_ms_per_row`, the largest, and `times_as_fast`, compared with the sort in batches of that size. Raises
    InputError where p has no rows or repeats is not positive.
    """
    if p.dim() != 2 or not p.numel() or repeats < 1:
        raise InputError(
            f"bench: rows (n, V) and repeats must be at least 1, got {tuple(p.shape)} and {repeats}; pass 1 or more"
        )
    contestants: dict[str, Callable[[Tensor], Any]] = {SORT: torch.sort}
    contestants |= {str(rule): rule.defer for rule in (Primal(budget), Dual(alpha), Nudging(alpha))}
    batches = [p[at : at + 1] for at in range(len(p))] + ([p] if len(p) > 1 else [])
    best = {name: [float("inf")] * len(batches) for name in contestants}
    for name in contestants:
        contestants[name](p)  # what is loaded, or made, at a first call
    for turn in range(repeats):
        for name, run in contestants.items():
            for at, batch in enumerate(batches):
                best[name][at] = min(best[name][at], _milliseconds(run, batch) / len(batch))
        progress(turn + 1, repeats)
    sizes = [1] if len(p) == 1 else [1, len(p)]
    fastest = {
        (name, size): [each for each, batch in zip(best[name], batches, strict=True) if len(batch) == size]
        for size in sizes
        for name in contestants
    }
    return [
        {
            "name": name,
            "batch": size,
            "ms_per_row": median(times),
            "worst_ms_per_row": max(times),
            "times_as_fast": median(fastest[SORT, size]) / median(times),
        }
        for (name, size), times in fastest.items()
    ]


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
