"""The application: which paths there are, who may ask, and how each way to fail is told."""

import hmac
import time
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proxyalign.serving.server import protocol
from proxyalign.serving.server.answers import Answers
from proxyalign.serving.server.connection import EventStream, Gone, body_of, refused, while_there
from proxyalign.serving.server.engine import Engine
from proxyalign.serving.server.refusal import Refusal, refusal_of

_HUNG_UP = 499  # nobody reads it; nginx logs a client that has gone like this


class Service:
    """A pair behind OpenAI's protocol.

    key: what clients have to send as a bearer token; None for no such thing. is_closing: new requests are turned away,
    and those in flight, `n_in_flight`, go on.
    """

    def __init__(self, engine: Engine, reader: protocol.Protocol, *, key: str | None = None) -> None:
        self._engine, self._reader, self._key = engine, reader, key
        self._started = int(time.time())
        self.is_closing = False
        self.n_in_flight = 0

    def app(self) -> Starlette:
        """The ASGI application."""
        of_kind = {"completions": self._reader.completion, "chat/completions": self._reader.chat}
        routes = [Route("/health", self._health), Route("/v1/models", self._models)]
        routes.append(Route("/v1/models/{name:path}", self._model))
        routes += [Route(f"/v1/{path}", self._answering(read), methods=["POST"]) for path, read in of_kind.items()]
        failures: dict[Any, Any] = {Refusal: _told, HTTPException: _no_route, Exception: _defect}
        failures |= dict.fromkeys((Gone, ClientDisconnect), _gone)
        return Starlette(routes=routes, exception_handlers=failures)

    async def _health(self, _: Request) -> Response:
        engine = self._engine
        state = "closing" if self.is_closing else "ok"
        found = {"status": state, "running": engine.n_running, "waiting": engine.n_waiting}
        return JSONResponse(found, 503 if self.is_closing else 200)

    async def _models(self, request: Request) -> Response:
        self._check_key(request)
        return JSONResponse({"object": "list", "data": [self._card()]})

    async def _model(self, request: Request) -> Response:
        self._check_key(request)
        self._reader.check_model(request.path_params["name"])
        return JSONResponse(self._card())

    def _card(self) -> dict[str, Any]:
        limits = self._reader.limits
        card = {"id": limits.model, "object": "model", "created": self._started, "owned_by": "proxyalign"}
        return {**card, "max_model_len": limits.max_length}

    def _answering(self, read: Callable[[Any], protocol.Request]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            self._check_key(request)
            if self.is_closing:
                raise Refusal(
                    "serve: requests must come while the server runs, got one as it stops; ask again elsewhere",
                    status=503,
                    code="closing",
                    retry_after=1,
                )
            asked = read(await body_of(request))
            answers = Answers(self._engine, asked, self._reader.limits.model)
            if asked.is_stream:
                return _Counted(self, EventStream(answers.chunks()))
            with _InFlight(self):
                return JSONResponse(await while_there(request.receive, answers.whole()))

        return answer

    def _check_key(self, request: Request) -> None:
        if self._key is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._key.encode()):
            raise Refusal(
                "serve: requests must bring the server's key, got none or another; send the header "
                "'Authorization: Bearer KEY'",
                status=401,
                code="invalid_api_key",
            )


class _InFlight:
    """A request that is being answered."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __enter__(self) -> None:
        self._service.n_in_flight += 1

    def __exit__(self, *_: object) -> None:
        self._service.n_in_flight -= 1


class _Counted(Response):
    """An answer that is in flight until all of it has been sent."""

    def __init__(self, service: Service, response: Response) -> None:
        super().__init__()
        self._service, self._response = service, response

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        with _InFlight(self._service):
            await self._response(scope, receive, send)


async def _told(_: Request, refusal: Exception) -> Response:
    return refused(refusal_of(refusal))


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    what = f"got {request.method} {request.url.path[:100]!r}"
    if status == 405:
        message = f"serve: this path takes another method, {what}; see the protocol"
    else:
        message = (
            f"serve: the path must be /v1/models, /v1/completions, /v1/chat/completions or /health, {what}; ask there"
        )
    return refused(Refusal(message, status=status))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=_HUNG_UP)


async def _defect(_: Request, error: Exception) -> Response:
    return refused(refusal_of(error))
