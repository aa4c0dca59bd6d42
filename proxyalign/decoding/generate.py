"""The entry to decoding: check what was asked, make batches of it, decode them, and put the answers in order."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from proxyalign.decoding import autoregressive, speculative
from proxyalign.decoding.job import Job
from proxyalign.decoding.trace import Counts, Stats, Trace, stats
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair

MODES = ("autoregressive", "speculative")


@dataclass(frozen=True)
class Generation:
    """The answers, in the order of the prompts, `num_return_sequences` in a row for each.

    texts: without special tokens. token_ids: new tokens alone, the end of text included where it was emitted.
    traces: one an answer, who wrote each token and how the base saw it. stats: the run in numbers.
    """

    texts: list[str]
    token_ids: list[list[int]]
    stats: Stats
    traces: list[Trace]


def generate(
    pair: ModelPair,
    prompts: Sequence[str] | Sequence[Sequence[int]],
    rule: Rule,
    *,
    mode: str = "autoregressive",
    window: int = 5,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    rule_temperature: float = 1.0,
    num_return_sequences: int = 1,
    seed: int = 0,
    proxy_prompts: Sequence[str] | Sequence[Sequence[int]] | None = None,
    batch_size: int = 16,
    distributions: bool = False,
    first_index: int = 0,
) -> Generation:
    """Answer `prompts` from pi_T = (1 - d) p_T + (sum_y d_y p_T,y) q_T, with d decided by `rule` at temperature 1.

    prompts: texts, or lists of token ids; texts are tokenised as the pair's tokenizer does by default. proxy_prompts:
    as many, where the proxy reads other ones. mode: "autoregressive", or "speculative" with `window` drafts a cycle;
    both have the same law. temperature: 0 is greedy decoding, its limit: argmax p, and argmax q where that is deferred.
    rule_temperature: of the laws that the rule reads; other than 1 it reproduces code that tempers first, under which
    greedy decoding defers nothing. batch_size: sequences decoded together; it changes speed and memory, never the
    answers. distributions: keep the base's laws on the traces. first_index: the index of the first prompt, which seeds
    its samples with `seed` and the sample's number, so that a run may be cut in parts.

    A rule that always defers is the proxy alone and has nothing to verify: it decodes autoregressively in either mode.

    Raises InputError for an argument out of its range, an empty prompt, and a prompt that leaves no room for
    `max_new_tokens` in the models' context.
    """
    _check_settings(pair, rule, mode, window, max_new_tokens, num_return_sequences, seed, batch_size)
    _check_temperature("temperature", temperature)
    _check_temperature("rule_temperature", rule_temperature)
    _check_count("first_index", first_index, least=0)
    base_prompts = _token_ids(pair, "prompts", prompts, max_new_tokens)
    own_prompts = base_prompts
    if proxy_prompts is not None:
        own_prompts = _token_ids(pair, "proxy_prompts", proxy_prompts, max_new_tokens)
        if len(own_prompts) != len(base_prompts):
            raise InputError(
                f"generate: proxy_prompts must be as many as prompts, {len(base_prompts)}, got {len(own_prompts)}; "
                "pass one for each prompt, or none"
            )
    decode = speculative.decode if mode == "speculative" and rule.constant is not True else autoregressive.decode
    samples = [(i, sample) for i in range(len(base_prompts)) for sample in range(num_return_sequences)]
    traces: list[Trace] = []
    counts = Counts()
    start = time.perf_counter()
    with torch.inference_mode():
        for at in range(0, len(samples), batch_size):
            batch = samples[at : at + batch_size]
            job = Job(
                pair=pair,
                rule=rule.bound(pair.tokenizer, pair.eos_token_ids),
                base_prompts=[base_prompts[i] for i, _ in batch],
                proxy_prompts=[own_prompts[i] for i, _ in batch],
                keys=[(seed, first_index + i, sample) for i, sample in batch],
                max_new_tokens=max_new_tokens,
                temperature=float(temperature),
                rule_temperature=float(rule_temperature),
                window=window,
                distributions=distributions,
            )
            batch_traces, batch_counts = decode(job)
            traces += batch_traces
            counts.add(batch_counts)
    seconds = time.perf_counter() - start
    token_ids = [trace.token_ids.tolist() for trace in traces]
    texts = [pair.tokenizer.decode(ids, skip_special_tokens=True) for ids in token_ids]
    return Generation(texts=texts, token_ids=token_ids, stats=stats(traces, counts, seconds), traces=traces)


def check_reference(pair: ModelPair, rule: Rule) -> None:
    """Raise InputError where the rule reads a reference and the pair has none."""
    if "q0" in rule.needs.split() and pair.reference is None:
        raise InputError(
            f"generate: {rule.name} needs a reference, the proxy before alignment, got a pair without one; "
            "pass it to load_pair (--reference on the command line)"
        )


def _check_settings(
    pair: ModelPair,
    rule: Rule,
    mode: str,
    window: int,
    max_new_tokens: int,
    num_return_sequences: int,
    seed: int,
    batch_size: int,
) -> None:
    """Raise InputError for the first setting that is out of its range."""
    if not isinstance(pair, ModelPair):
        raise InputError(f"generate: pair must be a ModelPair, got {type(pair).__name__}; make one with load_pair")
    if not isinstance(rule, Rule):
        raise InputError(f"generate: rule must be a rule, got {rule!r}; pass one such as rules.Dual(alpha=0.4)")
    if mode not in MODES:
        raise InputError(f"generate: mode must be {' or '.join(MODES)}, got {mode!r}; choose one of these")
    _check_count("window", window, least=1)
    _check_count("max_new_tokens", max_new_tokens, least=1)
    _check_count("num_return_sequences", num_return_sequences, least=1)
    _check_count("batch_size", batch_size, least=1)
    _check_count("seed", seed, least=0)
    check_reference(pair, rule)


def _check_temperature(argument: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
        raise InputError(
            f"generate: {argument} must be a finite number of at least 0, got {value!r}; 0 decodes greedily"
        )


def _check_count(argument: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"generate: {argument} must be a whole number of at least {least}, got {value!r}; pass one")


def _token_ids(pair: ModelPair, argument: str, prompts: Any, max_new_tokens: int) -> list[list[int]]:
    """The prompts as lists of token ids, each non-empty, within the vocabulary, and short enough for the context."""
    if isinstance(prompts, str) or not isinstance(prompts, Sequence) or not prompts:
        raise InputError(
            f"generate: {argument} must be a list of one or more prompts, got {prompts!r}; put a single text in a list"
        )
    all_ids = []
    for i, prompt in enumerate(prompts):
        is_text = isinstance(prompt, str)
        if is_text:  # quietly: the sentence below says more about a long one than the tokenizer's warning
            ids = pair.tokenizer(prompt, verbose=False)["input_ids"] if prompt.strip() else []
        else:
            ids = list(prompt)
        if not ids:
            raise InputError(f"generate: {argument}[{i}] must hold at least one token, got {prompt!r}; write a prompt")
        unknown = [token for token in ids if not isinstance(token, int) or not 0 <= token < pair.vocab_size]
        if unknown:
            raise InputError(
                f"generate: {argument}[{i}] must hold token ids from 0 to {pair.vocab_size - 1}, got {unknown[0]!r}; "
                "tokenise it with the pair's tokenizer"
            )
        room = pair.context_length
        if room is not None and len(ids) + max_new_tokens > room:
            raise InputError(
                f"generate: {argument}[{i}] and max_new_tokens must fit the models' context of {room} tokens, "
                f"got {len(ids)} + {max_new_tokens}; shorten the prompt or lower max_new_tokens"
            )
        all_ids.append(ids)
    return all_ids
