"""What a pair's law says of a text that is there: log pi of each token, and whether greedy decoding writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxyalign.decoding.arguments import check_pair_and_rule, check_rotary, placed, text_of
from proxyalign.decoding.memory import enough_memory
from proxyalign.decoding.readers.contract import Both, side_by_side
from proxyalign.decoding.readers.growing import Reader
from proxyalign.decoding.readers.making import reader_of
from proxyalign.decoding.sampling import at_tokens, check_finite
from proxyalign.decoding.shaping import Shaping
from proxyalign.deferral import policy
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.validation import check_ids

AT_ONCE = 1 << 22  # numbers of a law that are worked on together
_AS_IT_IS = Shaping(1.0, 1.0, bias=None, ends=(), min_new_tokens=0, truncations={})


@dataclass(frozen=True)
class Score:
    """One continuation, token by token, arrays of length n.

    log_probs: float64, log pi in nats, of the probabilities that the decoder draws from: -inf where they are 0.
    is_greedy: bool, whether decoding at temperature 0 would write that token there. top_ids, top_log_probs: (n, k), the
    tokens that are likeliest there, int64, and log pi of each, as many as were asked for.
    """

    log_probs: npt.NDArray[np.float64]
    is_greedy: npt.NDArray[np.bool_]
    top_ids: npt.NDArray[np.int64]
    top_log_probs: npt.NDArray[np.float64]


def score(
    pair: ModelPair,
    rule: Rule,
    contexts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    proxy_contexts: Sequence[Sequence[int]] | None = None,
    shaping: Shaping | None = None,
    n_top: int = 0,
    boundaries: str = "any",
) -> list[Score]:
    """Score each continuation after its context, token ids both, all in one batch.

    proxy_contexts: as many, where the proxy, and the reference with it, reads other ones. boundaries: as in `generate`.
    Over two vocabularies contexts are each model's own ids, and continuations pieces: log pi is that of the text cut
    into these, of which many spell one text. shaping: of logits into laws,
    at a temperature above 0; by default they stay as they are, at temperature 1. n_top: how many of the likeliest
    tokens are told beside each.

    Each model reads each text once, and a model that the rule never asks does not run. The logits of the longest
    continuation are held for the whole batch: (B, n, V) floats a model.

    Raises InputError where a context is empty, an id is not in the pair's vocabulary, a text is longer than the models'
    context, the rule needs a reference that the pair does not have, or the memory does not suffice.
    """
    check_pair_and_rule("score", pair, rule)
    _check(pair, "base", "contexts", contexts, continuations)
    own = contexts
    if proxy_contexts is None and pair.has_two_vocabularies:
        texts = [text_of("score", pair, f"contexts[{i}]", ids) for i, ids in enumerate(contexts)]
        proxy_contexts = [pair.encode(text, "proxy") for text in texts]
    if proxy_contexts is not None:
        _check(pair, "proxy", "proxy_contexts", proxy_contexts, continuations)
        own = proxy_contexts
    remedy = "score fewer or shorter texts at once"
    with torch.inference_mode(), pair.evaluating(), enough_memory("score", len(contexts), remedy):
        bound = placed("score", pair, rule, pair.eos_token_ids, boundaries)
        return _score(pair, bound, contexts, own, continuations, shaping or _AS_IT_IS, min(n_top, pair.vocab_size))


def _score(
    pair: ModelPair,
    rule: Rule,
    contexts: Sequence[Sequence[int]],
    proxy_contexts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    shaping: Shaping,
    n_top: int,
) -> list[Score]:
    n_steps = max(map(len, continuations), default=0)
    if not n_steps:
        return [_nothing(n_top) for _ in continuations]
    logits = {}
    for role in asked(rule):
        before = contexts if role == "base" else proxy_contexts
        logits[role] = _logits(pair, role, before, continuations, n_steps)
    # Texts end together, so that a continuation's places are the last ones.
    scores = []
    for row, ids in enumerate(continuations):
        of_row = {role: of_role[row, n_steps - len(ids) :] for role, of_role in logits.items()}
        scores.append(_scored(rule, of_row, ids, shaping, n_top))
    return scores


def asked(rule: Rule) -> list[str]:
    """The roles of the models that the rule's law is made of, which are the ones that run."""
    roles = {"base": rule.constant is not True, "proxy": rule.asks_proxy and rule.constant is not False}
    roles["reference"] = rule.reads("q0")
    return [role for role, is_asked in roles.items() if is_asked]


def at_once(device: torch.device) -> int:
    """How many numbers of a law are worked on together: on a processor so few that its caches hold them."""
    return AT_ONCE // 4 if device.type == "cpu" else AT_ONCE


def _nothing(n_top: int) -> Score:
    """The score of no tokens."""
    return Score(np.zeros(0), np.zeros(0, dtype=np.bool_), np.zeros((0, n_top), dtype=np.int64), np.zeros((0, n_top)))


