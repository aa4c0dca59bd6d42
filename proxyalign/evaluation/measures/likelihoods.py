"""How likely a reply is under each model of a pair, and how often a stronger one would have written the same token."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules

if TYPE_CHECKING:
    from proxyalign.models import ModelPair


def likelihood_measures(
    pair: "ModelPair",
    contexts: Sequence[Sequence[int]],
    replies: Sequence[Sequence[int]],
    *,
    proxy_contexts: Sequence[Sequence[int]] | None = None,
    stronger: Any = None,
    batch_size: int = 8,
) -> list[dict[str, tuple[float, float]]]:
    """For each reply, token ids after its context, its measures as (amount, weight) by name.

    nats-base, nats-proxy: minus the log-probability of its tokens at temperature 1 over their number; exp of a run's
    ratio is its perplexity. A token that a model gives no probability makes it infinite. agreement, where a `stronger`
    model is given, a causal model of transformers that reads the base's contexts and the pair's ids: tokens that are
    the likeliest there (a tie goes to the lowest id) over all. Where ids are of one vocabulary and replies are
    `Generation.token_ids`, the end of the text counts as a token.

    batch_size: replies read together. Arguments and errors are those of `scoring.score`, and of ModelPair for a
    stronger model of another vocabulary.
    """
    found: list[dict[str, tuple[float, float]]] = []
    # Any proxy will do for the stronger model, since under `Never` it does not run.
    judge = None if stronger is None else replace(pair, base=stronger)
    for first in range(0, len(replies), batch_size):
        rows = slice(first, first + batch_size)
        own = None if proxy_contexts is None else proxy_contexts[rows]
        by_name = {
            f"nats-{role}": [
                (-float(one.log_probs.sum()), float(len(one.log_probs)))
                for one in score(pair, rule, contexts[rows], replies[rows], proxy_contexts=own)
            ]
            for role, rule in (("base", rules.Never()), ("proxy", rules.Always()))
        }
        if judge is not None:
            judged = score(judge, rules.Never(), contexts[rows], replies[rows], proxy_contexts=own)
            by_name["agreement"] = [(float(np.sum(one.is_greedy)), float(len(one.is_greedy))) for one in judged]
        found += [dict(zip(by_name, values, strict=True)) for values in zip(*by_name.values(), strict=True)]
    return found
