"""Speed in batches beside transformers' own, and what a step costs beside the models' forward passes."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch

from proxyalign.bench.decoding_speed import OURS, TRANSFORMERS, Contestant, sampling_settings
from proxyalign.decoding.backends import backend_for
from proxyalign.decoding.backends.reference import DraftedWindow
from proxyalign.decoding.generate import generate
from proxyalign.decoding.readers.contract import Both, Reads, side_by_side
from proxyalign.decoding.shaping import Shaping
from proxyalign.deferral.law import Law
from proxyalign.deferral.rules import Dual, Never, Primal, Rule
from proxyalign.models.pair import ModelPair

SIZES = (1, 8, 16)
VOCABULARIES = (49_152, 150_000)


def measure_batches(
    pair: ModelPair,
    prompts: Sequence[str],
    rule: Rule,
    *,
    windows: Sequence[int],
    n_tokens: int,
    repeats: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Decode in batches of each of `SIZES`, the given prompts in turn, `n_tokens` each, whatever would end them.

    A batch is filled once, and up to the largest size each prompt is decoded at least once. The contestants take turns:
    the base alone, greedy and sampled, here and in transformers' generate, then `rule`, without and with each window.
    Each answer has name, engine, mode, window, temperature, batch, tokens_per_second (of the fastest of `repeats`
    runs), times_one (over the same at batch 1) and, where transformers has the same, times_transformers.
    """
    field = [(Contestant(Never(), engine=engine), heat) for engine in (OURS, TRANSFORMERS) for heat in (0.0, 1.0)]
    field += [(Contestant(rule), 1.0)] + [(Contestant(rule, "speculative", window), 1.0) for window in windows]
    speeds: dict[tuple[Contestant, float, int], float] = {}
    for turn in range(repeats):
        for at, (one, heat) in enumerate(field):
            for size in SIZES:
                texts = [prompts[i % len(prompts)] for i in range(max(size, min(len(prompts), SIZES[-1])))]
                start = time.perf_counter()
                if one.engine == TRANSFORMERS:
                    _transformers(pair, texts, size, n_tokens, heat, seed + turn)
                else:
                    generate(
                        pair,
                        texts,
                        one.rule,
                        mode=one.mode,
                        window=one.window or 1,
                        max_new_tokens=n_tokens,
                        temperature=heat,
                        seed=seed + turn,
                        eos_token_ids=(),
                        batch_size=size,
                    )
                speed = len(texts) * n_tokens / (time.perf_counter() - start)
                speeds[one, heat, size] = max(speed, speeds.get((one, heat, size), 0.0))
            progress(turn * len(field) + at + 1, repeats * len(field))
    theirs = Contestant(Never(), engine=TRANSFORMERS)
    return [
        {
            "name": str(one),
            "engine": one.engine,
            "mode": one.mode,
            "window": one.window,
            "temperature": heat,
            "batch": size,
            "tokens_per_second": speed,
            "times_one": speed / speeds[one, heat, 1],
            "times_transformers": speed / speeds[theirs, heat, size] if one.rule == theirs.rule else None,
        }
        for (one, heat, size), speed in speeds.items()
    ]


def _transformers(pair: ModelPair, texts: Sequence[str], size: int, n_tokens: int, heat: float, seed: int) -> None:
    torch.manual_seed(seed)
    all_ids = [pair.encode(text) for text in texts]
    for first in range(0, len(texts), size):
        batch = all_ids[first : first + size]
        ids, there = side_by_side(batch, pair.device)
        mask = there.device.long()
        ends = pair.base.generation_config.eos_token_id
        pair.base.generation_config.eos_token_id = None
        try:
            pair.base.generate(
                ids, attention_mask=mask, max_new_tokens=n_tokens, pad_token_id=0, **sampling_settings(heat)
            )
        finally:
            pair.base.generation_config.eos_token_id = ends


@torch.inference_mode()
def measure_step(
    pair: ModelPair, prompt: str, *, window: int, seed: int = 0, repeats: int = 15
) -> list[dict[str, Any]]:
    """What is done to logits in a cycle of one sequence, on rows that are made up, beside the pass that verifies it.

    One line for each rule and vocabulary: median ms of drawing the drafts, of rule, test, residual and draw, and of the
    base's pass over a window after the prompt, each run in turn; and the second's share of a verify step, which is the
    last two.
    """
    ids, backend = pair.encode(prompt), backend_for(pair.device)
    with (
        backend.working(pair.device),
        backend.reader(pair, "base", 1, len(ids) + window + 1, (window + 1,)) as verifier,
    ):
        verifier.join([ids])
        verifier.read()
        return _steps(verifier, pair.device, window, seed, repeats)


def _steps(verifier: Reads, device: torch.device, window: int, seed: int, repeats: int) -> list[dict[str, Any]]:
    drafted_tokens = torch.zeros(1, window + 1, dtype=torch.int64, device=device)
    read = Both.of(np.array([window + 1]), device)

    def verify() -> None:
        verifier.push(drafted_tokens)
        verifier.read(window + 1)[0, 0, 0].item()  # which waits for a device
        verifier.forget(read)

    lines = []
    for vocabulary in VOCABULARIES:
        generator = torch.Generator().manual_seed(seed)
        of_base = 4.0 * torch.randn(1, window + 1, vocabulary, generator=generator).to(device)
        of_proxy = of_base[:, :window] + torch.randn(1, window, vocabulary, generator=generator).to(device)
        u = torch.rand(1, 2 * window + 1, generator=generator, dtype=torch.float64).to(device)
        q = Law.of(of_proxy, 1.0)
        drafts = q.drawn.argmax(-1)  # the likeliest tokens, so that windows are accepted as often as a good proxy's
        for rule in (Dual(0.4), Primal(0.5)):
            drafted, verified, tested = _median_seconds(
                [partial(_draft_all, of_proxy, u), verify, partial(_test_all, rule, of_base, q, drafts, u)], repeats
            )
            lines.append(
                {
                    "rule": str(rule),
                    "vocabulary": vocabulary,
                    "draft_ms": 1e3 * drafted,
                    "test_ms": 1e3 * tested,
                    "verify_ms": 1e3 * verified,
                    "share": tested / (verified + tested),
                }
            )
    return lines


def _draft_all(of_proxy: torch.Tensor, u: torch.Tensor) -> None:
    backend = backend_for(of_proxy.device)
    drafts = [
        backend.draw(Law.of(of_proxy[:, place : place + 1], 1.0).drawn, u[:, place : place + 1])
        for place in range(of_proxy.shape[1])
    ]
    drafts[-1].item()


def _test_all(rule: Rule, of_base: torch.Tensor, q: Law, drafts: torch.Tensor, u: torch.Tensor) -> None:
    plain = Shaping(temperature=1.0, rule_temperature=1.0, bias=None, ends=(), min_new_tokens=0, truncations={})
    nobody, nothing = (Both.zeros(1, dtype, drafts.device) for dtype in (torch.bool, torch.int64))
    window = DraftedWindow({"base": of_base}, [q], None, drafts, nobody, u, nothing)
    backend_for(of_base.device).verify(rule, plain, window)


def _median_seconds(runs: Sequence[Callable[[], None]], repeats: int) -> list[float]:
    """The median time of each, run in turn so that what disturbs one disturbs all; a first turn is not counted."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, seconds in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    return [median(seconds[1:]) for seconds in times]
