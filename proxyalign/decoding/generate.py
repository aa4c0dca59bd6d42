"""The entry to decoding: check what was asked, make batches of it, decode them, and put the answers in order."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from proxyalign.decoding import autoregressive, speculative
from proxyalign.decoding.job import Job
from proxyalign.decoding.memory import enough_memory
from proxyalign.decoding.shaping import Shaping
from proxyalign.decoding.trace import Stats, Trace, stats
from proxyalign.decoding.window import AdaptiveWindow, FixedWindow
from proxyalign.deferral.rule import Rule
from proxyalign.deferral.truncations import TopK, TopP
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


class Interrupted(KeyboardInterrupt):
    """A generation that was stopped by Ctrl-C. traces: of the sequences that had ended by then, by index."""

    def __init__(self, traces: dict[int, Trace], n_sequences: int) -> None:
        super().__init__(f"generate: stopped after {len(traces)} of {n_sequences} sequences; `traces` holds those")
        self.traces = traces


def generate(
    pair: ModelPair,
    prompts: Sequence[str] | Sequence[Sequence[int]],
    rule: Rule,
    *,
    mode: str = "autoregressive",
    window: int | Literal["auto"] = 5,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    rule_temperature: float = 1.0,
    num_return_sequences: int = 1,
    seed: int = 0,
    proxy_prompts: Sequence[str] | Sequence[Sequence[int]] | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    proxy_top_k: int | None = None,
    proxy_top_p: float | None = None,
    logit_bias: Mapping[int, float] | None = None,
    min_new_tokens: int = 0,
    stop: Sequence[str] = (),
    eos_token_ids: Sequence[int] | None = None,
    streamer: Any = None,
    batch_size: int = 16,
    distributions: bool = False,
    first_index: int = 0,
) -> Generation:
    """Answer `prompts` from pi_T = (1 - d) p_T + (sum_y d_y p_T,y) q_T, with d decided by `rule` at temperature 1.

    prompts: texts, or lists of token ids; texts are tokenised by `pair.encode`. proxy_prompts: as many, where the proxy
    (and the reference) reads other ones, such as `pair.chat` of each. mode: "autoregressive", or "speculative" with
    `window` drafts a cycle; both have the same law. window: a number, or "auto" for the one that pays best as measured
    while decoding, which a seed cannot fix. temperature: 0 is greedy decoding, its limit: argmax p, and argmax q where
    that is deferred.
    top_k, top_p: truncate the base's law, proxy_top_k, proxy_top_p the proxy's, before the rule reads them. logit_bias:
    added to the logits of these token ids, minus infinity to forbid one. min_new_tokens: how many come before the text
    may end. stop: strings with which a text ends, kept in it. eos_token_ids: tokens that end a text, the pair's own
    where left out. streamer: a TextStreamer of transformers, for one sequence.

    rule_temperature: of the laws that the rule reads; other than 1 it reproduces code that tempers first, under which
    greedy decoding defers nothing. batch_size: sequences decoded together, of which those that end make room for
    others; it changes speed and memory, never the answers. distributions: keep the base's laws on the traces.
    first_index: the index of the first prompt, which seeds its samples with `seed` and the sample's number, so that a
    run may be cut in parts.

    A rule that always defers is the proxy alone and has nothing to verify: it decodes autoregressively in either mode.

    Raises InputError for an argument out of its range, an empty prompt, a prompt that leaves no room for
    `max_new_tokens` in the models' context, and where memory runs out; Interrupted, with what has ended, on Ctrl-C.
    """
    _check_settings(pair, rule, mode, window, max_new_tokens, num_return_sequences, seed, batch_size)
    _check_temperature("temperature", temperature)
    _check_temperature("rule_temperature", rule_temperature)
    _check_count("first_index", first_index, least=0)
    _check_count("min_new_tokens", min_new_tokens, least=0)
    if min_new_tokens > max_new_tokens:
        raise InputError(
            f"generate: min_new_tokens must be at most max_new_tokens, {max_new_tokens}, got {min_new_tokens}; lower it"
        )
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
    if eos_token_ids is not None:
        _check_ids(pair, "eos_token_ids", eos_token_ids, "look it up in")
    ends = pair.eos_token_ids if eos_token_ids is None else tuple(eos_token_ids)
    shaping = Shaping(
        temperature=float(temperature),
        rule_temperature=float(rule_temperature),
        bias=_bias(pair, logit_bias, ends if min_new_tokens else ()),
        ends=ends,
        min_new_tokens=min_new_tokens,
        truncations={"base": _truncations(top_k, top_p), "proxy": _truncations(proxy_top_k, proxy_top_p)},
    )
    job = Job(
        pair=pair,
        rule=rule.bound(pair.tokenizer, ends),
        base_prompts=[base_prompts[i] for i, _ in samples],
        proxy_prompts=[own_prompts[i] for i, _ in samples],
        keys=[(seed, first_index + i, sample) for i, sample in samples],
        max_new_tokens=max_new_tokens,
        shaping=shaping,
        window=AdaptiveWindow() if isinstance(window, str) else FixedWindow(min(window, max_new_tokens)),
        batch_size=batch_size,
        distributions=distributions,
        stop=_strings(stop),
        listener=_listener(streamer, base_prompts, len(samples)),
    )
    start, record = time.perf_counter(), job.record()
    n_rows, remedy = min(batch_size, len(samples)), "lower batch_size or max_new_tokens, or shorten the prompts"
    try:
        with enough_memory("generate", n_rows, remedy), torch.inference_mode():
            counts = decode(job, record)
    except KeyboardInterrupt as stopped:
        raise Interrupted(record.traces(pair.tokenizer), len(samples)) from stopped
    finally:
        if streamer is not None:
            streamer.end()
    seconds, traces = time.perf_counter() - start, list(record.traces(pair.tokenizer).values())
    token_ids = [trace.token_ids.tolist() for trace in traces]
    texts = [pair.tokenizer.decode(ids, skip_special_tokens=True) for ids in token_ids]
    return Generation(texts=texts, token_ids=token_ids, stats=stats(traces, counts, seconds), traces=traces)


def check_reference(owner: str, pair: ModelPair, rule: Rule) -> None:
    """Raise InputError where the rule reads a reference and the pair has none."""
    if rule.reads("q0") and pair.reference is None:
        raise InputError(
            f"{owner}: {rule.name} needs a reference, the proxy before alignment, got a pair without one; "
            "pass it to load_pair (--reference on the command line)"
        )


def _check_settings(
    pair: ModelPair,
    rule: Rule,
    mode: str,
    window: int | str,
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
    if window != "auto":
        _check_count("window", window, least=1)
    _check_count("max_new_tokens", max_new_tokens, least=1)
    _check_count("num_return_sequences", num_return_sequences, least=1)
    _check_count("batch_size", batch_size, least=1)
    _check_count("seed", seed, least=0)
    check_reference("generate", pair, rule)


def _check_ids(pair: ModelPair, argument: str, ids: Iterable[int], remedy: str) -> None:
    """Raise InputError for an id that the vocabulary does not have."""
    unknown = [i for i in ids if not isinstance(i, int | np.integer) or not 0 <= i < pair.vocab_size]
    if unknown:
        raise InputError(
            f"generate: {argument} must hold token ids from 0 to {pair.vocab_size - 1}, got {unknown[0]!r}; "
            f"{remedy} the pair's tokenizer"
        )


def _bias(pair: ModelPair, logit_bias: Mapping[int, float] | None, late: Sequence[int]) -> torch.Tensor | None:
    """The bias (V,), None without one. late: ids that may not come at first, whatever it says of them."""
    if not logit_bias:
        return None
    _check_ids(pair, "logit_bias", logit_bias, "look it up in")
    bias = torch.zeros(pair.vocab_size, dtype=torch.float64)
    for token, amount in logit_bias.items():
        if not amount < math.inf:
            raise InputError(
                f"generate: logit_bias must be below infinity, got {amount!r} for token {token}; pass a number of nats"
            )
        bias[token] = amount
    may_come = ~torch.isneginf(bias)
    may_come[list(late)] = False
    if not may_come.any():
        raise InputError(
            "generate: logit_bias must leave a token that may come first, got minus infinity for all; allow one"
        )
    kind = torch.float64 if pair.base.dtype == torch.float64 else torch.float32
    return bias.to(pair.device, kind)


def _truncations(top_k: int | None, top_p: float | None) -> tuple[Rule, ...]:
    return (*(() if top_k is None else (TopK(top_k),)), *(() if top_p is None else (TopP(top_p),)))


def _strings(stop: Sequence[str]) -> tuple[str, ...]:
    if isinstance(stop, str) or not all(isinstance(string, str) and string for string in stop):
        raise InputError(
            f"generate: stop must be a list of strings that are not empty, got {stop!r}; put a single one in a list"
        )
    return tuple(stop)


def _listener(
    streamer: Any, prompts: Sequence[Sequence[int]], n_sequences: int
) -> Callable[[int, npt.NDArray[np.int64]], None] | None:
    """What hands new tokens to the streamer, which has had the prompt, as in transformers."""
    if streamer is None:
        return None
    if n_sequences != 1:
        raise InputError(
            f"generate: a streamer takes one sequence, got {n_sequences}; pass one prompt and num_return_sequences=1"
        )
    streamer.put(torch.tensor(prompts[0]))
    return lambda _, tokens: streamer.put(torch.from_numpy(tokens)) if len(tokens) else None


def _check_temperature(argument: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 <= value < math.inf:
        raise InputError(
            f"generate: {argument} must be a finite number of at least 0, got {value!r}; 0 decodes greedily"
        )


def _check_count(argument: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"generate: {argument} must be a whole number of at least {least}, got {value!r}; pass one")


def _token_ids(pair: ModelPair, argument: str, prompts: Any, max_new_tokens: int) -> list[list[int]]:
    """The prompts as lists of token ids, each non-empty, within the vocabulary, and short enough for the context."""
    if isinstance(prompts, str) or not isinstance(prompts, Sequence) or not prompts:
        raise InputError(
            f"generate: {argument} must be a list of one or more prompts, got {prompts!r}; put a single text in a list"
        )
    all_ids = []
    for i, prompt in enumerate(prompts):
        ids = (pair.encode(prompt) if prompt.strip() else []) if isinstance(prompt, str) else list(prompt)
        if not ids:
            raise InputError(f"generate: {argument}[{i}] must hold at least one token, got {prompt!r}; write a prompt")
        _check_ids(pair, f"{argument}[{i}]", ids, "tokenise it with")
        room = pair.context_length
        if room is not None and len(ids) + max_new_tokens > room:
            raise InputError(
                f"generate: {argument}[{i}] and max_new_tokens must fit the models' context of {room} tokens, "
                f"got {len(ids)} + {max_new_tokens}; shorten the prompt or lower max_new_tokens"
            )
        all_ids.append(ids)
    return all_ids
