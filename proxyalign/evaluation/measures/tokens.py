"""Which tokens go to the proxy, by what they are, and how much of its budget a rule spends."""

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from proxyalign.errors import InputError

if TYPE_CHECKING:
    from proxyalign.decoding import Trace

KINDS = ("first", "number", "punctuation", "function", "other")
# Common words of English's closed classes (determiners, pronouns, prepositions, conjunctions, auxiliaries) and a few
# particles: the word classes of Quirk et al. 1985, "A Comprehensive Grammar of the English Language", listed by us.
_CLOSED_CLASSES = """
a an the this that these those some any no each every all both either neither
i me my mine myself you your yours yourself he him his himself she her hers herself it its itself we us our ours
ourselves they them their theirs themselves who whom whose which what
of in to for with on at by from about as into like through after over between out against during without before under
around among up down off above below near since until upon within along across behind beyond per than
and but or nor so yet if because although though while whereas unless whether when where how why
be am is are was were been being have has had having do does did can could may might shall should will would must
not there then too also
"""
FUNCTION_WORDS = frozenset(_CLOSED_CLASSES.split())
_ENDS = (".", "!", "?")  # of a sentence
_CLOSERS = "\"'”’)]*"  # what may follow these within it
_PART = "\ufffd"  # stands for a part of a character
_ROUNDING = 1e-6  # what float32 laws may sum to above a budget that their rule keeps


def by_kind(trace: "Trace") -> dict[str, tuple[float, float]]:
    """Tokens by the proxy, and deferral mass, for each kind of token in `KINDS`, as (amount, weight) by name.

    proxy-KIND: tokens that the proxy wrote over tokens of this kind; of autoregressive replies alone, since what a
    draft would have been otherwise is not known. mass-KIND: the sum of D at the places where tokens of this kind stand,
    over their number, in every mode. Kinds are those of `kinds`; an end of text is none. Empty for a trace without a
    tokenizer.
    """
    if trace.tokenizer is None:
        return {}
    found, of_tokens = {}, np.array(kinds(_texts(trace.tokenizer, trace.token_ids.tolist())), dtype=object)
    for kind in KINDS:
        here = of_tokens == kind
        n = float(here.sum())
        if trace.n_cycles == 0:
            found[f"proxy-{kind}"] = (float((here & (trace.source == "proxy")).sum()), n)
        found[f"mass-{kind}"] = (float(trace.deferral_mass[here].sum()), n)
    return found


def kinds(texts: list[str]) -> list[str | None]:
    """The kind of each token of a reply, by what it spells in its place; None for one that spells nothing.

    first: the first with a letter or digit of a sentence, which begins with the reply, with a line, and with a blank
    after a full stop, exclamation or question mark. Else number: with a digit. punctuation: signs alone, or white space
    alone. function: one of `FUNCTION_WORDS`. other: all else, parts of words among them.
    """
    found: list[str | None] = []
    starts, stopped = True, False  # the next word begins a sentence; the last sign ended one
    for text in texts:
        bare = text.strip()
        lead, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        starts = starts or "\n" in lead or (stopped and bool(lead))
        found.append(_kind(bare, starts) if text else None)
        starts = starts and not _has_word(bare)
        if said := bare.rstrip(_CLOSERS):
            stopped = said.endswith(_ENDS)
        starts = starts or "\n" in tail or (stopped and bool(tail))
    return found


def _kind(bare: str, starts: bool) -> str:
    """The kind of a token that spells `bare` between its blanks, where a sentence may start."""
    if starts and _has_word(bare):
        return "first"
    if any(char.isdigit() for char in bare):
        return "number"
    if all(unicodedata.category(char)[0] in "PS" and char != _PART for char in bare):
        return "punctuation"
    return "function" if bare.lower() in FUNCTION_WORDS else "other"


def _has_word(bare: str) -> bool:
    return any(char.isalnum() for char in bare)


def of_budget(trace: "Trace", budget: float) -> dict[str, tuple[float, float]]:
    """What a rule that was given `budget` of deferral mass a step spent, as (amount, weight) by name.

    spent: the mass D over the steps, to be held against the budget. above-budget: the steps whose D is above it, by
    more than rounding, over all steps. Raises InputError for a budget that is no mass.
    """
    if not 0 <= budget <= 1:
        raise InputError(f"of_budget: budget must be in [0, 1], got {budget}; it is a probability mass a step")
    mass, n = trace.deferral_mass, float(len(trace))
    return {
        "spent": (float(mass.sum()), n),
        "above-budget": (float((mass > budget + _ROUNDING).sum()), n),
    }


def _texts(tokenizer: Any, ids: list[int]) -> list[str]:
    """What each token spells after the one before it, since many tokenizers leave out the blank of a first one."""
    alone = [_spelled(tokenizer, one) for one in ids]
    return alone[:1] + [
        _spelled(tokenizer, *ids[i - 1 : i + 1])[len(before) :] for i, before in enumerate(alone[:-1], start=1)
    ]


@lru_cache(maxsize=1 << 14)  # replies to one benchmark repeat their pairs of tokens, and decoding one takes 15 us
def _spelled(tokenizer: Any, *ids: int) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
