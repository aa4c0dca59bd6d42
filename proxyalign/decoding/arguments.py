"""What is asked of the engine, checked before any work: prompts, ids, strings, and texts that fit both models."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from proxyalign.deferral.boundaries import BOUNDARIES, within_words
from proxyalign.deferral.rule import Rule
from proxyalign.deferral.verifiers import Verifier
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.models.wrapped import rotary_turn
from proxyalign.validation import check_count, check_ids

MODES = ("autoregressive", "speculative")


def check_reference(owner: str, pair: ModelPair, rule: Rule) -> None:
    """Raise InputError where the rule reads a reference and the pair has none."""
    if rule.reads("q0") and pair.reference is None:
        raise InputError(
            f"{owner}: {rule.name} needs a reference, the proxy before alignment, got a pair without one; "
            "pass it to load_pair (--reference on the command line)"
        )


def check_pair_and_rule(owner: str, pair: Any, rule: Any) -> None:
    """Raise InputError for what is no pair or no rule, a device without float64, and a reference that is not there."""
    if not isinstance(pair, ModelPair):
        raise InputError(f"{owner}: pair must be a ModelPair, got {type(pair).__name__}; make one with load_pair")
    if not isinstance(rule, Rule):
        raise InputError(f"{owner}: rule must be a rule, got {rule!r}; pass one such as rules.Dual(alpha=0.4)")
    if pair.is_served:
        raise InputError(f"{owner}: the base must be loaded here, got {pair.base!r}; only generate can ask a server")
    if pair.device.type == "mps":
        raise InputError(
            f"{owner}: the models must be on a device that has float64 numbers, in which draws and sums are made, got "
            'mps; move both to the processor with .to("cpu")'
        )
    if pair.has_two_vocabularies and rule.compares_tokens:
        raise InputError(
            f"{owner}: the rule must not compare p with q token by token, since two vocabularies cut a text in two "
            f"ways, got {rule.name}; take one that reads the base alone, such as Dual, or a pair of one vocabulary"
        )
    check_reference(owner, pair, rule)


def check_served(*settings: tuple[str, Any, Any]) -> None:
    """Raise InputError for the first setting (name, value, default) that is asked for: these change or show the law."""
    for name, value, usual in settings:
        if value != usual:
            raise InputError(
                f"generate: {name} must be left out with a served base, whose law stays on its server, got {value!r}; "
                "drop it, or load the base here"
            )


def check_mode(mode: Any, window: Any) -> None:
    """Raise InputError for a mode that there is not, and for a window that is neither a count nor "auto"."""
    if mode not in MODES:
        raise InputError(f"generate: mode must be {' or '.join(MODES)}, got {mode!r}; choose one of these")
    if not (isinstance(window, str) and window == "auto"):
        check_count("generate", "window", window, least=1)
    elif torch.distributed.is_available() and torch.distributed.is_initialized():
        raise InputError(
            "generate: window must be a number where several processes share a model, got 'auto', which each would "
            "choose by its own clock; pass one such as 5"
        )


def check_verifier(owner: str, verifier: Any, mode: str) -> None:
    """Raise InputError for what is no verifier, and for one in a mode that tests no drafts."""
    if verifier is None:
        return
    if not isinstance(verifier, Verifier):
        raise InputError(
            f"{owner}: verifier must be a verifier, got {verifier!r}; pass one such as verifiers.Mentored(delta=0.1), "
            "or leave it out"
        )
    if mode != "speculative":
        raise InputError(
            f'{owner}: verifier must go with mode="speculative", since token by token no draft is tested, got '
            f"{verifier} in mode {mode!r}; change the mode, or leave it out"
        )


def prompt_list(argument: str, prompts: Any) -> list[Any]:
    """The prompts as a list, of one or more; what each of them is, is not looked at."""
    if isinstance(prompts, str) or not isinstance(prompts, Sequence) or not prompts:
        raise InputError(
            f"generate: {argument} must be a list of one or more prompts, got {prompts!r}; put a single text in a list"
        )
    return list(prompts)


def prompt_ids(pair: ModelPair, role: str, argument: str, prompts: Any, max_new_tokens: int) -> list[list[int]]:
    """The prompts as lists of token ids of the model of this role, each non-empty and short enough for its context."""
    room, all_ids = pair.context_of(role), []
    for i, prompt in enumerate(prompt_list(argument, prompts)):
        name = f"{argument}[{i}]"
        if not isinstance(prompt, str | Sequence | np.ndarray | torch.Tensor):
            raise InputError(f"generate: {name} must be a text or a list of token ids, got {prompt!r}; write a prompt")
        ids = pair.encode(prompt, role) if isinstance(prompt, str) else as_list(prompt)
        if not ids:
            raise InputError(f"generate: {name} must hold at least one token, got {prompt!r}; write a prompt")
        ids = check_ids("generate", name, ids, pair.n_ids_of(role))
        if room is not None and len(ids) + max_new_tokens > room:
            raise InputError(
                f"generate: {name} and max_new_tokens must fit the models' context of {room} tokens, "
                f"got {len(ids)} + {max_new_tokens}; shorten the prompt or lower max_new_tokens"
            )
        all_ids.append(ids)
    return all_ids


def proxy_ids(pair: ModelPair, prompts: Any, base_ids: list[list[int]], max_new_tokens: int) -> list[list[int]]:
    """What the proxy reads where it has no prompts of its own: the base's, in its own tokens."""
    if not pair.has_two_vocabularies:
        return base_ids
    texts = [
        prompt if isinstance(prompt, str) else text_of("generate", pair, f"prompts[{i}]", ids)
        for i, (prompt, ids) in enumerate(zip(prompts, base_ids, strict=True))
    ]
    return prompt_ids(pair, "proxy", "prompts", texts, max_new_tokens)


