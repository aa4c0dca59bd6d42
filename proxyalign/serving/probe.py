"""What a server is, and whether its log-probabilities are those of the law that it draws from, untouched.

A server that tempers, cuts or renormalises its law before it shows it (vllm#9453), or that draws from another one than
it shows, gives a cascade of some other law; so it is asked at the start. The log-probabilities of one step must not
depend on the temperature of the draw, nor the tokens that are drawn on anything but these: how often a token is not
among the r likeliest is a sum of the probabilities that it is not, but for chance, and by how much chance may differ is
bounded by Freedman's inequality (Ann. Probab. 3(1), 1975), whatever the laws are.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from proxyalign.serving.answers import HALF, Shown, shown
from proxyalign.serving.base import ServedBase, ServerError
from proxyalign.serving.client import Client
from proxyalign.serving.dialects import Dialect
from proxyalign.serving.pieces import Request

_N_TEXTS, _N_TOKENS = 8, 32  # drawn at the start
_N_ATTEMPTS = 20  # to see the token of one place
_RANKS = (1, 2, 5, 10, 20)
_N_TOPS = (20, 5, 1)  # likeliest tokens asked for: some servers show no more than 5
_LEVEL = 1e-4  # with which an honest server is refused at most
_NATS = 0.1  # by which two answers to one question may differ, in half precision and other batches
_NONE = -100.0  # no softmax gives so little to one of the likeliest
_LEAST = -8.0  # below this log-probability they may differ by more


class Server(NamedTuple):
    """A server that has been asked who it is. n_slots: how many texts it writes at once, where it tells."""

    dialect: Dialect
    n_slots: int | None


class Answer(NamedTuple):
    """Tokens that a server drew, and how many others it did not show, or not so that one could be told from another.

    has_top: whether it shows the likeliest tokens of a place.
    """

    tokens: list[Shown]
    n_hidden: int
    has_top: bool


def meet(client: Client) -> Server:
    """Ask a server which models it has, and of what kind it is. Raises ServerError where it has no such model."""
    base = client.base
    listed = client.get("/v1/models")
    data = listed.get("data") if isinstance(listed, dict) else None
    models = [model for model in data if isinstance(model, dict)] if isinstance(data, list) else []
    names = [str(model.get("id")) for model in models]
    if names and base.model not in names:
        raise ServerError(
            f"ServedBase: model must be one that {base.root} serves, {', '.join(names)}, got {base.model!r}; choose "
            "one of these"
        )
    owner = next((str(model.get("owned_by", "")) for model in models if model.get("id") == base.model), "")
    settings = client.get("/props") if owner == "llamacpp" else None
    n_slots = settings.get("total_slots") if isinstance(settings, dict) else None
    is_count = isinstance(n_slots, int) and n_slots > 0
    return Server(Dialect(owner, base.model, takes_ids=base.tokenizer is not None), n_slots if is_count else None)


def check_log_probs(
    client: Client,
    dialect: Dialect,
    prompts: list[Request],
    temperature: float,
    in_parallel: Callable[[Callable[[Request, int], Answer], list[tuple[Request, int]]], Iterable[Answer]],
) -> None:
    """Raise ServerError where the log-probabilities are not those of the untouched law.

    prompts: some that the server goes on from. temperature: at which it will draw. in_parallel: calls a function with
    each of some arguments.
    """
    n_top = _most(client, dialect, prompts[0])
    for prompt in prompts:
        first = _first(client, dialect, prompt, n_top, 1.0)
        if first is not None and min(first.top.values()) < _NONE:
            n_likely = sum(log >= _NONE for log in first.top.values())
            raise ServerError(
                f"ServedBase: {client.base.root} must show log-probabilities of the whole law, got {n_likely} tokens "
                f"that have any of {len(first.top)}; switch off its top-k, top-p and min-p"
            )
        for heat in sorted({0.0, 0.5, temperature} - {1.0}):
            other = _first(client, dialect, prompt, n_top, heat)
            if first is not None and other is not None:
                _compare(client.base, first, other, heat)
    if temperature > 0.0:

        def draw(prompt: Request, seed: int) -> Answer:
            return _ask(client, dialect, prompt, n_top, _N_TOKENS, 1.0, seed)

        texts = in_parallel(draw, [(prompts[n % len(prompts)], 1 + n) for n in range(_N_TEXTS)])
        _check_draws(client.base, list(texts), n_top)


def _most(client: Client, dialect: Dialect, prompt: Request) -> int:
    """How many of the likeliest tokens the server shows. Raises ServerError where it shows none."""
    for n_top in _N_TOPS:
        try:
            answer = _ask(client, dialect, prompt, n_top, _N_TOKENS, 1.0, seed=0)
        except ServerError:
            if n_top == _N_TOPS[-1]:
                raise
        else:
            if answer.has_top:
                return n_top
            break
    raise ServerError(
        f"ServedBase: {client.base.root} must show log-probabilities of the likeliest tokens, got none; let it give "
        "logprobs, or take a server that does"
    )


def _first(client: Client, dialect: Dialect, prompt: Request, n_top: int, temperature: float) -> Shown | None:
    """The token after a prompt; None where the server keeps it back, as half a character, at each attempt."""
    for seed in range(_N_ATTEMPTS):
        answer = _ask(client, dialect, prompt, n_top, 1, temperature, seed)
        if answer.tokens:
            return answer.tokens[0]
    return None


def _ask(
    client: Client, dialect: Dialect, prompt: Request, n_top: int, n_tokens: int, temperature: float, seed: int
) -> Answer:
    """The tokens that the server draws after a prompt."""
    body: dict[str, Any] = dialect.request(
        prompt, n_tokens=n_tokens, temperature=temperature, n_top=n_top, seed=seed, slot=None
    )
    choices = client.complete(body | {"max_tokens": n_tokens})
    tokens = [one for choice in choices for one in shown(choice)]
    is_full = any(choice.get("finish_reason") == "length" for choice in choices)
    n_hidden = n_tokens - len(tokens) if is_full else 0
    plain = [one for one in tokens if HALF not in "".join((one.text, *one.top))]
    return Answer(plain, n_hidden + len(tokens) - len(plain), bool(tokens and tokens[0].top))


def _compare(base: ServedBase, one: Shown, other: Shown, temperature: float) -> None:
    """Raise ServerError where one step's log-probabilities depend on the temperature of its draw."""
    both = [name for name in one.top if name in other.top and min(one.top[name], other.top[name]) > _LEAST]
    apart = max((abs(one.top[name] - other.top[name]) for name in both), default=math.inf)
    total = max(sum(math.exp(log) for log in answer.top.values()) for answer in (one, other))
    if apart > _NATS or total > 1.0 + _NATS:
        raise ServerError(
            f"ServedBase: {base.root} must show log-probabilities of the untouched law, got ones that change with the "
            f"temperature, by {apart:.2g} nats from 1 to {temperature:g}; let it give raw ones (vLLM: --logprobs-mode "
            "raw_logprobs)"
        )
    if temperature == 0.0 and other.log_p < max(other.top.values()) - _NATS:
        raise ServerError(
            f"ServedBase: {base.root} must write its likeliest token at temperature 0, got one that is "
            f"{max(other.top.values()) - other.log_p:.2g} nats less likely; switch off what else chooses its tokens"
        )


