"""Requests to a server: streams and plain answers, repeated while it is busy or away, errors told in one sentence."""

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from proxyalign.serving.base import ServedBase, ServerError

_RETRIED = (408, 409, 425, 429)  # and all from 500 on
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 20.0  # seconds
_SHOWN = 300  # characters of what a server says


class Setback(Exception):
    """A request that failed in a way which may pass. seconds: how long the server asks to be left alone."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class Stopped(Exception):
    """What ends a thread whose work is no longer wanted."""


class Client:
    """A server of a base, with a pool of connections for as many threads as there are. A context manager.

    stop: set it, and requests that wait end with `Stopped`.
    """

    def __init__(self, base: ServedBase, n_connections: int) -> None:
        self.base = base
        self.stop = threading.Event()
        limits = httpx.Limits(max_connections=n_connections, max_keepalive_connections=n_connections)
        timeout = httpx.Timeout(base.timeout, connect=min(10.0, base.timeout), pool=None)
        self._http = httpx.Client(timeout=timeout, limits=limits)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        """What a GET of this path answers, as JSON; None where there is no such path."""
        patience = Patience(self)
        while True:
            try:
                with self._meeting_setbacks():
                    response = self._http.get(self.base.root + path, headers=self._headers())
                    if response.status_code in (404, 405, 501):
                        return None
                    self._check(response)
                    return _parsed(response.content)
            except Setback as setback:
                patience.wait(setback)

    def complete(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The choices of a completion that comes in one piece."""
        patience = Patience(self)
        while True:
            try:
                with self._meeting_setbacks():
                    response = self._http.post(self._completions, json=dict(body), headers=self._headers())
                    self._check(response)
                    return self._choices(_parsed(response.content))
            except Setback as setback:
                patience.wait(setback)

    @contextmanager
    def stream(self, body: Mapping[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
        """The choices of a completion as they come; at the context's end the server is left, wherever it is.

        Raises Setback where the answer breaks off; what came before it is good.
        """
        asked = {**body, "stream": True}
        request = self._http.build_request("POST", self._completions, json=asked, headers=self._headers())
        with self._meeting_setbacks():
            response = self._http.send(request, stream=True)
            try:
                if response.status_code != 200:
                    response.read()
                    self._check(response)
                if response.headers.get("content-type", "").startswith("application/json"):  # it streams nothing
                    yield iter(self._choices(_parsed(response.read())))
                else:
                    yield self._events(response)
            finally:
                with suppress(httpx.HTTPError):  # what was read stays good
                    response.close()

    def _events(self, response: httpx.Response) -> Iterator[dict[str, Any]]:
        """The choices in a stream of server-sent events."""
        is_over = False
        for line in response.iter_lines():
            if self.stop.is_set():
                raise Stopped
            if not line.startswith("data:"):
                continue
            data = line.removeprefix("data:").strip()
            if data == "[DONE]":
                return
            for choice in self._choices(_parsed(data)):
                is_over = is_over or choice.get("finish_reason") is not None
                yield choice
        if not is_over:
            raise Setback("the connection was closed in the middle of an answer")

    @property
    def _completions(self) -> str:
        return f"{self.base.root}/v1/completions"

    def _headers(self) -> dict[str, str]:
        key = self.base.api_key
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    @contextmanager
    def _meeting_setbacks(self) -> Iterator[None]:
        """Tell what may pass, of all that goes wrong on the way, by a Setback."""
        if self.stop.is_set():
            raise Stopped
        try:
            yield
        except (httpx.RequestError, httpx.StreamError) as error:
            raise Setback(f"{type(error).__name__}: {self._hidden(str(error))}".rstrip(": ")) from None

    def _check(self, response: httpx.Response) -> None:
        """Raise Setback or ServerError for an answer that is an error."""
        status = response.status_code
        if status == 200:
            return
        said = self._hidden(_message(response))
        if status in _RETRIED or status >= 500:
            raise Setback(f"{status}: {said}", _seconds(response.headers.get("retry-after")))
        remedy = {
            401: f"put its key into the environment variable {self.base.api_key_env}",
            403: f"put a key that may use the model into the environment variable {self.base.api_key_env}",
            404: "check the url, and the model's name",
        }.get(status, "change what it names, or ask whoever runs the server")
        raise ServerError(
            f"ServedBase: {self.base.root} must take the request for {self.base.model}, got {status} ({said}); {remedy}"
        )

    def _choices(self, answer: Any) -> list[dict[str, Any]]:
        error = answer.get("error") if isinstance(answer, dict) else None
        if error:
            code = error.get("code") if isinstance(error, dict) else None
            said = self._hidden(str(error.get("message", error) if isinstance(error, dict) else error)[:_SHOWN])
            if isinstance(code, int) and 400 <= code < 500 and code not in _RETRIED:
                raise ServerError(
                    f"ServedBase: {self.base.root} must take the request for {self.base.model}, got {code} ({said}); "
                    "change what it names, or ask whoever runs the server"
                )
            raise Setback(said)
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list):
            raise ServerError(
                f"ServedBase: {self.base.root} must answer with choices, as OpenAI's completions do, got "
                f"{self._hidden(str(answer)[:_SHOWN])!r}; check the url"
            )
        return [choice for choice in choices if isinstance(choice, dict)]

    def _hidden(self, text: str) -> str:
        """The text, on one line, without the key, which some servers repeat."""
        key = self.base.api_key
        return " ".join((text.replace(key, "...") if key else text).split())


class Patience:
    """How long a request is repeated: for `patience` seconds of its base since it last went well."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jitter = random.Random()  # of its own: no draw of the user's moves on
        self.reset()

    def reset(self) -> None:
        """Begin anew: the server has answered."""
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def wait(self, setback: Setback) -> None:
        """Wait before the next attempt, twice as long each time and by chance somewhat less, or raise ServerError."""
        now, base = time.monotonic(), self._client.base
        if self._since is None:
            self._since = now
        if now - self._since >= base.patience:
            raise ServerError(
                f"ServedBase: {base.root} must answer within {base.patience:g} seconds, got {setback}; start it again, "
                "or check the url"
            ) from setback
        pause = max(self._pause * self._jitter.uniform(0.5, 1.0), setback.seconds)
        self._pause = min(2.0 * self._pause, _LONGEST_PAUSE)
        if self._client.stop.wait(min(pause, max(0.0, self._since + base.patience - now) + 1e-3)):
            raise Stopped


def _parsed(content: bytes | str) -> Any:
    """JSON; what is none was cut off."""
    try:
        return json.loads(content)
    except ValueError:
        raise Setback("an answer that is no JSON") from None


def _message(response: httpx.Response) -> str:
    """What a server says of an error, where it says it as most do; else the beginning of its answer."""
    try:
        body = response.json()
    except ValueError:
        return response.text[:_SHOWN]
    error = body.get("error", body) if isinstance(body, dict) else body
    said = error.get("message", error) if isinstance(error, dict) else error
    return str(said)[:_SHOWN]


def _seconds(retry_after: str | None) -> float:
    """What a Retry-After header asks for, where it is a number of seconds."""
    try:
        return max(0.0, float(retry_after or 0.0))
    except ValueError:
        return 0.0
