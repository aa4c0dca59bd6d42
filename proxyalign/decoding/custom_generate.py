"""The engine as a method of transformers: `model.generate(..., custom_generate=generate_kad, proxy=..., rule=...)`."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from proxyalign.decoding.generate import generate
from proxyalign.decoding.transformers_settings import limits_of, shaping_of
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.models.wrapped import end_ids_of, logit_width

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
    proxy_tokenizer: Any = None,
    proxy_prompts: Sequence[Sequence[int]] | None = None,
    **kwargs: Any,
) -> Any:
    """Decode `model`, the base, with `proxy` under `rule`, as the `custom_generate` of `model.generate`.

    input_ids: int64 (B, T), padded on the left where `attention_mask` is 0. The rest is what `model.generate` makes of
    its arguments: do_sample with temperature, top_k and top_p, which truncate both models' laws before the rule reads
    them; max_new_tokens or max_length, min_new_tokens or min_length, num_return_sequences, pad_token_id; sequence_bias,
    bad_words_ids and suppress_tokens, of single tokens. A text ends at eos_token_id where the call names it, else where
    either model's generation settings say. mode, window: as in `generate`. proxy_prompts: token ids that the proxy, and
    the reference, reads in place of each prompt. pair_tokenizer: for rules that read words, and to cut ids past the
    tokenizer's last from both laws; without it they share as many ids as all models have. reference: the proxy before
    alignment, for the rules that read it. proxy_tokenizer: the proxy's own, beside pair_tokenizer, the base's, where
    their vocabularies differ: the answer is then decoded in pieces (as in `generate`), of which max_new_tokens and
    min_new_tokens count, and returned in the base's ids. The seed is drawn from torch's global generator, so that
    `torch.manual_seed` repeats a run. All models are left in evaluation mode.

    `model.generate` keeps its arguments tokenizer, streamer and assistant_model from a custom method: they do nothing,
    and stop strings are given as stopping_criteria=[StopStringCriteria(tokenizer, strings)], with pair_tokenizer. They
    are looked for in the new tokens, by transformers in the prompt's end too.

    transformers' default top_k of 50 is dropped with a warning, since rules speak of the whole law; top_k=0 says so,
    and a top_k in model.generation_config is kept.

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
    shaping = shaping_of(model, generation_config, logits_processor, n_prompt)
    if not generation_config.do_sample:
        shaping["temperature"] = 0.0
    max_length, ends, stop = limits_of(stopping_criteria, pair_tokenizer)
    models = [model, proxy] if reference is None else [model, proxy, reference]
    if proxy_tokenizer is not None and pair_tokenizer is None:
        raise InputError(
            "generate_kad: proxy_tokenizer must come beside the base's tokenizer, got no pair_tokenizer; pass both"
        )
    tokenizer = _tokenizer(models, rule, pair_tokenizer)
    pair = ModelPair(model, proxy, tokenizer, reference=reference, proxy_tokenizer=proxy_tokenizer)
    is_usual = ends is None or set(ends) == set(end_ids_of(model))
    if is_usual:
        of_proxy = () if pair.has_two_vocabularies else end_ids_of(proxy)
        ends = tuple(sorted({*(ends or ()), *of_proxy}))
    own_prompts = _repeated(proxy_prompts, len(input_ids), generation_config.num_return_sequences or 1)
    # To forbid a token that the pair does not have, or one that no text has, changes nothing.
    bias = shaping["logit_bias"]
    bias = {i: bias[i] for i in bias if i in range(pair.n_ids_of("base")) or bias[i] > -math.inf}
    known_ends = [i for i in ends or () if 0 <= i < pair.n_ids_of("base")]  # transformers takes -1 for none
    if pair.has_two_vocabularies:
        silent = {i for i in bias if bias[i] == -math.inf and not pair.vocabulary.pieces_of("base", [i])}
        bias = {_piece(pair, i): amount for i, amount in bias.items() if i not in silent}
        known_ends = sorted({_piece(pair, i) for i in known_ends} | set(pair.eos_token_ids if is_usual else ()))
    shaping["logit_bias"] = bias
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
        eos_token_ids=known_ends,
        batch_size=len(prompts),
        **shaping,
    ).token_ids
    if pair.has_two_vocabularies:
        answers = [pair.vocabulary.sides["base"].shown_as(ids) for ids in answers]
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


def _piece(pair: ModelPair, token: int) -> int:
    """The piece that an id of the base writes. Raises InputError for one that writes none."""
    pieces = pair.vocabulary.pieces_of("base", [token])
    if not pieces:
        raise InputError(
            f"generate_kad: a bias or an end of text must be of a token that spells something, got id {token}; leave "
            "it out"
        )
    return pieces[0]


def _repeated(prompts: Any, n_rows: int, times: int) -> list[list[int]] | None:
    """The proxy's prompts, each as often as transformers repeats the base's."""
    if prompts is None:
        return None
    is_text = isinstance(prompts, str) or any(isinstance(ids, str) for ids in prompts)
    if is_text or len(prompts) * times != n_rows:
        got = "texts" if is_text else f"{len(prompts)} lists"
        raise InputError(
            f"generate_kad: proxy_prompts must be a list of token ids for each of the {n_rows // times} prompts, got "
            f"{got}; tokenise one for each, as by pair.chat"
        )
    return [list(ids) for ids in prompts for _ in range(times)]


class _AnyIds:
    """Stands for a tokenizer where nothing is spelt: it knows the number of ids alone."""

    eos_token_id = None

    def __init__(self, n_ids: int) -> None:
        self._n_ids = n_ids

    def get_vocab(self) -> dict[str, int]:
        return {"": self._n_ids - 1}

    def decode(self, ids: list[int], **settings: Any) -> str:
        return ""


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
    for name, value in inputs.items():
        if value is not None and name not in {"position_ids", *_OWN_WORK}:
            raise InputError(
                f"generate_kad: model inputs must be input_ids and attention_mask, got {name} too; leave it out, and "
                "pass the whole text as input_ids"
            )
    if not input_ids.shape[1] or mask.shape != input_ids.shape:
        raise InputError(
            "generate_kad: input_ids and attention_mask must be of one shape with a token a row, got "
            f"{tuple(input_ids.shape)} and {tuple(mask.shape)}; pass both"
        )
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
    if not bool(mask.any(1).all()):
        raise InputError(
            "generate_kad: each prompt must hold at least one token, got one that is masked; write a prompt"
        )