def _check_draws(base: ServedBase, answers: list[Answer], n_top: int) -> None:
    """Raise ServerError where tokens are drawn otherwise than their log-probabilities tell."""
    tokens = [one for answer in answers for one in answer.tokens]
    n_hidden = sum(answer.n_hidden for answer in answers)
    ranks = [rank for rank in _RANKS if rank <= n_top]
    for rank in ranks:
        below = list(_below(tokens, rank))
        expected = sum(p_below for _, p_below in below)
        found = sum(is_below for is_below, _ in below)
        excess = max(0.0, abs(found - expected) - n_hidden)  # whatever the hidden ones are
        variance = sum(p_below * (1.0 - p_below) for _, p_below in below) + n_hidden / 4.0
        bound = math.exp(-(excess**2) / (2.0 * (variance + excess / 3.0))) if excess else 1.0
        if bound < _LEVEL / (2 * len(ranks)):
            raise ServerError(
                f"ServedBase: {base.root} must draw from the law that it shows, got {found} of {len(tokens)} tokens "
                f"outside the {rank} likeliest where {expected:.1f} are expected; switch off its top-k, top-p, min-p, "
                "penalties and biases"
            )


def _below(tokens: list[Shown], rank: int) -> Iterator[tuple[bool, float]]:
    """Of each token whether it is none of the `rank` likeliest of its place, and how likely that was."""
    for one in tokens:
        likeliest = sorted(one.top.values(), reverse=True)[:rank]
        if len(likeliest) == rank:
            mass = sum(math.exp(log) for log in likeliest)
            yield one.log_p < likeliest[-1], min(1.0, max(0.0, 1.0 - mass))
