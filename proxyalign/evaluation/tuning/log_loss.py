"""What deferral costs in log loss and what it gives back, where a stronger aligned model says what should be written.

Statement 18: under a true law P, with S the deferred tokens, delta = P(S), Q = q(S) and D = p(S),
E_P[-log pi] - E_P[-log p] = delta (KL(P_S || q_S) - KL(P_S || p_S) + log(1/Q)) - sum_kept P_y log(1 + D q_y / p_y).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxyalign.errors import InputError
from proxyalign.validation import check_ids

if TYPE_CHECKING:
    from torch import Tensor

    from proxyalign.deferral.rules import Rule
    from proxyalign.models import ModelPair

Floats = npt.NDArray[np.float64]
_OFF = 1e-3  # by which a law of a model in half precision may miss 1


@dataclass(frozen=True)
class LogLossTerms:
    """The terms of statement 18, float64 arrays (...) in nats, one number for each law.

    delta, proxy_mass: P(S) and Q. kl_to_proxy, kl_to_base: KL(P_S || q_S) and KL(P_S || p_S), 0 where delta is 0.
    log_inverse_mass: log(1/Q). kept: what the redrawn mass gives back on the kept tokens. total: how much more the
    cascade's log loss is than the base's, infinite where q cannot write a deferred token that P can, minus infinity
    where p alone cannot write one that P can, and NaN where both infinities meet.
    """

    delta: Floats
    proxy_mass: Floats
    kl_to_proxy: Floats
    kl_to_base: Floats
    log_inverse_mass: Floats
    kept: Floats
    total: Floats


def log_loss_terms(truth: npt.ArrayLike, p: npt.ArrayLike, q: npt.ArrayLike, deferred: npt.ArrayLike) -> LogLossTerms:
    """The terms of statement 18 for laws truth (P), p and q and the sets deferred, all (..., V).

    Laws are probabilities that sum to 1, worked on in float64; deferred is bool. Raises InputError for other shapes,
    negative numbers, and rows that do not sum to 1.
    """
    laws = {name: np.asarray(law, dtype=np.float64) for name, law in (("truth", truth), ("p", p), ("q", q))}
    taken = np.asarray(deferred, dtype=np.bool_)
    for name, law in laws.items():
        if law.shape != taken.shape or not law.ndim:
            raise InputError(
                f"log_loss_terms: {name} must have the shape of deferred, {taken.shape}, got {law.shape}; pass laws of "
                "the same steps"
            )
        if not (law >= 0).all() or not (np.abs(law.sum(-1) - 1.0) <= _OFF).all():
            raise InputError(
                f"log_loss_terms: {name} must hold probabilities that sum to 1, got a row that does not; pass the "
                "softmax of logits"
            )
    with np.errstate(divide="ignore", invalid="ignore"):
        return _terms(laws["truth"], laws["p"], laws["q"], taken)


def _terms(truth: Floats, p: Floats, q: Floats, taken: npt.NDArray[np.bool_]) -> LogLossTerms:
    delta, proxy_mass, mass = (np.where(taken, law, 0.0).sum(-1) for law in (truth, q, p))
    written = taken & (truth > 0.0)

    def divergence(law: Floats, of_set: Floats) -> Floats:
        """KL(P_S || law_S), 0 where P gives nothing to S, infinite where the law gives nothing to a token of P's."""
        ratio = np.log(truth) - np.log(law) - (np.log(delta) - np.log(of_set))[..., None]
        terms = np.where(written, truth * np.where(law > 0.0, ratio, np.inf), 0.0).sum(-1)
        return np.where(delta > 0.0, terms / delta, 0.0)

    kl_to_proxy, kl_to_base = divergence(q, proxy_mass), divergence(p, mass)
    price = delta * (kl_to_proxy - kl_to_base - np.log(proxy_mass))
    # By logarithms, since D q / p may be beyond the largest number.
    gains = truth * np.logaddexp(0.0, np.log(mass)[..., None] + np.log(q) - np.log(p))
    kept = np.where(~taken & (truth > 0.0), gains, 0.0).sum(-1)
    total = np.where(delta > 0.0, price, 0.0) - kept
    return LogLossTerms(delta, proxy_mass, kl_to_proxy, kl_to_base, -np.log(proxy_mass), kept, total)


