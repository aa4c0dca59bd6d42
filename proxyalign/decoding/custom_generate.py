"""The engine as a method of transformers: `model.generate(..., custom_generate=generate_kad, proxy=..., rule=...)`."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from proxyalign.decoding.generate import generate
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair, id_list, logit_width

_DEFAULT_TOP_K = 50  # which transformers puts in where neither the call nor the checkpoint says anything
_OWN_WORK = {"attention_mask", "past_key_values", "use_cache", "logits_to_keep", "cache_position"}


def generate_kad(
    model: Any,
    input_ids: Tensor,
    *,
    generation_config: Any,
    logits_processor: Any = (),
    stopping_criteria: Any = (),
    proxy: Any = None,
    rule: Any = None,
    reference: Any = None,
    mode: str = "autoregressive",
    window: int = 5,
    pair_tokenizer: Any = None,
    proxy_prompts: Sequence[Sequence[int]] | None = None,
    **kwargs: Any,
) -> Any:
    """Decode `model`, the base, with `proxy` under `rule`, as the `custom_generate` of `model.generate`.

    input_ids: int64 (B, T), padded on the left where `attention_mask` is 0. The rest is what `model.generate` makes of
    its arguments: do_sample with temperature, top_k and top_p, which truncate both models' laws before the rule reads
    them; max_new_tokens or max_length, min_new_tokens or min_length, num_return_sequences, pad_token_id;
    sequence_bias, bad_words_ids and suppress_tokens, of single tokens. A text
    ends at eos_token_id where the call names it, else where either model's generation settings say. mode, window: as in
    `generate`. proxy_prompts: token ids that the proxy reads in place of each prompt. pair_tokenizer: for rules that
    read words, and to cut ids past the tokenizer's last from both laws; without it they share as many ids as all models
    have. reference: the proxy before alignment, for the rules that read it. The seed is drawn from torch's global
    generator, so that `torch.manual_seed` repeats a run. All models are left in evaluation mode.

    `model.generate` keeps its arguments tokenizer, streamer and assistant_model from a custom method: they do nothing,
    and stop strings are given as stopping_criteria=[StopStringCriteria(tokenizer, strings)], with pair_tokenizer.

    transformers' default top_k of 50 is dropped with a warning, since rules speak of the whole law; top_k=0 says so.

    Returns int64 (B, T + new), prompts included, padded on the right with pad_token_id as transformers does; with
    return_dict_in_generate a GenerateDecoderOnlyOutput that holds it.

    Raises InputError for what this engine does not do: beams, other logits processors and stopping criteria, biases of
    several tokens in a row, scores and states in the result, and model inputs beside ids and their mask.
    """
    if proxy is None or not isinstance(rule, Rule):
        missing = f"rule {rule!r}" if proxy is not None else "no proxy"
        raise InputError(
            f"generate_kad: proxy must be a model and rule a rule, got {missing}; pass both to model.generate, such as "
            "proxy=small_model, rule=rules.Dual(alpha=0.4)"
        )
    _check_settings(generation_config)
    mask = kwargs.get("attention_mask")
    mask = torch.ones_like(input_ids, dtype=torch.bool) if mask is None else mask.bool()
    _check_model_inputs(input_ids, mask, kwargs)
    n_prompt = input_ids.shape[1]
    shaping = _shaping(model, logits_processor, n_prompt)
    if not generation_config.do_sample:
        shaping["temperature"] = 0.0
    max_length, ends, stop = _limits(stopping_criteria, pair_tokenizer)
    if ends is None or set(ends) == set(_own_ends(model)):
        ends = tuple(sorted({*(ends or ()), *_own_ends(proxy)}))
    models = [model, proxy] if reference is None else [model, proxy, reference]
    pair = ModelPair(model, proxy, _tokenizer(models, rule, pair_tokenizer), reference=reference)
    own_prompts = None
    if proxy_prompts is not None:  # the prompts come repeated
        own_prompts = [ids for ids in proxy_prompts for _ in range(generation_config.num_return_sequences or 1)]
    prompts = [ids[held].tolist() for ids, held in zip(input_ids, mask.to(input_ids.device), strict=True)]
    answers = generate(
        pair,
        prompts,
        rule,
        mode=mode,
        window=window,
        max_new_tokens=max_length - n_prompt,
        seed=int(torch.randint(2**62, ())) if shaping["temperature"] else 0,
        proxy_prompts=own_prompts,
        stop=stop,
        eos_token_ids=[i for i in ends if i < pair.vocab_size],
        batch_size=len(prompts),
        **shaping,
    ).token_ids
    pad = getattr(generation_config, "_pad_token_tensor", None)  # pad_token_id, or the first end where that is not set
    fill = int(pad) if pad is not None else (ends or (0,))[0]
    new = torch.full((len(answers), max(map(len, answers))), fill, dtype=input_ids.dtype, device=input_ids.device)
    for row, ids in zip(new, answers, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    sequences = torch.cat([input_ids, new], dim=1)
    if not generation_config.return_dict_in_generate:
        return sequences
    from transformers.generation import GenerateDecoderOnlyOutput

    return GenerateDecoderOnlyOutput(sequences=sequences)


class _AnyIds:
    """Stands for a tokenizer where nothing is spelt: it knows the number of ids alone."""

    eos_token_id = None

    def __init__(self, n_ids: int) -> None:
        self._n_ids = n_ids

    def get_vocab(self) -> dict[str, int]:
        return {"": self._n_ids - 1}

    def decode(self, ids: list[int], **settings: Any) -> str:
        return ""


def _own_ends(model: Any) -> list[int]:
    return id_list(getattr(model.generation_config, "eos_token_id", None))


def _tokenizer(models: Sequence[Any], rule: Rule, given: Any) -> Any:
    if given is not None:
        return given
    if type(rule).bound is not Rule.bound:
        raise InputError(
            f"generate_kad: {rule.name} reads what tokens spell, got no pair_tokenizer; pass the tokenizer as "
            "pair_tokenizer=tokenizer"
        )
    return _AnyIds(min(map(logit_width, models)))


def _check_settings(config: Any) -> None:
    """Raise InputError for the first setting that asks for more than one token after another."""
    way = config.get_generation_mode()
    if way not in ("greedy_search", "sample"):
        raise InputError(
            f"generate_kad: model.generate must decode greedily or sample, got settings for {way.value}; drop what "
            "asks for that, such as num_beams"
        )
    asked = ("output_scores", "output_logits", "output_attentions", "output_hidden_states")
    for name in asked:
        if getattr(config, name, None):
            raise InputError(
                f"generate_kad: {name} must be False, got True; the laws are on proxyalign.generate's traces"
            )


def _check_model_inputs(input_ids: Tensor, mask: Tensor, inputs: dict[str, Any]) -> None:
    """Raise InputError for model inputs that this engine would not pass on."""
    positions = inputs.get("position_ids")
    usual = (mask.long().cumsum(-1) - 1)[mask]
    if positions is not None and not torch.equal(positions.expand_as(mask)[mask].to(usual.device), usual):
        raise InputError(
            "generate_kad: position_ids must count the tokens of each prompt from 0, got others; leave them out"
        )
    cache = inputs.get("past_key_values")
    if cache is not None and cache.get_seq_length() > 0:
        raise InputError(
            f"generate_kad: past_key_values must be empty, got {cache.get_seq_length()} tokens that the proxy never "
            "read; leave them out and pass the whole text as input_ids"
        )
    for name, value in inputs.items():
        if value is not None and name not in {"position_ids", *_OWN_WORK}:
            raise InputError(
                f"generate_kad: model inputs must be input_ids and attention_mask, got {name} too; leave it out"
            )
    if not bool(mask.any(1).all()):
        raise InputError(
            "generate_kad: each prompt must hold at least one token, got one that is masked; write a prompt"
        )


def _shaping(model: Any, processors: Any, n_prompt: int) -> dict[str, Any]:
    """What the processors come to, as arguments of `generate`. n_prompt: tokens of the padded prompts."""
    shaping: dict[str, Any] = {"temperature": 1.0, "min_new_tokens": 0, "logit_bias": {}}
    for processor in processors or ():
        kind = type(processor).__name__
        if kind == "TemperatureLogitsWarper":
            shaping["temperature"] = float(processor.temperature)
        elif (
            kind == "TopKLogitsWarper"
            and processor.top_k == _DEFAULT_TOP_K
            and getattr(model.generation_config, "top_k", None) is None
        ):
            warnings.warn(
                f"generate_kad: transformers' default top_k={_DEFAULT_TOP_K} is not applied, since rules speak of the "
                "whole law; pass top_k=0 to say so",
                UserWarning,
                stacklevel=5,
            )
        elif kind == "TopKLogitsWarper":
            shaping["top_k"] = shaping["proxy_top_k"] = int(processor.top_k)
        elif kind == "TopPLogitsWarper":
            shaping["top_p"] = shaping["proxy_top_p"] = float(processor.top_p)
        elif kind == "MinNewTokensLengthLogitsProcessor":
            shaping["min_new_tokens"] = max(shaping["min_new_tokens"], int(processor.min_new_tokens))
        elif kind == "MinLengthLogitsProcessor":
            shaping["min_new_tokens"] = max(shaping["min_new_tokens"], int(processor.min_length) - n_prompt)
        elif kind in _BIASES:
            for token, amount in _BIASES[kind](processor):
                shaping["logit_bias"][token] = shaping["logit_bias"].get(token, 0.0) + amount
        else:
            raise InputError(
                "generate_kad: logits_processor must hold what temperature, top_k, top_p, min_new_tokens and biases of "
                f"single tokens make, got {kind}; switch it off in the call, as by repetition_penalty=1.0"
            )
    return shaping


def _sequence_bias(processor: Any) -> list[tuple[int, float]]:
    biases = [(tuple(tokens), float(amount)) for tokens, amount in processor.sequence_bias.items()]
    longest = max((tokens for tokens, _ in biases), key=len)
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


def _limits(criteria: Any, tokenizer: Any) -> tuple[int, tuple[int, ...] | None, tuple[str, ...]]:
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
            strings = tuple(criterion.stop_strings)
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
