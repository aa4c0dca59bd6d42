"""Half a character that a llama.cpp server keeps back: drawn here, from the law that the server shows of its place.

Of the tokens of one character that server shows the last alone, so that neither the ids nor the probabilities of the
others are known. What is known is that the first of them ends in the middle of a character. Drawn anew among those that
do, in proportion to their probabilities, it has the law that it had; so the law of its place is asked for, while a
bias, which changes the draw and not what is shown, makes the server write a token that it does not keep back.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from proxyalign.serving.answers import Seen, ends_in_half, shown
from proxyalign.serving.base import ServerError
from proxyalign.serving.client import Client
from proxyalign.serving.dialects import Dialect

_SURE = 1e4  # nats
_FEW = (1024, 8192)  # likeliest tokens that are asked for first: to show all of them takes a server seconds

Floats = npt.NDArray[np.float64]


def draw_half(
    client: Client,
    dialect: Dialect,
    prompt: list[int],
    strings: Sequence[bytes | None],
    temperature: float,
    slot: int,
    number: float,
) -> Seen:
    """A token that ends in the middle of a character, as drawn after the prompt given that it does.

    strings: what the base's ids spell. number: uniform in [0, 1). Asks for the likeliest tokens, and for all of them
    where these do not tell which one the number draws. Raises ServerError where no such token is shown.
    """
    is_half = np.array([string is not None and ends_in_half(string) for string in strings])
    whole = next(i for i, string in enumerate(strings) if string and string.isascii())
    for n_top in (*(few for few in _FEW if few < len(strings)), len(strings)):
        body: dict[str, Any] = dialect.request(prompt, n_tokens=1, temperature=0.0, n_top=n_top, seed=0, slot=slot) | {
            "logit_bias": [[whole, _SURE]]
        }
        tokens = [one for choice in client.complete(body) for one in shown(choice)]
        top = sorted(tokens[0].top.items(), key=lambda one: -one[1]) if tokens else []
        ids = np.array([int(name) for name, _ in top if int(name) < len(strings)], dtype=np.int64)
        logs = np.array([log for name, log in top if int(name) < len(strings)])
        unseen = 0.0 if n_top == len(strings) else _unseen(logs, len(strings), temperature)
        place = _drawn(logs, is_half[ids], unseen, temperature, number) if len(ids) else None
        if place is not None:
            return Seen(strings[ids[place]], int(ids[place]), (float(np.exp(logs[place])),), (float(np.exp(logs[0])),))
    raise ServerError(
        f"ServedBase: {client.base.root} must show the log-probabilities of a step that ends in half a character, got "
        f"{len(ids)} tokens without such a one; take a newer server"
    )


def _unseen(logs: Floats, n_tokens: int, temperature: float) -> float:
    """The most that the weights p^(1 / T) of tokens below those that are shown can sum to; 0 at temperature 0."""
    if temperature == 0.0:
        return 0.0
    rest, n_rest = max(0.0, 1.0 - float(np.exp(logs).sum())) + 1e-6, n_tokens - len(logs)
    if temperature <= 1.0:
        return rest * float(np.exp(logs[-1] * (1.0 / temperature - 1.0)))
    mean = min(float(np.exp(logs[-1])), rest / max(n_rest, 1))  # the sum is largest where all are alike
    return n_rest * float(mean ** (1.0 / temperature))


def _drawn(
    logs: Floats, is_half: npt.NDArray[np.bool_], unseen: float, temperature: float, number: float
) -> int | None:
    """The place that the number draws among the halves that are shown; None where those unseen may change it."""
    if not is_half.any():
        return None
    if temperature == 0.0:
        return int(is_half.argmax())
    sums = np.where(is_half, np.exp(logs / temperature), 0.0).cumsum()
    least, most = np.searchsorted(sums, number * (sums[-1] + np.array([0.0, unseen])), side="right")
    return int(least) if least == most < len(sums) else None
