"""How a server's answer is read: token by token, with what each spells and how likely it was.

Three forms are known. OpenAI's completions name tokens as texts, or as "bytes:" with what is no text, with lists of
log-probabilities beside them. vLLM does as well, with U+FFFD for half a character, or names them "token_id:" with the
id. llama.cpp gives id, bytes and log-probability of each, but of the tokens of one character the last alone, with all
of its bytes: the others' ids and probabilities are not told (`halves.py`); read as text, they count as kept.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from proxyalign.serving.base import ServerError

_BYTE = re.compile(r"\\x([0-9a-fA-F]{2})")
HALF = "\ufffd"  # what stands for it in a text
_ROUNDING = 0.01  # by which a log-probability may be above 0
_TOLD = 200  # characters of an answer that a message tells


class Seen(NamedTuple):
    """A token that the server drew, or several that it shows as one.

    string: its bytes; None for one that is no text, such as the one that ends it. token: its id where the server tells
    it; the last one's of several. p_y, p_max: the probability of each token that is shown, and the largest one that
    there was at its place. is_end: whether it ended the text. is_joined: whether it has the bytes of tokens before it
    that are not shown.
    """

    string: bytes | None
    token: int | None
    p_y: tuple[float, ...]
    p_max: tuple[float, ...]
    is_end: bool = False
    is_joined: bool = False


class Shown(NamedTuple):
    """A token as an answer shows it: text, bytes where it tells them, id, log-probability, and those of the likeliest.

    top: log-probabilities by the names of tokens.
    """

    text: str
    string: bytes | None
    token: int | None
    log_p: float
    top: dict[str, float]


def read(
    choices: Iterable[dict[str, Any]], strings: Sequence[bytes | None] | None, *, keeps_halves_back: bool = False
) -> Iterator[Seen]:
    """The tokens of an answer's choices, as they come.

    strings: what the base's ids spell, where it is known here; else tokens of one character are joined.
    keeps_halves_back: whether the server shows no token that ends in the middle of a character, as llama.cpp's does; an
    end without its token then tells of such a one, and comes as joined. A token that spells nothing is held until what
    follows tells whether it ended the text. Raises ServerError for an answer
    without log-probabilities or, with `strings`, without ids, and for an end whose log-probability is not shown.
    """
    held: Seen | None = None
    ended_by: list[str] = []
    told = _told(choices, ended_by)
    for one in _by_text(told) if strings is None else _by_id(told, strings):
        if held is not None:
            yield held
        held = one if one.string is None else None
        if held is None:
            yield one
    if ended_by == ["stop"]:
        if held is None and keeps_halves_back:
            if strings is not None:
                yield Seen(b"", None, (), (), is_joined=True)
            return
        if held is None:
            raise ServerError(
                "ServedBase: the server must show the log-probability of the token that ends a text, got an end "
                "without; take a server that does, such as vLLM or llama.cpp's"
            )
        yield held._replace(is_end=True)
    elif held is not None:
        yield held
    if ended_by not in ([], ["stop"], ["length"]):
        raise ServerError(
            f"ServedBase: the server must end an answer by its end or its length, got {ended_by[0]!r}; switch off what "
            "ends it so"
        )


def shown(choice: dict[str, Any]) -> list[Shown]:
    """The tokens in one choice, in either form; none where it has no log-probabilities.

    Raises ServerError for an answer that has neither form, or numbers that are no log-probabilities.
    """
    try:
        if not isinstance(choice.get("text") or "", str):
            raise TypeError("the text is none")
        return _shown(choice.get("logprobs") or {})
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        got = str(choice.get("logprobs") or choice)
        raise ServerError(
            "ServedBase: the server must show its tokens with log-probabilities as OpenAI's completions do, got "
            f"{got[:_TOLD]} ({error}); take a server that does, such as vLLM or llama.cpp's"
        ) from error


def _shown(found: dict[str, Any]) -> list[Shown]:
    if "content" in found:
        return [
            Shown(
                str(one.get("token", "")),
                bytes(one["bytes"]) if isinstance(one.get("bytes"), list) else None,
                _id(one.get("id")),
                _log(one["logprob"]),
                {str(other.get("id", other.get("token"))): _log(other["logprob"]) for other in one["top_logprobs"]},
            )
            for one in found["content"] or []
        ]
    names, logs = found.get("tokens") or [], found.get("token_logprobs") or []
    tops = found.get("top_logprobs") or [None] * len(names)
    return [
        Shown(
            *_named(name), -math.inf if log is None else _log(log), {of: _log(its) for of, its in (top or {}).items()}
        )
        for name, log, top in zip(names, logs, tops, strict=True)
    ]


def _log(value: Any) -> float:
    """A log-probability: at most 0, but for rounding."""
    log = float(value)
    if not log <= _ROUNDING:
        raise ValueError(f"{log:g} is no log-probability")
    return log


def _id(value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ValueError(f"{value!r} is no token id")
    return value


def _named(name: str) -> tuple[str, bytes | None, int | None]:
    """What a token's name tells: its text, bytes and id."""
    if name.startswith("token_id:") and name[9:].isdecimal():
        return "", None, int(name[9:])
    if name.startswith("bytes:") and _BYTE.fullmatch(name[6:10]):
        return "", bytes(int(digits, 16) for digits in _BYTE.findall(name)), None
    return name, None, None


