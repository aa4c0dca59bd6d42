"""A server from its start to its end: it listens, and where it is told to stop, lets answers in flight come first."""

import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from proxyalign.errors import InputError
from proxyalign.serving.server.app import Service
from proxyalign.validation import Domain, check_number

_PORTS = Domain(0, 65535, "0 is any that is free", whole=True)
_LAST_SECONDS = 1  # in which connections close once their answers have come, or been given up


class _Server(uvicorn.Server):
    """Stops at the second signal; at the first it turns new requests away, and waits `grace` seconds for the others."""

    def __init__(self, config: uvicorn.Config, service: Service, grace: float, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._grace, self._ready = service, grace, ready
        self._deadline = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._service.is_closing:
            self.should_exit = self.force_exit = True
        self._service.is_closing = True
        self._deadline = min(self._deadline, time.monotonic() + self._grace)

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to stop."""
        is_over = not self._service.n_in_flight or time.monotonic() > self._deadline
        return (self._service.is_closing and is_over) or await super().on_tick(counter)


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound there; port 0 for any that is free. Raises InputError where that cannot be."""
    check_number("serve", "port", port, _PORTS)
    try:
        where, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise InputError(
            f"serve: host must be a name or an address of this machine, got {host!r} ({error}); 127.0.0.1 is for this "
            "machine alone, 0.0.0.0 for all that reach it"
        ) from error
    try:
        there = socket.socket(where[0], socket.SOCK_STREAM)
        there.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        there.bind(where[4])
    except OSError as error:
        raise InputError(
            f"serve: host and port must be free to listen at, got {host}:{port} ({error}); choose another port, or 0"
        ) from error
    return there


def run(service: Service, there: socket.socket, *, grace: float, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT: then new requests get 503, and those in flight have `grace` seconds to end.

    ready: called once requests are taken.
    """
    config = uvicorn.Config(
        service.app(),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    _Server(config, service, grace, ready).run(sockets=[there])
