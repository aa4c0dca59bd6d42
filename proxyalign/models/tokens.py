"""From a text to the ids of a prompt: what a tokenizer writes before it, and nothing that would close it."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from proxyalign.errors import InputError

_SHOWN = 12  # characters on each side of the one that a message is about
_TRIED = 1000  # words that may serve to find what is written before each text


def ids_of_prompt(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text that is to be gone on with.

    Before it stand the special tokens that the tokenizer writes first, unless the text begins with the first of them;
    those that it would write after it, such as an end of text, are left out. A text longer than the tokenizer's limit
    raises no warning.
    """
    (ids,) = ids_of_prompts(tokenizer, [text])
    return ids


def ids_of_prompts(tokenizer: Any, texts: Iterable[str]) -> list[list[int]]:
    """`ids_of_prompt` of each of these, for which the tokenizer is asked once what it writes before a text."""
    first = _first_ids(tokenizer)
    of_texts = [_ids(tokenizer, text) for text in texts]
    return [ids if first and ids[:1] == first[:1] else first + ids for ids in of_texts]


def check_unicode(owner: str, value: Any) -> None:
    """Raise InputError for the first text in the value, nested at will, that no encoding of Unicode can write."""
    if isinstance(value, Mapping):
        for part in value.values():
            check_unicode(owner, part)
    elif isinstance(value, list | tuple):
        for part in value:
            check_unicode(owner, part)
    elif isinstance(value, str):
        _check_text(owner, value)


def _check_text(owner: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        at = error.start
        begin, end = max(at - _SHOWN, 0), at + 1 + _SHOWN
        shown = f"{'...' if begin else ''}{text[begin:end]}{'...' if end < len(text) else ''}"
        raise InputError(
            f"{owner}: a text must be Unicode, got {shown!r} with half a surrogate pair, {text[at]!r}, at character "
            f"{at}; decode it from its bytes in their own encoding, or with errors='replace'"
        ) from error


def _ids(tokenizer: Any, text: str, *, with_special: bool = False) -> list[int]:
    return list(tokenizer(text, add_special_tokens=with_special, verbose=False)["input_ids"])


def _first_ids(tokenizer: Any) -> list[int]:
    """The special tokens that the tokenizer writes before each text: those before a word for which that is clear.

    They are looked for each time, since users switch them on and off.
    """
    special = set(tokenizer.all_special_ids)
    for token in islice((token for token in range(len(tokenizer)) if token not in special), _TRIED):
        word = tokenizer.decode([token])
        bare = _ids(tokenizer, word) if word else []
        if bare and not special.intersection(bare):
            whole = _ids(tokenizer, word, with_special=True)
            places = [at for at in range(len(whole) - len(bare) + 1) if whole[at : at + len(bare)] == bare]
            if len(places) == 1:
                return whole[: places[0]]
    return []