def _told(choices: Iterable[dict[str, Any]], ended_by: list[str]) -> Iterator[tuple[list[Shown], str]]:
    """The tokens of each choice, and its text; in `ended_by` goes what the answer ended by."""
    for choice in choices:
        text, tokens = choice.get("text") or "", shown(choice)
        if text and not tokens and not ended_by:
            raise ServerError(
                "ServedBase: the server must show the log-probability of each token, got text without any; let it "
                "give logprobs, or take one that does"
            )
        if choice.get("finish_reason") is not None:
            ended_by[:] = [str(choice["finish_reason"])]
        yield tokens, text


def _seen(string: bytes | None, tokens: Sequence[Shown]) -> Seen:
    p_y = tuple(math.exp(one.log_p) for one in tokens)
    p_max = tuple(math.exp(max((one.log_p, *one.top.values()))) for one in tokens)
    return Seen(string, tokens[-1].token, p_y, p_max)


def _by_id(told: Iterable[tuple[list[Shown], str]], strings: Sequence[bytes | None]) -> Iterator[Seen]:
    """The tokens by their ids; where more bytes are shown than the id spells, these are of tokens before it too."""
    for tokens, _ in told:
        for one in tokens:
            if one.token is None:
                raise ServerError(
                    "ServedBase: the server must tell the ids of its tokens where the base's tokenizer is given, got "
                    f"{one.text!r}; leave the tokenizer out"
                )
            string = strings[one.token] if one.token < len(strings) else None
            is_joined = bool(one.string and string is not None and len(one.string) > len(string))
            yield _seen(one.string if is_joined else string, [one])._replace(is_joined=is_joined)


def _by_text(told: Iterable[tuple[list[Shown], str]]) -> Iterator[Seen]:
    """The tokens by what they spell, those of one character joined."""
    waiting: list[Shown] = []  # whose text has not been told
    begun: list[Seen] = []  # of a character that is not whole
    for tokens, text in told:
        waiting += tokens
        groups = _matched(waiting, text)
        if groups is None:
            continue
        waiting = []
        for string, group in groups:
            begun.append(_seen(string, group))
            if string is None or not ends_in_half(b"".join(one.string or b"" for one in begun)):
                yield _joined(begun)
                begun = []
    if begun:  # which the answer's length has cut off
        return


def _joined(parts: list[Seen]) -> Seen:
    if len(parts) == 1:
        return parts[0]
    string = b"".join(one.string or b"" for one in parts)
    p_y = tuple(p for one in parts for p in one.p_y)
    return Seen(string, parts[-1].token, p_y, tuple(p for one in parts for p in one.p_max))


def _matched(tokens: list[Shown], text: str) -> list[tuple[bytes | None, list[Shown]]] | None:
    """What each token spells, or several of a character together; None while the text of some is still to come."""
    if all(one.string is not None for one in tokens):
        return [(one.string or None, [one]) for one in tokens]
    if not text:
        return None if any(HALF in one.text for one in tokens) else [(None, [one]) for one in tokens]
    if "".join(one.text for one in tokens) == text and HALF not in text:
        return [(one.text.encode() or None, [one]) for one in tokens]
    groups: list[tuple[bytes | None, list[Shown]]] = []
    at, half = 0, []
    for one in tokens:
        if HALF in one.text:
            half.append(one)
            continue
        start = text.find(one.text, at)
        if start < 0:  # it is not shown in the text, such as one that ends it
            groups.append((None, [one]))
            continue
        if half:
            groups.append((text[at:start].encode(), half))
            at, half = start, []
        groups.append((text[at : start + len(one.text)].encode(), [one]))  # with a blank that its name lacks
        at = start + len(one.text)
    if half and at < len(text):
        groups.append((text[at:].encode(), half))
        at = len(text)
    if at != len(text):
        raise ServerError(
            f"ServedBase: the server's tokens must spell its text, got {[one.text for one in tokens]} for {text!r}; "
            "pass the base's tokenizer"
        )
    return groups


def ends_in_half(string: bytes) -> bool:
    """Whether bytes end in the middle of a character of UTF-8."""
    for n_back, byte in enumerate(reversed(string[-3:]), start=1):
        if byte >= 0xC0:
            return n_back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
        if byte < 0x80:
            return False
    return False
