"""Half a character that a llama.cpp server keeps back: drawn here, from the law that the server shows of its place.

Of the tokens of one character that server shows the last alone, so that neither the ids nor the probabilities of the
others are known. What is known is that the first of them ends in the middle of a character. Drawn anew among those that
do, in proportion to their probabilities, it has the law that it had. Two short requests tell these: one that lifts all
of them above the rest, and a whole token above them so that the server writes that one, shows the odds of each to it;
the other shows how likely the whole token is, and the likeliest one. (To show a law in full takes a server seconds.)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from proxyalign.serving.answers import Seen, ends_in_half, shown
from proxyalign.serving.base import ServerError
from proxyalign.serving.client import Client
from proxyalign.serving.dialects import Dialect

_LIFT = 40.0  # nats: any half above any other token, and within what a float32 probability can hold


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

    strings: what the base's ids spell. number: uniform in [0, 1). Raises ServerError where the server shows no odds.
    """
    halves = [i for i, string in enumerate(strings) if string is not None and ends_in_half(string)]
    whole = next(i for i, string in enumerate(strings) if string and string.isascii())

    def asked(biases: dict[int, float], n_top: int, **more: Any) -> list[dict[str, Any]]:
        body = dialect.request(prompt, n_tokens=1, temperature=1.0, n_top=n_top, seed=0, slot=slot)
        return client.complete({**body, "logit_bias": [list(one) for one in biases.items()], **more})

    lifted = asked(dict.fromkeys(halves, _LIFT) | {whole: 2 * _LIFT}, len(halves) + 1, post_sampling_probs=True)
    odds = _odds(lifted, set(halves))
    tokens = [one for choice in asked({whole: 2 * _LIFT}, 1) for one in shown(choice) if one.token == whole]
    if not odds or not tokens:
        raise ServerError(
            f"ServedBase: {client.base.root} must show the odds of a step that ends in half a character, got none of "
            f"{len(halves)} tokens; take a newer server"
        )
    ids, weights = np.array([*odds]), np.array([*odds.values()])  # the weights beside that of the whole token, lifted
    chances = np.exp(np.log(weights) / temperature) if temperature else (weights == weights.max()).astype(np.float64)
    sums = chances.cumsum()
    place = min(int(np.searchsorted(sums, number * sums[-1], side="right")), len(ids) - 1)
    p_y = float(np.exp(np.log(weights[place]) + _LIFT + tokens[0].log_p))
    return Seen(strings[ids[place]], int(ids[place]), (p_y,), (float(np.exp(max(tokens[0].top.values()))),))


def _odds(choices: Sequence[dict[str, Any]], halves: set[int]) -> dict[int, float]:
    """The probability of each half over that of the token that was written, in the order of the ids."""
    for choice in choices:
        for one in (choice.get("logprobs") or {}).get("content") or []:
            p = {int(other["id"]): float(other["prob"]) for other in one.get("top_probs") or []}
            written = p.get(int(one["id"]), 0.0)
            return {i: p[i] / written for i in sorted(p) if i in halves and p[i] > 0.0} if written else {}
    return {}
