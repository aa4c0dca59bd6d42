"""log pi of tokens as clients are told of them, in the two shapes that OpenAI's protocol has."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proxyalign.decoding.scoring import Score
from proxyalign.serving.server.text import Tokens

LEAST = -9999.0  # what the protocol has for a token without probability, since JSON has no infinity


@dataclass(frozen=True)
class Scored:
    """A token, log pi of it, and the likeliest ones there with theirs; None where nothing came before it."""

    token: int
    log_prob: float | None
    tops: tuple[tuple[int, float], ...]


def scored(ids: Sequence[int], score: Score) -> list[Scored]:
    """The tokens of a text beside what its score says."""
    tops = [
        tuple((int(token), _finite(of_top)) for token, of_top in zip(*of_place, strict=True))
        for of_place in zip(score.top_ids, score.top_log_probs, strict=True)
    ]
    rows = zip(ids, score.log_probs.tolist(), tops, strict=True)
    return [Scored(token, _finite(log_prob), of_place) for token, log_prob, of_place in rows]


def for_completion(tokens: Tokens, entries: Sequence[Scored], start: int) -> dict[str, Any]:
    """As /v1/completions has it. start: characters of text before the first token.

    The token that came is among the likeliest ones even where it is none of them.
    """
    names = [tokens.name(entry.token) for entry in entries]
    tops: list[dict[str, float] | None] = []
    for name, entry in zip(names, entries, strict=True):
        found = {tokens.name(token): log_prob for token, log_prob in entry.tops}
        tops.append({**found, name: entry.log_prob} if entry.tops and entry.log_prob is not None else None)
    return {
        "tokens": names,
        "token_logprobs": [entry.log_prob for entry in entries],
        "top_logprobs": tops,
        "text_offset": tokens.offsets([entry.token for entry in entries], start),
    }


def for_chat(tokens: Tokens, entries: Sequence[Scored]) -> dict[str, Any]:
    """As /v1/chat/completions has it."""
    content = [
        {
            **_one(tokens, entry.token, LEAST if entry.log_prob is None else entry.log_prob),
            "top_logprobs": [_one(tokens, token, log_prob) for token, log_prob in entry.tops],
        }
        for entry in entries
    ]
    return {"content": content, "refusal": None}


def _one(tokens: Tokens, token: int, log_prob: float) -> dict[str, Any]:
    spelt = tokens.bytes_of(token)
    return {"token": tokens.name(token), "logprob": log_prob, "bytes": None if spelt is None else list(spelt)}


def _finite(log_prob: float) -> float:
    """As clients may take it: no infinity, and not above 0, where float32 leaves a probability that rounds above 1."""
    return min(max(float(log_prob), LEAST), 0.0) if not math.isnan(log_prob) else LEAST
