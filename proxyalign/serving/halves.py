"""Half a character that a llama.cpp server keeps back: drawn here, from the law that the server shows of its place.

Of the tokens of one character that server shows the last alone, so that neither the ids nor the probabilities of the
others are known. What is known is that the first of them ends in the middle of a character. Drawn anew among those that
do, in proportion to their probabilities, it has the law that it had; so the whole law of its place is asked for, while
a bias, which changes the draw and not what is shown, makes the server write a token that it does not keep back.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from proxyalign.serving.answers import Seen, ends_in_half, shown
from proxyalign.serving.base import ServerError
from proxyalign.serving.client import Client
from proxyalign.serving.dialects import Dialect

_SURE = 1e4  # nats


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

    strings: what the base's ids spell. number: uniform in [0, 1). Raises ServerError where the law is not shown whole.
    """
    whole = next(i for i, string in enumerate(strings) if string and string.isascii())
    body: dict[str, Any] = dialect.request(
        prompt, n_tokens=1, temperature=0.0, n_top=len(strings), seed=0, slot=slot
    ) | {"logit_bias": [[whole, _SURE]]}
    tokens = [one for choice in client.complete(body) for one in shown(choice)]
    logs = np.full(len(strings), -np.inf)
    for name, log in tokens[0].top.items() if tokens else ():
        if int(name) < len(logs):
            logs[int(name)] = log
    p = np.exp(logs)
    is_half = np.array([string is not None and ends_in_half(string) for string in strings])
    if not tokens or not p[is_half].any() or p.sum() < 0.99:
        raise ServerError(
            f"ServedBase: {client.base.root} must show all log-probabilities of a step that ends in half a character, "
            f"got a sum of {p.sum():.3g}; take a newer server"
        )
    of_halves = np.where(is_half, logs, -np.inf)
    of_halves -= of_halves.max()
    weights = (of_halves == 0.0).astype(float) if temperature == 0.0 else np.exp(of_halves / temperature)
    sums = weights.cumsum()
    token = min(int(np.searchsorted(sums, number * sums[-1], side="right")), len(sums) - 1)
    return Seen(strings[token], token, (float(p[token]),), (float(p.max()),))
