"""The processors and criteria that transformers makes of a call of `model.generate`, as arguments of this engine."""

import math
import warnings
from collections.abc import Callable
from typing import Any

from proxyalign.errors import InputError

_DEFAULT_TOP_K = 50  # which transformers puts in where neither the call nor the checkpoint says anything
_WARPERS = {  # in the order of the engine: an attribute, and the arguments of `generate` that it goes to
    "TemperatureLogitsWarper": ("temperature",),
    "TopKLogitsWarper": ("top_k", "proxy_top_k"),
    "TopPLogitsWarper": ("top_p", "proxy_top_p"),
}


def shaping_of(model: Any, config: Any, processors: Any, n_prompt: int) -> dict[str, Any]:
    """What settings and processors come to, as arguments of `generate`. n_prompt: tokens of the padded prompts."""
    shaping: dict[str, Any] = {"temperature": 1.0}
    bias: dict[int, float] = {}
    # transformers makes no processor of a least length where it knows of no end of text; the proxy may have one.
    least, before = (config.min_length or 0) - n_prompt, ""
    for processor in processors or ():
        kind = type(processor).__name__
        if kind in _BIASES:
            for token, amount in _BIASES[kind](processor):
                bias[token] = bias.get(token, 0.0) + amount
        elif kind == "MinNewTokensLengthLogitsProcessor":
            least = max(least, int(processor.min_new_tokens))
        elif kind == "MinLengthLogitsProcessor":
            least = max(least, int(processor.min_length) - n_prompt)
        elif kind in _WARPERS:
            _check_warper(processor, kind, before)
            before = kind
            if not _is_default_top_k(model, kind, processor):
                shaping |= dict.fromkeys(_WARPERS[kind], getattr(processor, _WARPERS[kind][0]))
        else:
            raise InputError(
                "generate_kad: logits_processor must hold what temperature, top_k, top_p, min_new_tokens and biases of "
                f"single tokens make, got {kind}; switch it off in the call, as by repetition_penalty=1.0"
            )
    return shaping | {"min_new_tokens": max(0, least), "logit_bias": bias}


def _check_warper(warper: Any, kind: str, before: str) -> None:
    """Raise InputError for a warper that the engine does not apply after the one `before` it, or not in this way."""
    order = list(_WARPERS)
    if before and order.index(kind) <= order.index(before):
        raise InputError(
            "generate_kad: temperature, top_k and top_p must come once each and in this order, got "
            f"{kind} after {before}; pass them as settings of the call"
        )
    if kind == "TopPLogitsWarper" and warper.min_tokens_to_keep != 1:
        raise InputError(
            "generate_kad: TopPLogitsWarper must have min_tokens_to_keep 1, got "
            f"{warper.min_tokens_to_keep}; leave it out"
        )


def _is_default_top_k(model: Any, kind: str, processor: Any) -> bool:
    """Whether this is the top-k that transformers puts in unasked; it says so in a warning."""
    if kind != "TopKLogitsWarper" or processor.top_k != _DEFAULT_TOP_K:
        return False
    if getattr(model.generation_config, "top_k", None) is not None:
        return False
    warnings.warn(
        f"generate_kad: transformers' default top_k={_DEFAULT_TOP_K} is not applied, since rules speak of the whole "
        "law; pass top_k=0 to say so, or set model.generation_config.top_k to have it",
        UserWarning,
        stacklevel=6,
    )
    return True


def _sequence_bias(processor: Any) -> list[tuple[int, float]]:
    biases = [(tuple(tokens), float(amount)) for tokens, amount in processor.sequence_bias.items()]
    longest = max((tokens for tokens, _ in biases), key=len, default=())
    if len(longest) > 1:
        raise InputError(
            f"generate_kad: biases must be of single tokens, got one of the tokens {list(longest)} in a row; leave it "
            "out"
        )
    return [(tokens[0], amount) for tokens, amount in biases]


_BIASES: dict[str, Callable[[Any], list[tuple[int, float]]]] = {
    "SequenceBiasLogitsProcessor": _sequence_bias,
    "NoBadWordsLogitsProcessor": _sequence_bias,
    "SuppressTokensLogitsProcessor": lambda processor: [(i, -math.inf) for i in processor.suppress_tokens.tolist()],
}


def limits_of(criteria: Any, tokenizer: Any) -> tuple[int, tuple[int, ...] | None, tuple[str, ...]]:
    """How long prompt and answer may be together, the ids that end a text, None where none are named, and strings."""
    lengths: list[int] = []
    ends: tuple[int, ...] | None = None
    strings: tuple[str, ...] = ()
    for criterion in criteria or ():
        kind = type(criterion).__name__
        if kind == "MaxLengthCriteria":
            lengths.append(int(criterion.max_length))
        elif kind == "EosTokenCriteria":
            ends = tuple(sorted({*(ends or ()), *criterion.eos_token_id.flatten().tolist()}))
        elif kind == "StopStringCriteria":
            strings += tuple(criterion.stop_strings)
        else:
            raise InputError(
                f"generate_kad: stopping_criteria must be lengths, ends of text and stop strings, got {kind}; leave it "
                "out, and cut the text afterwards"
            )
    if not lengths:
        raise InputError("generate_kad: max_new_tokens must be given, got no limit; pass it to model.generate")
    if strings and tokenizer is None:
        raise InputError(
            f"generate_kad: stop strings need a tokenizer here too, got {list(strings)} and no pair_tokenizer; pass "
            "pair_tokenizer=tokenizer"
        )
    return min(lengths), ends, strings
