"""A base that someone else serves: where it is, how it is called there, and what goes wrong with it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from proxyalign.errors import InputError
from proxyalign.validation import Domain, check_number

if TYPE_CHECKING:
    from proxyalign.decoding.generate import Generation
    from proxyalign.decoding.trace import Trace

_SECONDS = Domain(1e-3, 1e6, "pass a number of seconds")


class ServerError(InputError):
    """A server that cannot be used, or is gone for longer than one waits for it.

    traces: of the sequences that had ended by then, by index; partial: of those that had begun, as far as they came.
    Both are taken up again where the error is passed as `resume`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.traces: Mapping[int, Trace] = {}
        self.partial: Mapping[int, Trace] = {}


@dataclass(frozen=True, eq=False)
class ServedBase:
    """A base language model behind an OpenAI-compatible server with `/v1/completions` and log-probabilities.

    url: of the server, with or without /v1. model: its name there. tokenizer: the base's own. With it the server is
    sent token ids, so that it reads what it wrote, token for token, and the cascade is that of the same base here
    (statement 16); without it the server is sent text, which it encodes anew at each request, the base's context is
    this encoding, and a character of several tokens is kept or handed over as a whole.

    api_key_env: the environment variable that holds the key, where the server asks for one. It is read when a request
    is made, and kept nowhere. timeout: seconds without a byte after which a request has failed. patience: seconds
    during which failed requests are repeated, with growing pauses, before an error is raised.

    Raises InputError for a url that is none, or that carries a password.
    """

    url: str
    model: str
    tokenizer: Any = field(default=None, repr=False)
    api_key_env: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    patience: float = 300.0

    def __post_init__(self) -> None:
        parts = _parts(self.url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"ServedBase: url must be that of a server, got {self.url!r}; pass one such as http://localhost:8000/v1"
            )
        if parts.password or parts.username:
            raise InputError(
                f"ServedBase: url must carry no user or password, got one for {parts.hostname}; put the key into the "
                f"environment variable {self.api_key_env}"
            )
        for name in ("model", "api_key_env"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InputError(f"ServedBase: {name} must be a name, got {getattr(self, name)!r}; write it as a text")
        for name in ("timeout", "patience"):
            check_number("ServedBase", name, getattr(self, name), _SECONDS)

    def beside(self, tokenizer: Any) -> "ServedBase":
        """The same base with its tokenizer known, if it was not."""
        return self if self.tokenizer is not None else replace(self, tokenizer=tokenizer)

    def answer(self, pair: Any, prompts: Any, rule: Any, **settings: Any) -> "Generation":
        """Answer prompts with the proxy of this pair: what `generate` makes of them, and `resume` (`decode_served`)."""
        from proxyalign.serving.decode import decode_served

        return decode_served(self, pair.proxy, pair.tokenizer_of("proxy"), prompts, rule, **settings)

    @property
    def root(self) -> str:
        """The server's address, without /v1."""
        return self.url.rstrip("/").removesuffix("/v1")

    @property
    def api_key(self) -> str | None:
        """The key, from the environment, without white space around it; None where there is none.

        Raises InputError, which does not tell it, for one that no header can carry.
        """
        key = os.environ.get(self.api_key_env, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise InputError(
                f"ServedBase: the environment variable {self.api_key_env} must hold a key of printable ASCII, got "
                "other characters; copy the key again"
            )
        return key or None


def _parts(url: Any) -> SplitResult | None:
    """The parts of a url; None for what is none, such as one whose port is no number."""
    if not isinstance(url, str) or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  which is looked at when it is asked for
        (parts.hostname or "").encode("idna")
    except ValueError:
        return None
    return parts
