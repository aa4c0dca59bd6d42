"""Instructions about words and letters that a reply shall have, or shall not; case never counts."""

import re
from collections.abc import Sequence

from proxyalign.tasks.instructions.arguments import Relation, compares


def existence(text: str, keywords: Sequence[str]) -> bool:
    """Whether every keyword is in the text, be it within a longer word: "intern" is in "internship".

    The paper asks for keywords here, and the published code looks for them anywhere.
    """
    return all(re.search(re.escape(keyword), text, re.IGNORECASE) for keyword in keywords)


def frequency(text: str, keyword: str, frequency: int, relation: Relation) -> bool:
    """Whether the keyword stands in the text less or at least that often, as a word: alone or with an s (es) after it.

    The paper asks for "the word"; the published code counts the keyword anywhere (`frequency_anywhere`), so that
    "toward" has the word war. The plural stays, for else 14 SNEAKERS beside 3 SNEAKER of a reply by GPT-4 would count
    as 3: over its 540 published replies the two counts never lead to different verdicts, while words without the
    plural would turn 3.
    """
    pattern = rf"(?<!\w){re.escape(keyword.strip())}(?:e?s)?(?!\w)"
    return compares(len(re.findall(pattern, text, re.IGNORECASE)), relation, frequency)


def frequency_anywhere(text: str, keyword: str, frequency: int, relation: Relation) -> bool:
    """The same as published: whatever holds the keyword counts."""
    return compares(len(re.findall(re.escape(keyword.strip()), text, re.IGNORECASE)), relation, frequency)


def forbidden_words(text: str, forbidden_words: Sequence[str]) -> bool:
    r"""Whether none of the words is in the text as a word of its own, between \b: "renamed" is not "rename"."""
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in forbidden_words)


def letter_frequency(text: str, letter: str, let_frequency: int, let_relation: Relation) -> bool:
    """Whether the character is in the text less or at least that often.

    Two prompts of the benchmark ask for "#" and "!", which the published code replaces by a letter drawn at random
    (google-research/google-research issue 3427); here they are counted as what they are.
    """
    return compares(text.lower().count(letter.lower()), let_relation, let_frequency)
