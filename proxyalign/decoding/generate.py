"""The entry to decoding: check what was asked, make batches of it, decode them, and put the answers in order."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from proxyalign.decoding import autoregressive, speculative
from proxyalign.decoding.arguments import (
    bias_of,
    check_mode,
    check_pair_and_rule,
    check_rotary,
    check_served,
    check_verifier,
    end_ids,
    placed,
    prompt_ids,
    proxy_ids,
    stop_strings,
)
from proxyalign.decoding.backends import backend_for
from proxyalign.decoding.job import Job
from proxyalign.decoding.memory import enough_memory
from proxyalign.decoding.shaping import Shaping
from proxyalign.decoding.trace import Counts, Record, Stats, Trace, stats
from proxyalign.decoding.window import AdaptiveWindow, FixedWindow
from proxyalign.deferral.rule import Rule
from proxyalign.deferral.truncations import TopK, TopP
from proxyalign.deferral.verifiers import Verifier
from proxyalign.displays import as_card, as_line
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.validation import Domain, check_count, check_number

N_SHOWN = 5  # answers in a notebook, where nobody asked for one of them
TEMPERATURE = Domain(0.0, math.inf, "0 decodes greedily")


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

    def __repr__(self) -> str:
        return as_line("Generation", {"answers": str(len(self.texts)), **self.stats.facts()})

    def _repr_html_(self) -> str:
        """The run in a notebook, and the first answers, coloured by who wrote each token."""
        shown = self.traces[:N_SHOWN]
        more = f"<p><small>and {len(self.traces) - len(shown)} more answers</small></p>"
        below = "".join(trace._repr_html_() for trace in shown) + (more if len(self.traces) > len(shown) else "")
        return as_card("Generation", {"answers": str(len(self.texts)), **self.stats.facts()}, below)


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
    distributions: bool | Callable[[int, int], bool] = False,
    first_index: int = 0,
    boundaries: str = "any",
    verifier: Verifier | None = None,
) -> Generation:
    """Answer `prompts` from pi_T = (1 - d) p_T + (sum_y d_y p_T,y) q_T, with d decided by `rule` at temperature 1.

    prompts: texts, or lists of token ids; texts are tokenised by `pair.encode`. proxy_prompts: as many, where the proxy
    (and the reference) reads other ones, such as `pair.chat` of each. mode: "autoregressive", or "speculative" with
    `window` drafts a cycle; both have the same law. window: a number, or "auto" for the one that pays best as measured
    while decoding, which a seed cannot fix. temperature: 0 is greedy decoding, its limit: argmax p, and argmax q where
    that is deferred.
    top_k, top_p: truncate the base's law, proxy_top_k, proxy_top_p the proxy's, before the rule reads them. logit_bias:
    added to the logits of these token ids, minus infinity to forbid one. min_new_tokens: how many come before the text
    may end, by whatever ends it. stop: strings with which a text ends, kept in it; looked for in what the new tokens
    spell, special tokens too, and in the text as shown. eos_token_ids: tokens that end a text, or one, the pair's own
    where left out. streamer: a TextStreamer of transformers, for one sequence.

    rule_temperature: of the laws that the rule reads; other than 1 it reproduces code that tempers first, under which
    greedy decoding defers nothing. batch_size: sequences decoded together, of which those that end make room for
    others; it changes speed and memory, never the answers. distributions: keep the base's laws on the traces; those of
    some positions alone where it is a function, of a prompt's index and a new token's position, that says so.
    first_index: the index of the first prompt, which seeds its samples with `seed` and the sample's number, so that a
    run may be cut in parts.

    boundaries: where the rule may change hands, at any token, or between words alone: within one who wrote last goes on
    (deferral.boundaries), for rules that defer each token by itself.

    verifier: a lossy one (`verifiers.Cactus`, `verifiers.Mentored`), in speculative mode alone, with which more drafts
    pass, and every token has the law `verifier.law(pi_T, q_T)` in place of pi_T; no bonus is drawn after a window,
    since its law would be another. How far from pi_T the law of each token was, in total variation, is on the traces,
    and its mean in the stats. In greedy decoding nothing changes.

    Over two vocabularies a token is a piece, whose bytes are `pair.vocabulary.pieces[id]`: answers, stop, logit_bias,
    eos_token_ids and all laws are of pieces. Prompts of ids are each model's own; without proxy_prompts the proxy reads
    the text of the base's. A text also ends where a model's context does, since a piece may take several of its tokens.

    With a served base (`pa.ServedBase`) the server writes ahead, whichever the mode, `batch_size` texts at once, and
    what would change its law is refused.

    A rule that always defers is the proxy alone and has nothing to verify: it decodes autoregressively in either mode.

    Raises InputError for an argument out of its range, an empty prompt, a prompt that leaves no room for
    `max_new_tokens` in the models' context, and where memory runs out; Interrupted, with what has ended, on Ctrl-C.
    """
    with _ending(streamer):
        if isinstance(pair, ModelPair) and pair.is_served:
            check_served(
                ("top_k", top_k, None), ("top_p", top_p, None), ("proxy_top_k", proxy_top_k, None),
                ("proxy_top_p", proxy_top_p, None), ("logit_bias", logit_bias, None),
                ("min_new_tokens", min_new_tokens, 0), ("eos_token_ids", eos_token_ids, None),
                ("streamer", streamer, None), ("distributions", distributions, False),
                ("rule_temperature", rule_temperature, 1.0), ("boundaries", boundaries, "any"),
                ("verifier", verifier, None),
            )  # fmt: skip
            served: Generation = pair.base.answer(
                pair, prompts, rule, proxy_prompts=proxy_prompts, max_new_tokens=max_new_tokens,
                temperature=temperature, num_return_sequences=num_return_sequences, seed=seed, stop=stop,
                n_concurrent=batch_size, first_index=first_index,
            )  # fmt: skip
            return served
        check_pair_and_rule("generate", pair, rule)
        check_mode(mode, window)
        check_verifier("generate", verifier, mode)
        for name, value, least in (
            ("max_new_tokens", max_new_tokens, 1), ("num_return_sequences", num_return_sequences, 1),
            ("batch_size", batch_size, 1), ("seed", seed, 0), ("first_index", first_index, 0),
            ("min_new_tokens", min_new_tokens, 0),
        ):  # fmt: skip
            check_count("generate", name, value, least)
        for name, heat in (("temperature", temperature), ("rule_temperature", rule_temperature)):
            check_number("generate", name, heat, TEMPERATURE)
        if min_new_tokens > max_new_tokens:
            raise InputError(
                f"generate: min_new_tokens must be at most max_new_tokens, {max_new_tokens}, got {min_new_tokens}; "
                "lower it"
            )
        base_prompts = prompt_ids(pair, "base", "prompts", prompts, max_new_tokens)
        if proxy_prompts is None:
            own_prompts = proxy_ids(pair, prompts, base_prompts, max_new_tokens)
        else:
            own_prompts = prompt_ids(pair, "proxy", "proxy_prompts", proxy_prompts, max_new_tokens)
            if len(own_prompts) != len(base_prompts):
                raise InputError(
                    f"generate: proxy_prompts must be as many as prompts, {len(base_prompts)}, got "
                    f"{len(own_prompts)}; pass one for each prompt, or none"
                )
        is_speculative = mode == "speculative" and rule.constant is not True
        samples = [(i, sample) for i in range(len(base_prompts)) for sample in range(num_return_sequences)]
        longest = AdaptiveWindow() if isinstance(window, str) else FixedWindow(min(window, max_new_tokens))
        # Near the end of a text its neighbours' windows may reach past it.
        beyond = 0 if not is_speculative or min(batch_size, len(samples)) == 1 else longest.longest
        lengths = [len(ids) for ids in (*base_prompts, *own_prompts)]
        check_rotary("generate", pair, lengths, max_new_tokens - (not is_speculative) + beyond)
        ends = end_ids(pair, eos_token_ids)
        shaping = Shaping(
            temperature=float(temperature),
            rule_temperature=float(rule_temperature),
            bias=bias_of(pair, logit_bias, ends if min_new_tokens else ()),
            ends=ends,
            min_new_tokens=min_new_tokens,
            truncations={"base": _truncations(top_k, top_p), "proxy": _truncations(proxy_top_k, proxy_top_p)},
        )
        job = Job(
            pair=pair,
            backend=backend_for(pair.device),
            rule=placed("generate", pair, rule, ends, boundaries),
            base_prompts=[base_prompts[i] for i, _ in samples],
            proxy_prompts=[own_prompts[i] for i, _ in samples],
            keys=[(seed, first_index + i, sample) for i, sample in samples],
            max_new_tokens=max_new_tokens,
            shaping=shaping,
            window=longest,
            batch_size=batch_size,
            wants_law=distributions if callable(distributions) else (lambda *_: True) if distributions else None,
            stop=[stop_strings(stop)] * len(samples),
            listener=_listener(pair, streamer, base_prompts, len(samples)),
            verifier=verifier,
        )
        return _decoded(job, speculative.decode if is_speculative else autoregressive.decode)


def _decoded(job: Job, decode: Callable[[Job, Record], Counts]) -> Generation:
    """Decode all sequences of the job, and put the answers in order."""
    spelling, n_sequences = job.pair.spelling, len(job.keys)
    start, record = time.perf_counter(), job.record()
    n_rows, remedy = min(job.batch_size, n_sequences), "lower batch_size or max_new_tokens, or shorten the prompts"
    try:
        with (
            enough_memory("generate", n_rows, remedy),
            torch.inference_mode(),
            job.pair.evaluating(),
            job.backend.working(job.pair.device),
        ):
            passes = decode(job, record)
    except KeyboardInterrupt as stopped:
        raise Interrupted(record.traces(spelling), n_sequences) from stopped
    seconds, traces = time.perf_counter() - start, list(record.traces(spelling).values())
    token_ids = [trace.token_ids.tolist() for trace in traces]
    texts = [spelling.decode(ids, skip_special_tokens=True) for ids in token_ids]
    return Generation(texts=texts, token_ids=token_ids, stats=stats(traces, passes, seconds), traces=traces)


def _truncations(top_k: int | None, top_p: float | None) -> tuple[Rule, ...]:
    return (*(() if top_k is None else (TopK(top_k),)), *(() if top_p is None else (TopP(top_p),)))


@contextmanager
def _ending(streamer: Any) -> Iterator[None]:
    """End the streamer whatever happens, a refusal too: who reads it would wait for ever."""
    if streamer is not None and not all(callable(getattr(streamer, name, None)) for name in ("put", "end")):
        raise InputError(f"generate: streamer must have put and end, got {streamer!r}; pass a TextStreamer")
    try:
        yield
    finally:
        if streamer is not None:
            streamer.end()


def _listener(
    pair: ModelPair, streamer: Any, prompts: Sequence[Sequence[int]], n_sequences: int
) -> Callable[[int, npt.NDArray[np.int64]], None] | None:
    """What hands new tokens to the streamer, which has had the prompt, as in transformers; pieces as the base's ids."""
    if streamer is None:
        return None
    if n_sequences != 1:
        raise InputError(
            f"generate: a streamer takes one sequence, got {n_sequences}; pass one prompt and num_return_sequences=1"
        )
    streamer.put(torch.tensor(prompts[0]))
    if not pair.has_two_vocabularies:
        return lambda _, tokens: streamer.put(torch.from_numpy(tokens)) if len(tokens) else None
    shown_as = pair.vocabulary.sides["base"].shown_as
    return lambda _, pieces: streamer.put(torch.tensor(ids)) if (ids := shown_as(pieces.tolist())) else None
