"""The fields of a request's body, taken one by one: each has its check, and what is left over at the end is refused."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from proxyalign.models.tokens import check_unicode
from proxyalign.serving.server.refusal import Refusal, about
from proxyalign.validation import Domain, check_number

_SHOWN = 60  # characters of a value that a message tells


class Fields:
    """A JSON object of which every field must be taken. owner: who refuses, as messages begin."""

    def __init__(self, owner: str, body: Any) -> None:
        self.owner = owner
        if not isinstance(body, dict):
            raise Refusal(f"{owner}: the body must be a JSON object, got {shown(body)}; send one")
        self._left: dict[str, Any] = dict(body)

    def refuse(self, name: str, allowed: str, value: Any, remedy: str, **more: Any) -> Refusal:
        """A refusal of one field, to be raised."""
        return Refusal(f"{self.owner}: {name} must be {allowed}, got {shown(value)}; {remedy}", param=name, **more)

    def take(self, name: str) -> Any:
        """The field's value, None where it is not there or null."""
        return self._left.pop(name, None)

    def number(self, name: str, default: float, domain: Domain) -> float:
        """A number of the domain."""
        value = self.take(name)
        if value is None:
            return default
        with about(name):
            check_number(self.owner, name, value, domain)
        return int(value) if domain.whole else float(value)

    def count(self, name: str, default: int | None, low: int, high: int, remedy: str) -> int | None:
        """A whole number, None where it is left out and nothing is the default."""
        if self._left.get(name) is None:
            self.take(name)
            return default
        return int(self.number(name, 0, Domain(low, high, remedy, whole=True)))

    def switch(self, name: str) -> bool:
        """True or false; false where it is left out."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise self.refuse(name, "true or false", value, "send one of the two")
        return bool(value)

    def text(self, name: str) -> str:
        """A text that has to be there."""
        value = self.take(name)
        if not isinstance(value, str):
            raise self.refuse(name, "a text", value, "send one")
        return value

    def strings(self, name: str, most: int) -> tuple[str, ...]:
        """A text or several, none of them empty; nothing where it is left out."""
        value = self.take(name)
        found = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(found, list) or len(found) > most or not all(isinstance(one, str) and one for one in found):
            raise self.refuse(name, f"a text or a list of at most {most} texts that are not empty", value, "mend it")
        with about(name):
            check_unicode(self.owner, found)
        return tuple(found)

    def bias(self, name: str, n_tokens: int) -> dict[int, float]:
        """Nats by token id, which JSON can only write as a text."""
        value = self.take(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.refuse(name, "an object of token ids and numbers", value, 'write it like {"50": -100}')
        found = {}
        for key, amount in value.items():
            if not (key.isascii() and key.isdigit() and len(key) < 10 and int(key) < n_tokens):
                raise self.refuse(name, f"of token ids from 0 to {n_tokens - 1}", key, "look it up in the tokenizer")
            with about(name):
                check_number(self.owner, f"{name} of token {key}", amount, Domain(-100, 100, "these are nats"))
            found[int(key)] = float(amount)
        return found

    def unused(self, name: str, idle: Sequence[Any]) -> None:
        """A field that this server does not know, but for the values (null apart) with which it asks for nothing."""
        value = self.take(name)
        if value is not None and not any(type(value) is type(one) and value == one for one in idle):
            allowed = " or ".join(map(shown, idle)) or "left out"
            raise self.refuse(name, allowed, value, "this server does nothing else", code="unsupported")

    def labels(self, *names: str) -> None:
        """Fields by which a client marks its requests, and which change no answer."""
        for name in names:
            self.take(name)

    def end(self) -> None:
        """Refuse whatever was not taken."""
        for name, value in self._left.items():
            if value is not None:
                raise self.refuse(
                    shown_name(name), "left out", value, "this server knows no such field", code="unknown"
                )


def shown(value: Any) -> str:
    """A value as messages show it: cut where it is long."""
    if value is None:
        return "none"
    text = repr(value) if not (isinstance(value, float) and not math.isfinite(value)) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def shown_name(name: str) -> str:
    """A field's name, which a client chose, as a message and `param` may hold it."""
    return name[:_SHOWN].encode("ascii", "backslashreplace").decode()
