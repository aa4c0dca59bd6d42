"""The cascade of a served base beside what the server writes by itself: tokens a second of both, in turns."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean, median
from typing import Any

from proxyalign.deferral.rule import Rule
from proxyalign.models.tokens import ids_of_prompt
from proxyalign.serving.answers import shown
from proxyalign.serving.base import ServedBase
from proxyalign.serving.client import Client
from proxyalign.serving.decode import decode_served
from proxyalign.serving.probe import Server, meet
from proxyalign.serving.proxy import seed_of_request
from proxyalign.validation import check_count


def measure(
    base: ServedBase,
    proxy: Any,
    proxy_tokenizer: Any,
    prompts: Sequence[str],
    rule: Rule,
    *,
    n_concurrent: int = 1,
    max_new_tokens: int = 64,
    temperature: float = 1.0,
    rounds: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Answer the prompts with the server alone, with the cascade, and with the server alone again, in each round.

    base: with its tokenizer. n_concurrent: texts at once, of both. The server alone draws from the same law and shows
    as much of it, in answers of one piece. Returns JSON values: "rounds", one dictionary each with tokens_per_second of
    the cascade, server_tokens_per_second (the mean of the two), their ratio, deferral_rate and n_tokens; "ratio", the
    median of the ratios, and "deferral_rate", the mean. Raises InputError for what cannot be used, and ServerError.
    """
    check_count("bench", "rounds", rounds, least=1)
    found = []
    for number in range(rounds):
        first = seed + number
        alone = _alone(base, prompts, n_concurrent, max_new_tokens, temperature, 2 * first)
        out = decode_served(
            base, proxy, proxy_tokenizer, prompts, rule,
            max_new_tokens=max_new_tokens, temperature=temperature, seed=first, n_concurrent=n_concurrent,
        )  # fmt: skip
        again = _alone(base, prompts, n_concurrent, max_new_tokens, temperature, 2 * first + 1)
        of_server = (alone + again) / 2
        found.append(
            {
                "tokens_per_second": out.stats.tokens_per_second,
                "server_tokens_per_second": of_server,
                "ratio": out.stats.tokens_per_second / of_server,
                "deferral_rate": out.stats.deferral_rate,
                "n_tokens": out.stats.n_tokens,
            }
        )
        if progress is not None:
            progress(number + 1, rounds)
    return {
        "rounds": found,
        "ratio": median(one["ratio"] for one in found),
        "deferral_rate": fmean(one["deferral_rate"] for one in found),
    }


def _alone(
    base: ServedBase, prompts: Sequence[str], n_concurrent: int, max_new_tokens: int, temperature: float, seed: int
) -> float:
    """Tokens a second that the server writes by itself."""
    with Client(base, n_concurrent) as client, ThreadPoolExecutor(n_concurrent) as pool:
        server = meet(client)

        def write(number: int) -> int:
            body = _body(base, server, prompts[number], max_new_tokens, temperature, seed_of_request(seed, number))
            return sum(len(shown(choice)) for choice in client.complete(body))

        start = time.perf_counter()
        n_tokens = sum(pool.map(write, range(len(prompts))))
        return n_tokens / (time.perf_counter() - start)


def _body(
    base: ServedBase, server: Server, prompt: str, max_new_tokens: int, temperature: float, seed: int
) -> dict[str, Any]:
    ids = ids_of_prompt(base.tokenizer, prompt)
    asked = server.dialect.request(ids, n_tokens=max_new_tokens, temperature=temperature, n_top=1, seed=seed, slot=None)
    return {**asked, "max_tokens": max_new_tokens}
