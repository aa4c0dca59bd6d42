"""What a server says where it cannot do as it was asked: a status, and a sentence in the shape of OpenAI's errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from proxyalign.errors import InputError

_TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}


class Refusal(InputError):
    """A request that is not answered.

    status: of the HTTP answer. param: the field of the request that is at fault, if it is one. code: a word for
    programs. retry_after: seconds after which to ask again, where that may help.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.retry_after = status, param, code, retry_after

    def body(self) -> dict[str, Any]:
        """As it is sent."""
        kind = _TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


@contextmanager
def about(param: str) -> Iterator[None]:
    """Turn an InputError into a refusal of this field."""
    try:
        yield
    except Refusal:
        raise
    except InputError as error:
        raise Refusal(str(error), param=param) from error


def refusal_of(error: BaseException) -> Refusal:
    """What to tell of an error that came up while a request was answered; no more than its kind where it is ours."""
    if isinstance(error, Refusal):
        return error
    said = str(error) if isinstance(error, InputError) else f"the engine failed with {type(error).__name__}"
    return Refusal(f"serve: this answer could not be finished: {said}", status=500, code="engine_error")
