"""The entry to a cascade whose base is served: check what was asked, write several texts at once, put them in order."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from proxyalign.decoding.arguments import prompt_list, stop_strings
from proxyalign.decoding.generate import Generation, Interrupted
from proxyalign.decoding.trace import Counts, Trace, stats
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.tokens import check_unicode
from proxyalign.serving.base import ServedBase, ServerError
from proxyalign.serving.cascade import Slots, Terms, Text, Writer, check_rule
from proxyalign.serving.client import Client, Stopped
from proxyalign.serving.pieces import Pieces, Request, pieces_of, prompt_of
from proxyalign.serving.probe import Server, check_log_probs, meet
from proxyalign.serving.proxy import LocalProxy
from proxyalign.validation import Domain, check_count, check_number

T = TypeVar("T")
_TEMPERATURE = Domain(0.0, math.inf, "0 decodes greedily")
_AT_FIRST = "I"  # a text that many go on from in many ways, which tells more of a server than a question does
_checked: WeakKeyDictionary[ServedBase, set[float]] = WeakKeyDictionary()  # the temperatures at which it was found true


def decode_served(
    base: ServedBase,
    proxy: Any,
    proxy_tokenizer: Any,
    prompts: Sequence[str] | Sequence[Sequence[int]],
    rule: Rule,
    *,
    proxy_prompts: Sequence[str] | Sequence[Sequence[int]] | None = None,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    num_return_sequences: int = 1,
    seed: int = 0,
    stop: Sequence[str] = (),
    n_concurrent: int = 8,
    first_index: int = 0,
    resume: ServerError | None = None,
) -> Generation:
    """Answer `prompts` from the law of `generate`, with a base behind a server and a local proxy.

    proxy: a causal language model of transformers; proxy_tokenizer: its own, a fast one. prompts: texts, or ids where
    `base` has its tokenizer. proxy_prompts: as many, texts or ids of the proxy, where it reads other ones. rule: one
    that decides by the probability of the token drawn and by the largest one. n_concurrent: texts written at once.
    max_new_tokens, temperature, num_return_sequences, seed, stop and first_index are as in `generate`; a seed fixes the
    texts where the server honours seeds and batches change no number. resume: an error of the same call, whose texts
    are gone on with.

    In traces `deferral_mass` is 1 where the base's token was thrown away and 0 elsewhere, as no server tells D, whose
    mean it has at temperature 1; p_y is NaN where the proxy wrote. The base's passes are the tokens that it was seen
    to write.

    Raises InputError for an argument out of its range, ServerError for a server that does not show the untouched law,
    refuses a request, or stays away for longer than the base's patience, and Interrupted on Ctrl-C, the latter two with
    the texts that had ended.
    """
    check_rule("generate", rule)
    for name, value, least in (
        ("max_new_tokens", max_new_tokens, 1), ("num_return_sequences", num_return_sequences, 1),
        ("seed", seed, 0), ("n_concurrent", n_concurrent, 1), ("first_index", first_index, 0),
    ):  # fmt: skip
        check_count("generate", name, value, least)
    check_number("generate", "temperature", temperature, _TEMPERATURE)
    given = prompt_list("prompts", prompts)
    own = given if proxy_prompts is None else prompt_list("proxy_prompts", proxy_prompts)
    check_unicode("generate", [given, own])
    base_prompts = [_base_prompt(base, one) for one in given]
    if len(own) != len(base_prompts):
        raise InputError(
            f"generate: proxy_prompts must be as many as prompts, {len(base_prompts)}, got {len(own)}; pass one for "
            "each prompt, or none"
        )
    pieces = pieces_of(base.tokenizer, proxy, proxy_tokenizer)
    reader = LocalProxy(proxy, pieces, float(temperature))
    if proxy_prompts is None and not pieces.is_shared and not all(isinstance(one, str) for one in own):
        raise InputError(
            "generate: prompts must be texts where the proxy has another vocabulary, got token ids; write texts, or "
            "pass proxy_prompts"
        )
    own_ids = [prompt_of("prompts" if proxy_prompts is None else "proxy_prompts", proxy_tokenizer, one) for one in own]
    texts = [
        Text((seed, first_index + i, sample), base_prompts[i], reader.beside(own_ids[i]))
        for i in range(len(base_prompts))
        for sample in range(num_return_sequences)
    ]
    terms = Terms(rule, pieces, max_new_tokens, float(temperature), tuple(one.encode() for one in stop_strings(stop)))
    if resume is not None:
        for i, trace in (*resume.partial.items(), *resume.traces.items()):
            texts[i].resume(trace, pieces, has_ended=i in resume.traces)
    with Client(base, n_concurrent) as client, reader.evaluating():
        server = meet(client)
        n_writers = min(n_concurrent, server.n_slots or n_concurrent)
        with _Pool(client, n_writers) as pool:
            if float(temperature) not in _checked.setdefault(base, set()) and rule.constant is not True:
                _check(client, server, base_prompts[0], float(temperature), pool)
                _checked[base].add(float(temperature))
            return _decoded(client, server, terms, texts, reader, pool)


class _Pool:
    """Threads that work at once; once one fails, or Ctrl-C comes, all of them are told to stop and waited for."""

    def __init__(self, client: Client, n: int) -> None:
        self.n = n
        self._client = client
        self._threads = ThreadPoolExecutor(n, thread_name_prefix="proxyalign-served")

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def all(self, call: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
        """What the call gives for each of the arguments, in their order. Raises the first error there is."""
        waiting: list[Future[T]] = []
        try:
            waiting.extend(self._threads.submit(call, *one) for one in arguments)
            done, _ = wait(waiting, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            return [future.result() for future in waiting]
        except BaseException:
            self._client.stop.set()
            for future in waiting:
                future.cancel()
            wait([future for future in waiting if not future.cancelled()])
            raise


def _check(client: Client, server: Server, prompt: Request, temperature: float, pool: _Pool) -> None:
    tokenizer = client.base.tokenizer
    at_first: Request = _AT_FIRST if tokenizer is None else prompt_of("prompts", tokenizer, _AT_FIRST)
    check_log_probs(client, server.dialect, [prompt, at_first], temperature, pool.all)


def _decoded(
    client: Client, server: Server, terms: Terms, texts: Sequence[Text], proxy: LocalProxy, pool: _Pool
) -> Generation:
    """Write all texts, and put the answers in order."""
    slots, tokenizer, n_seen = Slots(pool.n), terms.pieces.tokenizer, Counter[int]()

    def write(text: Text) -> None:
        slot = slots.take()
        writer = Writer(client, server, terms, slot)
        try:
            writer.write(text)
        except Stopped:
            pass  # another text's error is told
        finally:
            n_seen[slot] += writer.n_seen
            slots.give_back(slot)

    def traces(*, has_ended: bool) -> dict[int, Trace]:
        return {
            i: text.trace(tokenizer)
            for i, text in enumerate(texts)
            if text.has_ended == has_ended and (has_ended or text.pieces)
        }

    start = time.perf_counter()
    try:
        pool.all(write, [(text,) for text in texts if not text.has_ended])
    except KeyboardInterrupt as stopped:
        raise Interrupted(traces(has_ended=True), len(texts)) from stopped
    except ServerError as error:
        error.traces, error.partial = traces(has_ended=True), traces(has_ended=False)
        raise
    seconds, found = time.perf_counter() - start, list(traces(has_ended=True).values())
    passes = Counts(base_passes={1: n_seen.total()}, proxy_passes=dict(proxy.passes))
    return Generation(
        texts=[_shown(terms.pieces, trace) for trace in found],
        token_ids=[trace.token_ids.tolist() for trace in found],
        stats=stats(found, passes, seconds),
        traces=found,
    )


def _shown(pieces: Pieces, trace: Trace) -> str:
    return str(pieces.tokenizer.decode(trace.token_ids.tolist(), skip_special_tokens=True))


def _base_prompt(base: ServedBase, prompt: Any) -> Request:
    """What the server reads first: ids where the base's tokenizer is known, else the text."""
    if base.tokenizer is not None:
        return prompt_of("prompts", base.tokenizer, prompt)
    if not isinstance(prompt, str) or not prompt:
        raise InputError(
            f"generate: prompts must be texts for a served base without its tokenizer, got {prompt!r}; write a text, "
            "or pass the tokenizer to ServedBase"
        )
    return prompt