def text_of(owner: str, pair: ModelPair, name: str, ids: Sequence[int]) -> str:
    """The text of what the base reads (its own ids), without the start and the blank that its tokenizer puts before it.

    Raises InputError for ids that are no text.
    """
    known = pair.vocabulary.sides["base"].bytes
    start = pair.encode("")
    own = ids[len(start) :] if list(ids[: len(start)]) == start else ids
    silent = next((i for i in own if i >= len(known) or known.strings[i] is None), None)
    text = known.join(own).decode("utf-8", "replace") if silent is None else ""
    if silent is not None or "\ufffd" in text:
        what = "half a character" if silent is None else f"id {silent}, which spells nothing"
        raise InputError(
            f"{owner}: {name} must be a text that the proxy can read in its own tokens, got {what}; pass texts, or "
            "what the proxy reads beside it"
        )
    bare = text.removeprefix(" ")
    return bare if pair.encode(bare) == list(ids) else text


def placed(owner: str, pair: ModelPair, rule: Rule, ends: Sequence[int], boundaries: str) -> Rule:
    """The rule for the pair's vocabulary, acting where it may: anywhere or between words."""
    if boundaries not in BOUNDARIES:
        raise InputError(
            f"{owner}: boundaries must be {' or '.join(BOUNDARIES)}, got {boundaries!r}; choose one of these"
        )
    rule = rule.bound(pair.spelling, ends)
    return rule if boundaries == "any" else within_words(owner, rule, *pair.vocabulary.word_edges)


def as_list(ids: Any) -> list[Any]:
    """Ids as a list of Python's numbers, from a list, an array or a tensor of one axis."""
    return list(ids.tolist()) if isinstance(ids, np.ndarray | torch.Tensor) and ids.ndim == 1 else list(ids)


def check_rotary(owner: str, pair: ModelPair, lengths: Iterable[int], n_more: int) -> None:
    """Raise InputError for texts that cross the length at which a model turns to other rotary angles ("longrope").

    lengths: of the prompts that may be read together. n_more: tokens that may come after each. From that length on
    every key that was read before would have to be read anew, which this engine does not do. Of two vocabularies a
    text ends there, as at the end of a context (`ModelPair.context_of`).
    """
    if pair.has_two_vocabularies:
        return
    known = list(lengths)
    shortest, longest = min(known), max(known) + n_more
    for role in ("base", "proxy", "reference"):
        model = getattr(pair, role)
        turn = None if model is None else rotary_turn(model)
        # A prompt that joins a batch is read but for its last token.
        if turn is not None and longest > turn and shortest - 1 <= turn:
            raise InputError(
                f"{owner}: prompts and answers must stay within {turn} tokens, where the {role}'s rotary angles change "
                f"(longrope), or all prompts be longer than {turn + 1}, got prompts from {shortest} tokens and texts "
                f"up to {longest}; lower max_new_tokens, or sort the prompts by length into calls of their own"
            )


def end_ids(pair: ModelPair, given: Any) -> tuple[int, ...]:
    """The ids that end a text: the pair's own, or those given, of which a single one needs no list."""
    if given is None:
        return pair.eos_token_ids
    is_one = isinstance(given, int | np.integer) and not isinstance(given, bool)
    return tuple(check_ids("generate", "eos_token_ids", [given] if is_one else given, pair.vocab_size))


def stop_strings(stop: Any) -> tuple[str, ...]:
    """The strings that end a text."""
    is_list = isinstance(stop, Sequence) and not isinstance(stop, str)
    if not is_list or not all(isinstance(string, str) and string for string in stop):
        raise InputError(
            f"generate: stop must be a list of strings that are not empty, got {stop!r}; put a single one in a list, "
            "or leave it out"
        )
    return tuple(stop)


def bias_of(pair: ModelPair, logit_bias: Mapping[int, float] | None, late: Sequence[int]) -> torch.Tensor | None:
    """The bias (V,), None without one. late: ids that may not come at first, whatever it says of them."""
    if not logit_bias:
        return None
    if not isinstance(logit_bias, Mapping):
        raise InputError(f"generate: logit_bias must map token ids to nats, got {logit_bias!r}; pass a dict")
    check_ids("generate", "logit_bias", logit_bias, pair.vocab_size)
    bias = torch.zeros(pair.vocab_size, dtype=torch.float64)
    for token, amount in logit_bias.items():
        if not isinstance(amount, int | float | np.number) or not amount < math.inf:
            raise InputError(
                f"generate: logit_bias must be below infinity, got {amount!r} for token {token}; pass a number of nats"
            )
        bias[token] = amount
    may_come = ~torch.isneginf(bias)
    may_come[list(late)] = False
    if not may_come.any():
        raise InputError(
            "generate: logit_bias must leave a token that may come first, got minus infinity for all; allow one"
        )
    kind = torch.float64 if pair.base.dtype == torch.float64 else torch.float32
    return bias.to(pair.device, kind)