def _scored(rule: Rule, logits: Mapping[str, Tensor], ids: Sequence[int], shaping: Shaping, n_top: int) -> Score:
    """The score of one continuation from the logits (n, V) of each model before each of its tokens."""
    parts = [_nothing(n_top)]
    one = next(iter(logits.values()))
    none_before = Both.zeros(1, torch.int64, one.device)
    state, m = rule.start(1, one.device), max(1, at_once(one.device) // one.shape[-1])
    for first in range(0, len(ids), m):
        tokens = torch.tensor(ids[first : first + m], device=one.device)[None]  # (1, m)
        rows = {role: of_role[None, first : first + m] for role, of_role in logits.items()}
        laws = {role: shaping.law(role, of_role, none_before) for role, of_role in rows.items()}
        pi, greedy, states = target(rule, laws, state, tokens)
        state = None if states is None else states[:, -1]
        found = [at_tokens(law.own, tokens) for law in laws.values()]
        of_pi, hits, *read = torch.cat([at_tokens(pi, tokens), greedy == tokens, *found]).double().cpu().numpy()
        for role, probabilities in zip(laws, read, strict=True):
            bad = np.flatnonzero(np.isnan(probabilities))
            check_finite(probabilities[bad[:1], None], role, first + bad[:1])
        best, places = pi[0].topk(n_top)
        with np.errstate(divide="ignore"):
            tops = places.cpu().numpy(), np.log(best.double().cpu().numpy())
            parts.append(Score(np.log(of_pi), hits > 0, *tops))
    names = [field.name for field in fields(Score)]
    return Score(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


class Target(NamedTuple):
    """What is written at places (n, m).

    pi: (n, m, V). greedy: (n, m), the tokens of temperature 0. states: the rule's, before each place and after the last
    (n, m + 1), None for a rule without one.
    """

    pi: Tensor
    greedy: Tensor
    states: Tensor | None


def target(rule: Rule, laws: Mapping[str, Law], state: Tensor | None, written: Tensor | None) -> Target:
    """What the rule makes of the laws (n, m, V) of m places in a row.

    laws: by role, of the models that `asked` names. state: the rule's (n,) before the first. written: the tokens (n, m)
    that come there, along which a rule's state may go.
    """
    p, q, q0 = (laws.get(role) for role in ("base", "proxy", "reference"))
    if p is None:  # a rule that always defers
        pi = laws["proxy"].drawn
        return Target(pi, pi.argmax(-1), None)
    shape = p.own.shape
    if state is None:  # each place is a step of its own
        p, q, q0 = (None if law is None else law.mapped(_apart) for law in (p, q, q0))
        assert p is not None
    first, deferred, states = rule.propose_along(written, p, q, q0, state)
    pi, greedy = first, first.argmax(-1)
    if deferred is not None and q is not None:
        pi = policy.cascade(first, q.drawn, deferred)
        redrawn = at_tokens(deferred, greedy)
        greedy = q.drawn.argmax(-1).where(redrawn, greedy)
    return Target(pi.reshape(shape), greedy.reshape(shape[:2]), states)


def _apart(law: Tensor) -> Tensor:
    """(n, m, V) -> (n m, 1, V)."""
    return law.flatten(0, 1).unsqueeze(1)


def _logits(
    pair: ModelPair, role: str, contexts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]], n_last: int
) -> Tensor:
    """The logits (B, n_last, V) of the last places of the texts, all read at once; the last token is not read."""
    before_last = [list(ids[:-1]) for ids in continuations]
    if not pair.has_two_vocabularies:
        own = Reader.of(pair, role)
        own.push_texts([[*context, *ids] for context, ids in zip(contexts, before_last, strict=True)])
        return own.read(n_last).to(pair.device)
    reader = reader_of(pair, role)
    reader.join(contexts)
    if any(before_last):
        reader.push(*side_by_side(before_last, pair.device))
    return reader.read(n_last)


def _check(
    pair: ModelPair,
    role: str,
    argument: str,
    contexts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
) -> None:
    """Raise InputError for the first text that cannot be scored. argument: what the contexts are called."""
    if len(contexts) != len(continuations):
        raise InputError(
            f"score: {argument} must be as many as continuations, {len(continuations)}, got {len(contexts)}; "
            "pass one for each"
        )
    for i, (context, ids) in enumerate(zip(contexts, continuations, strict=True)):
        check_context("score", pair, role, f"{argument}[{i}]", context)
        check_ids("score", f"the continuation of {argument}[{i}]", ids, pair.vocab_size)
        check_room("score", pair, role, f"{argument}[{i}]", len(context), "its continuation", ids)
    if contexts:
        check_rotary("score", pair, [len(context) for context in contexts], max(map(len, continuations)) - 1)


def check_context(owner: str, pair: ModelPair, role: str, name: str, context: Sequence[int]) -> None:
    """Raise InputError for a context, called `name`, that the model of this role cannot read."""
    if not context:
        raise InputError(f"{owner}: {name} must hold at least one token, got none; begin with a special token")
    check_ids(owner, name, context, pair.n_ids_of(role))


def check_room(
    owner: str, pair: ModelPair, role: str, name: str, n_context: int, continuation: str, ids: Sequence[int]
) -> None:
    """Raise InputError where a context of so many tokens and what follows, all but its last token, are too long.

    continuation: what it is called.
    """
    room = pair.context_of(role)
    if room is not None and n_context + _n_read(pair, role, ids[:-1]) > room:
        raise InputError(
            f"{owner}: {name} and {continuation} must fit the models' context of {room} tokens, got "
            f"{n_context} + {_n_read(pair, role, ids)}; cut the context on its left"
        )


def _n_read(pair: ModelPair, role: str, ids: Sequence[int]) -> int:
    """How many of its own tokens the model reads for these."""
    return len(pair.vocabulary.sides[role].read_as(ids) if pair.has_two_vocabularies else ids)
