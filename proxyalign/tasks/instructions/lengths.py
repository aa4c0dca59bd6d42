"""Instructions about how many words, sentences and paragraphs a reply shall have."""

import re

from proxyalign.tasks.instructions.arguments import Relation, compares
from proxyalign.tasks.instructions.sentences import sentences

_ENDS_A_WORD = re.compile(r"[.,?!'\"]")


def number_words(text: str, num_words: int, relation: Relation) -> bool:
    r"""Whether the text has less or at least that many words, which are runs of \w: "don't" is two.

    Python's re ends a word of Hindi or Tamil at its vowel signs, as in the published code; where NLTK 3.10 counts, as
    in lm-evaluation-harness beside it, it does not. No prompt asks for a number of words in such a language.
    """
    return compares(len(re.findall(r"\w+", text)), relation, num_words)


def number_sentences(text: str, num_sentences: int, relation: Relation) -> bool:
    """Whether the text has less or at least that many sentences, as Punkt cuts them (`sentences`)."""
    return compares(len(sentences(text)), relation, num_sentences)


def number_paragraphs(text: str, num_paragraphs: int) -> bool:
    """Whether *** cuts the text into exactly that many paragraphs; only the first and the last piece may be blank."""
    pieces = re.split(r"\s?\*\*\*\s?", text)
    if any(not piece.strip() for piece in pieces[1:-1]):
        return False
    return sum(1 for piece in pieces if piece.strip()) == num_paragraphs


def nth_paragraph_first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Whether the text has exactly that many paragraphs between blank lines, and the n-th starts with that word.

    A blank piece, as at the beginning of a reply or between four line ends, is no paragraph, as the paper has it. The
    published code leaves such pieces out when it counts, and numbers them nevertheless (`nth_piece_first_word`).
    """
    paragraphs = [piece for piece in text.split("\n\n") if piece.strip()]
    return len(paragraphs) == num_paragraphs and _first_word(paragraphs[nth_paragraph - 1]) == first_word.lower()


def nth_piece_first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """The same as published: where a blank piece comes before the n-th paragraph, it looks at a wrong one."""
    pieces = text.split("\n\n")
    nth = pieces[nth_paragraph - 1] if nth_paragraph <= len(pieces) else ""
    counted = sum(1 for piece in pieces if piece.strip())
    return counted == num_paragraphs and bool(nth.strip()) and _first_word(nth) == first_word.lower()


def _first_word(paragraph: str) -> str:
    """The first word without quotation marks before it, up to its first punctuation mark, in lower case."""
    word = paragraph.split()[0].lstrip("'").lstrip('"')
    return _ENDS_A_WORD.split(word, maxsplit=1)[0].lower()
