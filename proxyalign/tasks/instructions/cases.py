"""Instructions about capital letters."""

from proxyalign.tasks.instructions.arguments import Relation, compares
from proxyalign.tasks.instructions.language import is_in
from proxyalign.tasks.instructions.sentences import words


def capital_word_frequency(text: str, capital_frequency: int, capital_relation: Relation) -> bool:
    """Whether less or at least that many words have capital letters alone, be it one as in "I".

    Words are the Penn Treebank's (`words`), so that "DON'T" is two and "WELL-KNOWN" one.
    """
    return compares(sum(word.isupper() for word in words(text)), capital_relation, capital_frequency)


def english_capital(text: str) -> bool:
    """Whether the text is English and has no small letter."""
    return text.isupper() and is_in(text, "en")


def english_lowercase(text: str) -> bool:
    """Whether the text is English and has no capital letter."""
    return text.islower() and is_in(text, "en")
