"""What a pair's law says of a text that is there: log pi of each token, and whether greedy decoding writes it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding.arguments import check_pair_and_rule, check_rotary
from proxyalign.decoding.memory import enough_memory
from proxyalign.decoding.readers.growing import Reader
from proxyalign.decoding.sampling import at_tokens, check_finite
from proxyalign.deferral import policy
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.validation import check_ids


@dataclass(frozen=True)
class Score:
    """One continuation, token by token, arrays of length n.

    log_probs: float64, log pi in nats at temperature 1, of the probabilities that the decoder draws from: -inf where
    they are 0. is_greedy: bool, whether decoding at temperature 0 would write that token there.
    """

    log_probs: npt.NDArray[np.float64]
    is_greedy: npt.NDArray[np.bool_]


def score(
    pair: ModelPair,
    rule: Rule,
    contexts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    proxy_contexts: Sequence[Sequence[int]] | None = None,
) -> list[Score]:
    """Score each continuation after its context, token ids both, all in one batch.

    proxy_contexts: as many, where the proxy, and the reference with it, reads other ones.

    Each model reads each text once, and a model that the rule never asks does not run. The logits of the longest
    continuation are held for the whole batch: (B, n, V) floats a model.

    Raises InputError where a context is empty, an id is not in the pair's vocabulary, a text is longer than the models'
    context, the rule needs a reference that the pair does not have, or the memory does not suffice.
    """
    check_pair_and_rule("score", pair, rule)
    _check(pair, "contexts", contexts, continuations)
    own = contexts
    if proxy_contexts is not None:
        _check(pair, "proxy_contexts", proxy_contexts, continuations)
        own = proxy_contexts
    remedy = "score fewer or shorter texts at once"
    with torch.inference_mode(), pair.evaluating(), enough_memory("score", len(contexts), remedy):
        return _score(pair, rule.bound(pair.tokenizer, pair.eos_token_ids), contexts, own, continuations)


def _score(
    pair: ModelPair,
    rule: Rule,
    contexts: Sequence[Sequence[int]],
    proxy_contexts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
) -> list[Score]:
    lengths = np.array([len(ids) for ids in continuations], dtype=np.int64)
    n_steps = int(lengths.max(initial=0))
    log_probs = np.zeros((len(lengths), n_steps))
    is_greedy = np.zeros((len(lengths), n_steps), dtype=bool)
    if n_steps:
        roles = {"base": rule.constant is not True, "proxy": rule.asks_proxy and rule.constant is not False}
        roles["reference"] = rule.reads("q0")
        logits = {}
        for role, is_asked in roles.items():
            if is_asked:
                before = contexts if role == "base" else proxy_contexts
                texts = [[*context, *ids[:-1]] for context, ids in zip(before, continuations, strict=True)]
                logits[role] = _logits(pair, role, texts, n_steps)
        padded = torch.tensor([[*ids, *[0] * (n_steps - len(ids))] for ids in continuations], device=pair.device)
        state = rule.start(len(lengths), pair.device)
        for step in range(n_steps):
            # Texts end together; a row that has no token at this step repeats its last place, without meaning.
            place = torch.from_numpy(np.minimum(n_steps - lengths + step, n_steps - 1)).to(pair.device)
            rows = torch.arange(len(lengths), device=pair.device)
            laws = {role: Law.of(of_role[rows, place].unsqueeze(1), 1.0) for role, of_role in logits.items()}
            tokens = padded[:, step : step + 1]  # (B, 1)
            for role, law in laws.items():
                check_finite(at_tokens(law.own, tokens).cpu().numpy(), role, np.full(len(lengths), step))
            pi, greedy, state = _step(rule, laws, state)
            log_probs[:, step] = at_tokens(pi, tokens).flatten().double().log().cpu().numpy()
            is_greedy[:, step] = (greedy == tokens).flatten().cpu().numpy()
    return [Score(log_probs[row, :n].copy(), is_greedy[row, :n].copy()) for row, n in enumerate(lengths)]


def _step(rule: Rule, laws: dict[str, Law], state: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """pi (B, 1, V), the token of greedy decoding (B, 1), and the rule's state after one position."""
    p, q = laws.get("base"), laws.get("proxy")
    if p is None:  # a rule that always defers
        pi = laws["proxy"].own
        return pi, pi.argmax(-1), state
    first, deferred, states = rule.propose(p, q, laws.get("reference"), state)
    pi, greedy = first, first.argmax(-1)
    if deferred is not None and q is not None:
        pi = policy.cascade(first, q.own, deferred)
        redrawn = deferred.gather(-1, greedy.unsqueeze(-1)).squeeze(-1)
        greedy = q.own.argmax(-1).where(redrawn, greedy)
    return pi, greedy, None if states is None else states[:, 1]


def _logits(pair: ModelPair, role: str, texts: Sequence[Sequence[int]], n_last: int) -> Tensor:
    reader = Reader.of(pair, role)
    reader.push_texts(texts)
    return reader.read(n_last)


def _check(
    pair: ModelPair, argument: str, contexts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
) -> None:
    """Raise InputError for the first text that cannot be scored. argument: what the contexts are called."""
    if len(contexts) != len(continuations):
        raise InputError(
            f"score: {argument} must be as many as continuations, {len(continuations)}, got {len(contexts)}; "
            "pass one for each"
        )
    room = pair.context_length
    for i, (context, ids) in enumerate(zip(contexts, continuations, strict=True)):
        if not context:
            raise InputError(
                f"score: {argument}[{i}] must hold at least one token, got none; begin with a special token"
            )
        check_ids("score", f"{argument}[{i}] and its continuation", (*context, *ids), pair.vocab_size)
        if room is not None and len(context) + len(ids) - 1 > room:
            raise InputError(
                f"score: {argument}[{i}] and its continuation must fit the models' context of {room} tokens, got "
                f"{len(context)} + {len(ids)}; cut the context on its left"
            )
    if contexts:
        check_rotary("score", pair, [len(context) for context in contexts], max(map(len, continuations)) - 1)
