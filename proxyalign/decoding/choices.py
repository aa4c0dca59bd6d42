"""What a pair's law says of given continuations of a prompt, which each model reads once: log pi of every choice.

The first token of every choice has the law of the prompt's last place, so that choices of one token need nothing more.
Longer ones are read as rows of their own over the prompt's keys and values, of which each row gets a copy.
"""

from collections.abc import Mapping, Sequence

import torch

from proxyalign.decoding.arguments import check_pair_and_rule, check_rotary, placed, text_of
from proxyalign.decoding.judging import Choice, Judging
from proxyalign.decoding.memory import enough_memory
from proxyalign.decoding.scoring import asked, check_context, check_room
from proxyalign.deferral.rule import Rule
from proxyalign.errors import InputError
from proxyalign.models.pair import ModelPair
from proxyalign.validation import check_count, check_ids

_OWNER = "score_choices"
_BEGINNING = 64  # tokens by which prompts are taken to begin alike


def score_choices(
    pair: ModelPair,
    rule: Rule,
    contexts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
    *,
    proxy_contexts: Sequence[Sequence[int]] | None = None,
    boundaries: str = "any",
    batch_size: int = 16,
) -> list[list[float]]:
    """log pi in nats of each choice of each prompt, the sum over its tokens; arguments as for `judge_choices`."""
    judged = judge_choices(
        pair, rule, contexts, choices, proxy_contexts=proxy_contexts, boundaries=boundaries, batch_size=batch_size
    )
    return [[choice.log_pi for choice in of_prompt] for of_prompt in judged]


def judge_choices(
    pair: ModelPair,
    rule: Rule,
    contexts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
    *,
    proxy_contexts: Sequence[Sequence[int]] | None = None,
    boundaries: str = "any",
    batch_size: int = 16,
) -> list[list[Choice]]:
    """What the law at temperature 1 says of each choice of each prompt: as `score` of context and choice, row by row.

    contexts: of each prompt the base's ids. choices: of each prompt one or more continuations, each of one token or
    more; over two vocabularies they are pieces, and log pi is that of the text cut into these (`choice_ids` cuts one).
    proxy_contexts, boundaries: as for `score`. batch_size: prompts that are read together, and rows of choices.

    A model that the rule never asks does not run; the others read a prompt once, with prompts of like length, and of a
    choice all tokens but the first and the last. Beside keys and values a model's logits of `HELD` numbers are held, or
    of one place in each row.

    Raises InputError before any model runs where a context or a choice is empty, an id is not in the vocabulary, a text
    is longer than the models' context, or the rule needs a reference that the pair does not have; and where a model's
    logits are not finite, or the memory does not suffice.
    """
    check_pair_and_rule(_OWNER, pair, rule)
    check_count(_OWNER, "batch_size", batch_size, least=1)
    _check(pair, "base", "contexts", contexts, choices)
    own = contexts
    if proxy_contexts is None and pair.has_two_vocabularies:
        texts = [text_of(_OWNER, pair, f"contexts[{i}]", ids) for i, ids in enumerate(contexts)]
        proxy_contexts = [pair.encode(text, "proxy") for text in texts]
    if proxy_contexts is not None:
        _check(pair, "proxy", "proxy_contexts", proxy_contexts, choices)
        own = proxy_contexts
    bound = placed(_OWNER, pair, rule, pair.eos_token_ids, boundaries)
    read = {role: contexts if role == "base" else own for role in asked(bound)}
    batches = _batches(read, len(contexts), batch_size)
    for batch in batches:
        longest = max(len(ids) for i in batch for ids in choices[i])
        for of_role in read.values():
            check_rotary(_OWNER, pair, [len(of_role[i]) for i in batch], longest - 1)
    found: list[list[Choice]] = [[] for _ in contexts]
    with torch.inference_mode(), pair.evaluating():
        for batch in batches:
            with enough_memory(_OWNER, len(batch), "lower batch_size"):
                judged = Judging(_OWNER, pair, bound, read, choices, batch).run(batch_size)
            for i, of_prompt in zip(batch, judged, strict=True):
                found[i] = of_prompt
    return found


def choice_ids(
    pair: ModelPair, prompt: str, texts: Sequence[str], *, in_chat: bool = False
) -> tuple[list[int], list[list[int]]]:
    """The ids of a prompt and of the continuations to score after it, as the tokenizer cuts each whole text.

    texts: as they follow the prompt, each with its blank. Where the tokenizer joins the prompt's end with what follows,
    as with a blank there, the prompt ends earlier and all continuations begin with the rest. Over two vocabularies the
    prompt is cut without the blanks at its end, and the continuations, which begin with these, are pieces.
    in_chat: the prompt is what a chat template wrote, with all special tokens that it is to have, and over two
    vocabularies, since each model reads it to its end, the continuations are the pieces of the texts alone.

    Raises InputError for a text that is not Unicode.
    """
    if pair.has_two_vocabularies and in_chat:
        return pair.encode(prompt), [pair.vocabulary.encode(text) for text in texts]
    if pair.has_two_vocabularies:
        bare = prompt.rstrip()
        blanks = prompt[len(bare) :]
        return pair.encode(bare), [pair.vocabulary.encode(blanks + text) for text in texts]
    wholes = [prompt, *(prompt + text for text in texts)]
    context, *whole = [pair.template_ids(one, "base") for one in wholes] if in_chat else pair.encode_all(wholes)
    n = len(context)
    while any(ids[:n] != context[:n] for ids in whole):
        n -= 1
    return context[:n], [ids[n:] for ids in whole]


def _batches(contexts: Mapping[str, Sequence[Sequence[int]]], n: int, size: int) -> list[list[int]]:
    """Prompts to read together, of like length, the longest first, so that too large a batch fails at once.

    Those that begin alike go together where they fill a batch, so that what they begin with is read once in it.
    """
    one = next(iter(contexts.values()))
    alike: dict[tuple[int, ...], list[int]] = {}
    for i in range(n):
        alike.setdefault(tuple(one[i][:_BEGINNING]), []).append(i)
    groups = [[i for group in alike.values() if len(group) < size for i in group]]
    groups += [group for group in alike.values() if len(group) >= size]
    batches = []
    for group in groups:
        group.sort(key=lambda i: [-len(of_role[i]) for of_role in contexts.values()])
        batches += [group[at : at + size] for at in range(0, len(group), size)]
    return sorted(batches, key=lambda batch: -len(one[batch[0]]))


def _check(
    pair: ModelPair,
    role: str,
    argument: str,
    contexts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
) -> None:
    """Raise InputError for the first prompt or choice that cannot be scored. argument: what the contexts are called."""
    if len(contexts) != len(choices):
        raise InputError(
            f"{_OWNER}: {argument} must be as many as choices, {len(choices)}, got {len(contexts)}; pass one for each"
        )
    for i, (context, of_prompt) in enumerate(zip(contexts, choices, strict=True)):
        check_context(_OWNER, pair, role, f"{argument}[{i}]", context)
        if not of_prompt:
            raise InputError(f"{_OWNER}: choices[{i}] must hold at least one choice, got none; leave the prompt out")
        for j, ids in enumerate(of_prompt):
            name = f"choices[{i}][{j}]"
            if not ids:
                raise InputError(f"{_OWNER}: {name} must hold at least one token, got none; drop the choice")
            check_ids(_OWNER, name, ids, pair.vocab_size)
            check_room(_OWNER, pair, role, f"{argument}[{i}]", len(context), name, ids)
