"""How much two texts have in common: ROUGE-1 and ROUGE-L (Lin 2004, aclanthology.org/W04-1013), as F1 of words."""

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+")  # as the package rouge-score cuts words; it drops letters with accents too


def rouge_1(text: str, other: str) -> float:
    """F1 of the words that both have, each as often as the rarer side has it; 0 where one has no word."""
    words, others = _words(text), _words(other)
    return _f1((Counter(words) & Counter(others)).total(), len(words), len(others))


def rouge_l(text: str, other: str) -> float:
    """F1 of the longest sequence of words that both have in this order, with gaps; 0 where one has no word."""
    words, others = _words(text), _words(other)
    return _f1(_longest_in_common(words, others), len(words), len(others))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _longest_in_common(words: Sequence[str], others: Sequence[str]) -> int:
    lengths = [0] * (len(others) + 1)  # with the words so far, for each beginning of the others
    for word in words:
        above = lengths[:]
        for at, one in enumerate(others):
            lengths[at + 1] = above[at] + 1 if one == word else max(above[at + 1], lengths[at])
    return lengths[-1]


def _f1(n_common: int, n_words: int, n_others: int) -> float:
    return 2 * n_common / (n_words + n_others) if n_common else 0.0
