"""Train a lab pair from nothing: the base, the proxy, the tuning of the proxy, and the folder that holds the pair."""

import hashlib
import json
import platform
import random
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from proxyalign.errors import InputError
from proxyalign.files import write_json
from proxyalign.models.lab.documents import corpus
from proxyalign.models.lab.fitting import Report, fit
from proxyalign.models.lab.recipe import Recipe, Schedule, Shape, differences
from proxyalign.models.lab.tokenizer import train_tokenizer
from proxyalign.models.lab.tuning import examples
from proxyalign.models.lab.world import World, make_world

_PACKAGES = ("numpy", "proxyalign", "tokenizers", "torch", "transformers")


def train(
    out: Path, seed: int, recipe: Recipe, *, report: Report = lambda *_: None, checkpoint_seconds: float = 60.0
) -> dict[str, Any]:
    """Train the pair of `seed` into `out` (base/, proxy/, lab.json) and return what lab.json holds.

    Runs on one thread whatever the machine has, so that the weights do not depend on the number of cores. Killed and
    called again, it goes on from the last checkpoint and ends with the same weights; a finished pair is left alone.
    Raises InputError where `out` holds anything else, or a pair of another seed or recipe.
    """
    record = _open(out, seed, recipe)
    if record["finished"]:
        return record
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train(out, record, recipe, report, checkpoint_seconds)
    finally:
        torch.set_num_threads(n_threads)


def _open(out: Path, seed: int, recipe: Recipe) -> dict[str, Any]:
    """Read or start the record of `out`."""
    if seed < 0:
        raise InputError(f"lab train: seed must be at least 0, got {seed}; pass another one")
    path = out / "lab.json"
    if path.exists():
        try:
            record: dict[str, Any] = json.loads(path.read_text())
            held = record["seed"], record["recipe"]["name"]
            finished = record["finished"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"lab train: {path} is not the record of a lab pair; choose another folder") from error
        changed = differences(record["recipe"], _plain(recipe))
        if held != (seed, recipe.name) or changed:
            why = f"another recipe ({', '.join(changed)})" if held == (seed, recipe.name) else "them"
            raise InputError(
                f"lab train: {out} holds the pair of seed {held[0]}, preset {held[1]}, and seed {seed}, preset "
                f"{recipe.name} was asked for with {why}; choose another folder"
            )
        return {**record, "finished": finished}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"lab train: {out} exists and is not the folder of a lab pair; choose another folder")
    record = {
        "seed": seed,
        "recipe": _plain(recipe),
        "precision": "bfloat16" if _has_bfloat16() else "float32",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "finished": False,
    }
    write_json(path, record)
    return record


def _train(
    out: Path, record: dict[str, Any], recipe: Recipe, report: Report, checkpoint_seconds: float
) -> dict[str, Any]:
    seed = record["seed"]
    world = make_world(seed, recipe)
    texts = [document.text for document in corpus(world, recipe)]
    sample = random.Random(f"{seed}:tokenizer").sample(texts, recipe.tokenizer_documents)
    tokenizer = train_tokenizer(sample, recipe.vocabulary, recipe.context)
    starts = [0, recipe.documents - recipe.proxy_documents]
    streams = [_stream(tokenizer, texts[start:]) for start in starts]
    tuning = Schedule(recipe.tuning.rate, "adamw", decay=0.0, warmup=5)
    stages = {
        "base": (recipe.base_schedule, _blocks(streams[0], recipe.base_schedule)),
        "proxy": (recipe.proxy_schedule, _blocks(streams[1], recipe.proxy_schedule)),
        "tuning": (tuning, _tuning_batches(world, recipe, tokenizer)),
    }
    models = {
        "base": _model(recipe.base, recipe, f"{seed}:base"),
        "proxy": _model(recipe.proxy, recipe, f"{seed}:proxy"),
    }
    models["tuning"] = models["proxy"]
    fits = {}
    for stage, (schedule, batches) in stages.items():
        fits[stage] = fit(
            stage,
            models[stage],
            schedule,
            batches,
            half=record["precision"] == "bfloat16",
            checkpoint=out / "state" / f"{stage}.pt",
            checkpoint_seconds=checkpoint_seconds,
            report=report,
        )
    for name in ("base", "proxy"):
        models[name].half().save_pretrained(out / name)
        tokenizer.save_pretrained(out / name)
    record = {
        **record,
        "tokens": {"base": len(streams[0]), "proxy": len(streams[1])},
        "parameters": {name: models[name].num_parameters() for name in ("base", "proxy")},
        "steps": {stage: len(result.losses) for stage, result in fits.items()},
        "losses": {stage: round(result.last_loss, 4) for stage, result in fits.items()},
        "seconds": {stage: round(result.seconds, 1) for stage, result in fits.items()},
        "finished": True,
    }
    write_json(out / "lab.json", record)
    shutil.rmtree(out / "state")
    return record


def _model(shape: Shape, recipe: Recipe, seed: str) -> LlamaForCausalLM:
    """A fresh Llama whose first weights depend on `seed` alone."""
    config = LlamaConfig(
        vocab_size=recipe.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.gated,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big"))
        return LlamaForCausalLM(config)


def _stream(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> Tensor:
    """All texts one after another, each with the end token before it: (n,) int64."""
    rows = tokenizer(texts, return_attention_mask=False)["input_ids"]
    return torch.from_numpy(np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]))


def _blocks(stream: Tensor, schedule: Schedule) -> list[tuple[Tensor, Tensor]]:
    """The stream cut into steps of rows x length, in order; what is left over at the end is not read."""
    size = schedule.rows * schedule.length
    n_steps = len(stream) // size
    blocks = stream[: n_steps * size].view(n_steps, schedule.rows, schedule.length)
    return [(block, block) for block in blocks]


def _tuning_batches(
    world: World, recipe: Recipe, tokenizer: PreTrainedTokenizerFast
) -> Sequence[tuple[Tensor, Tensor]]:
    """Padded batches of the tuning examples, every epoch in another order; the loss is on reply and end alone."""
    pairs = []
    for example in examples(world, recipe):
        prompt = tokenizer(example.prompt)["input_ids"]
        reply = tokenizer(example.reply, add_special_tokens=False)["input_ids"]
        pairs.append((prompt, [*reply, tokenizer.eos_token_id]))
    rng = random.Random(f"{world.seed}:epochs")
    batches = []
    for _ in range(recipe.tuning.epochs):
        rng.shuffle(pairs)
        for first in range(0, len(pairs), recipe.tuning.rows):
            chosen = pairs[first : first + recipe.tuning.rows]
            length = max(len(prompt) + len(reply) for prompt, reply in chosen)
            ids = torch.zeros(len(chosen), length, dtype=torch.int64)
            labels = torch.full_like(ids, -100)
            for row, (prompt, reply) in enumerate(chosen):
                ids[row, : len(prompt) + len(reply)] = torch.tensor(prompt + reply)
                labels[row, len(prompt) : len(prompt) + len(reply)] = torch.tensor(reply)
            batches.append((ids, labels))
    return batches


def _has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 (2.3 times faster here than in float32)."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON would give it back."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return plain