@dataclass(frozen=True)
class LogLoss:
    """The terms of statement 18 along texts, each a mean over positions in nats a token.

    delta: of the true law's mass on the deferred tokens. proxy, base, redrawn: of delta KL(P_S || q_S), of delta
    KL(P_S || p_S) and of delta log(1/Q); kept: as in `LogLossTerms`. total = proxy - base + redrawn - kept: below 0
    where deferral brings the text nearer to what the aligned model would write.
    """

    n_positions: int
    delta: float
    proxy: float
    base: float
    redrawn: float
    kept: float
    total: float


def log_loss_along(
    pair: "ModelPair",
    aligned: Any,
    rule: "Rule",
    contexts: Sequence[Sequence[int]],
    texts: Sequence[Sequence[int]],
) -> LogLoss:
    """The mean terms of statement 18 at every token of `texts`, each after its context, token ids both.

    aligned: a causal language model over the pair's vocabulary, whose law stands for P. On texts that it wrote itself
    the total is what the cascade's whole texts lose beside the base's, for each token. rule: one that decides each
    position from p and q alone. Laws are of temperature 1, softmax in float64.

    Raises InputError for a rule of another kind, a pair of two vocabularies, a model of another vocabulary, as many
    contexts as there are not texts, an empty one, one that is too long, and nothing to average over.
    """
    import torch

    from proxyalign.decoding.arguments import check_pair_and_rule
    from proxyalign.deferral.rules import Mixture
    from proxyalign.models import ModelPair

    check_pair_and_rule("log_loss_along", pair, rule)
    if pair.has_two_vocabularies:
        raise InputError(
            "log_loss_along: the pair must have one vocabulary, which the aligned model shares, got two; take models "
            "of one family"
        )
    if isinstance(rule, Mixture) or rule.reads("q0") or rule.start(1, pair.device) is not None:
        raise InputError(
            f"log_loss_along: rule must decide each position from p and q alone, got {rule.name}; take one such as Dual"
        )
    beside = ModelPair(base=aligned, proxy=pair.proxy, tokenizer=pair.tokenizer)  # which refuses another vocabulary
    _check_texts(pair, beside, contexts, texts)
    rows = []
    with torch.inference_mode(), pair.evaluating(), beside.evaluating():
        for context, text in zip(contexts, texts, strict=True):
            truth, p, q = (
                _laws(of, role, context, text) for of, role in ((beside, "base"), (pair, "base"), (pair, "proxy"))
            )
            terms = log_loss_terms(truth, p, q, rule.defer(p, q))
            of_set = terms.delta > 0.0
            parts = [
                np.where(of_set, terms.delta * part, 0.0)
                for part in (terms.kl_to_proxy, terms.kl_to_base, np.where(of_set, terms.log_inverse_mass, 0.0))
            ]
            rows.append(np.stack([terms.delta, *parts, terms.kept, terms.total]))
    every = np.concatenate(rows, axis=1)
    return LogLoss(every.shape[1], *every.mean(1).tolist())


def _laws(pair: "ModelPair", role: str, context: Sequence[int], text: Sequence[int]) -> "Tensor":
    """The laws (n, V), float64, from which the model of this role would draw the n tokens of the text."""
    from proxyalign.decoding.readers.growing import Reader

    reader = Reader.of(pair, role)
    reader.push_texts([[*context, *text[:-1]]])
    logits = reader.read(len(text))[0, :, : pair.vocab_size]
    return logits.double().softmax(-1).cpu()


def _check_texts(
    pair: "ModelPair", beside: "ModelPair", contexts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]
) -> None:
    if len(contexts) != len(texts) or not any(len(text) for text in texts):
        raise InputError(
            f"log_loss_along: contexts must be as many as texts, and some, got {len(contexts)} and {len(texts)}; pass "
            "one for each, with tokens to average over"
        )
    room = min((one for one in (pair.context_length, beside.context_length) if one is not None), default=None)
    for i, (context, text) in enumerate(zip(contexts, texts, strict=True)):
        check_ids("log_loss_along", f"contexts[{i}]", context, pair.vocab_size)
        check_ids("log_loss_along", f"texts[{i}]", text, pair.vocab_size)
        if not len(context) or not len(text):
            raise InputError(f"log_loss_along: text {i} and its context must hold a token each, got none; leave it out")
        if room is not None and len(context) + len(text) > room + 1:
            raise InputError(
                f"log_loss_along: text {i} must fit the models' context of {room} tokens with its own, got "
                f"{len(context)} + {len(text)}; shorten it"
            )
