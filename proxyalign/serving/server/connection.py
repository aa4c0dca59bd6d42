"""One connection: its body read within limits, its client watched while it waits, and events sent as they come."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from proxyalign.files import no_number
from proxyalign.serving.server.refusal import Refusal, refusal_of

MOST_BYTES = 4 << 20  # of a body
_SECONDS = 30.0  # for a body to come

T = TypeVar("T")


class Gone(Exception):
    """The client has hung up."""


def refused(refusal: Refusal) -> JSONResponse:
    """The HTTP answer that tells it."""
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(refusal.body(), refusal.status, headers)


async def body_of(request: Request) -> Any:
    """The JSON of a request. Raises Refusal for what is none, is not said to be, is too long or too slow to come."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":  # which pages in a browser cannot send to another origin unasked
        raise Refusal(
            f"serve: the content type must be application/json, got {kind[:60]!r}; send that header", status=415
        )
    parts, n = [], 0
    try:
        async with asyncio.timeout(_SECONDS):
            async for part in request.stream():
                parts.append(part)
                n += len(part)
                if n > MOST_BYTES:
                    raise Refusal(
                        f"serve: the body must have at most {MOST_BYTES} bytes, got more; send less", status=413
                    )
    except TimeoutError:
        raise Refusal(f"serve: the body must come within {_SECONDS:g} s, got a part of it", status=408) from None
    try:
        return json.loads(b"".join(parts), parse_constant=no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"serve: the body must be JSON in UTF-8, got something else ({error}); mend it") from None


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else no_number(digits[:20])


async def while_there(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Do the work for as long as the client is there: `Gone` where it hangs up, and the work is cancelled."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Objects sent as server-sent events while they come, and `[DONE]` after the last.

    The first is waited for before anything is sent, so that a refusal has a status of its own; a later one is an event.
    """

    def __init__(self, events: AsyncGenerator[Mapping[str, Any]]) -> None:
        super().__init__(media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events; stop where the client has gone."""
        with suppress(Gone):
            await while_there(receive, self._send_all(scope, receive, send))

    async def _send_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    if not has_begun:
                        await self._begin(send)
                        has_begun = True
                    await self._send(send, json.dumps(event, allow_nan=False))
        except Refusal as refusal:
            if not has_begun:
                await refused(refusal)(scope, receive, send)
                return
            await self._send(send, json.dumps(refusal.body()))
        except Exception as error:  # a defect: the client is told that there was one, and the server tells which
            if has_begun:
                await self._send(send, json.dumps(refusal_of(error).body()))
            raise
        await self._send(send, "[DONE]")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _send(self, send: Send, text: str) -> None:
        await send({"type": "http.response.body", "body": f"data: {text}\n\n".encode(), "more_body": True})
