"""What replies are like beside right or wrong: whether they end, keep the form, hide the answer, or repeat themselves.

A measure of a reply is a pair (amount, weight), so that a run's number is the sum of the amounts over the sum of the
weights and no reply counts for more than it holds. Words are what stands between white space, so that models of
different vocabularies are measured alike.
"""

import math
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proxyalign.evaluation.measures.tokens import by_kind, of_budget
from proxyalign.tasks.numbers import parse_number

if TYPE_CHECKING:
    from proxyalign.decoding import Trace
    from proxyalign.tasks import Question, Score

Measures = dict[str, tuple[float, float]]
_NUMBER = re.compile(r"(?<![\w.])[-−]?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?!\w|\.\d)", re.ASCII)


def reply_measures(
    question: "Question",
    score: "Score",
    text: str,
    trace: "Trace | None",
    max_new_tokens: int,
    budget: float | None = None,
) -> Measures:
    """What one reply measures, by name: those of `text_measures`, and

    ended: 1 where the reply has fewer tokens than it may have, so that an end of text or a stop string ended it; one
    that ends with the last token allowed counts as cut. format: 1 where it is right and in the form asked for
    (`score.strict`). buried: 1 where it is wrong, and holds the reference all the same (`holds`). tokens: how many.
    proxy-KIND, mass-KIND: of `tokens.by_kind`. spent, above-budget: of `tokens.of_budget`, where a
    budget is given.

    trace: None where nothing is known of the reply but its text, which leaves out whatever counts tokens.
    """
    found = text_measures(text)
    found["format"] = (float(score.strict), 1.0)
    if isinstance(question.reference, str) and question.reference.strip():
        found["buried"] = (float(not score.correct and holds(text, question.reference)), 1.0)
    if trace is not None:
        found["tokens"] = (float(len(trace)), 1.0)
        found["ended"] = (float(len(trace) < max_new_tokens), 1.0)
        found |= by_kind(trace)
        if budget is not None:
            found |= of_budget(trace, budget)
    return found


def text_measures(text: str) -> Measures:
    """What a text says of itself:

    words: how many. distinct-1, distinct-2: different words and pairs of neighbouring words over all of them (Li et al.
    2016, arXiv:1510.03055, here counted in each reply by itself). repeated-4: runs of four words that stood in the
    reply before, over all runs of four (1 - distinct-4; as seq-rep-4 of Welleck et al. 2020, arXiv:1908.04319, there in
    tokens). compression: bytes after zlib, at its strongest, over bytes before; a short text may need more than it had.
    """
    words, content = text.split(), text.encode()
    found = {"words": (float(len(words)), 1.0)}
    for n in (1, 2, 4):
        runs = list(zip(*(words[i:] for i in range(n)), strict=False))
        different = float(len(set(runs)))
        if n == 4:
            found["repeated-4"] = (len(runs) - different, float(len(runs)))
        else:
            found[f"distinct-{n}"] = (different, float(len(runs)))
    found["compression"] = (float(len(zlib.compress(content, 9))) if content else 0.0, float(len(content)))
    return found


def holds(text: str, reference: str) -> bool:
    """Whether the reference stands somewhere in the text.

    A number does where one of its value does, as 1,000.0 for 1000, and no part of a longer one. A single letter does
    alone and as a capital, unless a word follows it as an article's does ("A car"). All else does letter by letter,
    whatever the case, with no letter or digit adjoining.
    """
    reference = reference.strip()
    value = parse_number(reference)
    if value is not None:
        return any(parse_number(match[0]) == value for match in _NUMBER.finditer(text))
    if len(reference) == 1 and reference.isalpha():
        return re.search(rf"(?<!\w){re.escape(reference.upper())}(?!\w|['’]\w| \w)", text) is not None
    return re.search(rf"(?<!\w){re.escape(reference)}(?!\w)", text, re.IGNORECASE) is not None


def of_record(record: Mapping[str, Any]) -> Measures:
    """What a record of a run measures: what it says itself, and what follows from its reply and its counts."""
    found: Measures = {}
    if isinstance(reply := record.get("reply"), str):
        found |= text_measures(reply)
        found["format"] = (float(record["strict"]), 1.0)
        found["tokens"] = (float(record["n_tokens"]), 1.0)
        if "max_new_tokens" in record:
            found["ended"] = (float(record["n_tokens"] < record["max_new_tokens"]), 1.0)
    stored: Mapping[str, tuple[float, float]] = {**record.get("reply_measures", {}), **record.get("measures", {})}
    return found | {name: (float(amount), float(weight)) for name, (amount, weight) in stored.items()}


def of_run(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The measures of a run's records by name, each a ratio of sums; those without any weight are left out."""
    sums: dict[str, tuple[list[float], list[float]]] = {}
    for record in records:
        for name, (amount, weight) in of_record(record).items():
            amounts, weights = sums.setdefault(name, ([], []))
            amounts.append(amount)
            weights.append(weight)
    totals = {name: (math.fsum(amounts), math.fsum(weights)) for name, (amounts, weights) in sums.items()}
    return {name: amount / weight for name, (amount, weight) in totals.items() if weight}
