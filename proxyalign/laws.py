"""Next-token laws to measure on where nobody recorded any: real ones where model and texts are there, else made up."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_TOKENS = 49_152  # of a made-up law, as many as SmolLM2 has


@dataclass(frozen=True, eq=False)
class Laws:
    """Laws (V,) float64, which may differ in V, a name for each, and where they come from."""

    laws: list[NDArray[np.float64]]
    names: list[str]
    source: dict[str, Any]


def laws_at_hand(n_laws: int, seed: int) -> Laws:
    """SmolLM2's laws on GSM8K questions where the extra [smol] and PROXYALIGN_DATA are there; else half of them those
    of the lab's base on development questions, and half made up over a full vocabulary."""
    from proxyalign import tasks
    from proxyalign.models.causal import has_smol

    if has_smol() and (Path(os.environ.get("PROXYALIGN_DATA", "")) / "gsm8k").is_dir():
        questions = [question.prompt for question in tasks.get("gsm8k-0shot").questions("test")]
        return _of_model("smol", questions, n_laws, seed)
    n_lab = (n_laws + 1) // 2
    lab = _of_model("lab", [one.prompt for one in tasks.get("lab-math").questions("dev", limit=100)], n_lab, seed)
    made = made_up(n_laws - n_lab, seed)
    return Laws(
        [*lab.laws, *made],
        lab.names + [f"made up {number}" for number in range(len(made))],
        {**lab.source, "made_up": len(made)},
    )


def made_up(n_laws: int, seed: int, n_tokens: int = N_TOKENS) -> NDArray[np.float64]:
    """(n_laws, n_tokens): the softmax of normal logits, from nearly flat to peaked, as a model's laws are."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n_laws, n_tokens)) * generator.uniform(2.0, 5.0, size=(n_laws, 1))
    weights = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    laws: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return laws


def _of_model(name: str, texts: list[str], n_laws: int, seed: int) -> Laws:
    import torch
    from transformers.utils import logging

    from proxyalign.models.causal import load_causal
    from proxyalign.rows import record_rows

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    model, tokenizer, source = load_causal(name, offline=True)
    rows = record_rows(model, tokenizer, texts, limit=n_laws, seed=seed)
    return Laws(list(rows.p), [f"{name} {place}" for place in rows.names], {**source, **rows.provenance})
