"""A cascade behind OpenAI's protocol in this process: the engine alone, its application, or a server that listens."""

import threading
from contextlib import contextmanager

from starlette.testclient import TestClient

from proxyalign.cli.generate import as_asked
from proxyalign.deferral import rules
from proxyalign.serving.server.app import Service
from proxyalign.serving.server.engine import Engine
from proxyalign.serving.server.prompts import Prompts
from proxyalign.serving.server.protocol import Limits, Protocol
from proxyalign.serving.server.run import listening, run

RULE = rules.Dual(0.4)
MODEL = "lab"


@contextmanager
def engine_of(pair, **settings):
    """An engine, closed at the end."""
    engine = Engine(pair, **{"rule": RULE, "max_length": pair.context_length, **settings})
    try:
        yield engine
    finally:
        engine.close()


def service_of(engine, *, proxy_chat=False, key=None, max_tokens=None, wrap=as_asked):
    """What answers requests by the engine. wrap: of a question; None for the proxy's template."""
    prompts = Prompts(engine.pair, proxy_chat=proxy_chat, as_asked=wrap)
    limits = Limits(MODEL, engine.max_length, max_tokens or engine.max_length - 1, engine.queue)
    return Service(engine, Protocol(engine.pair, prompts, limits), key=key)


@contextmanager
def client_of(pair, **settings):
    """A test client of the application, without a network."""
    own = {name: settings.pop(name) for name in ("proxy_chat", "key", "max_tokens", "wrap") if name in settings}
    with engine_of(pair, **settings) as engine:
        yield TestClient(service_of(engine, **own).app(), raise_server_exceptions=False)


@contextmanager
def url_of(service):
    """The address of a server that listens, and takes requests until the end."""
    there, is_ready = listening("127.0.0.1", 0), threading.Event()
    thread = threading.Thread(target=run, args=(service, there), kwargs={"grace": 60.0, "ready": is_ready.set})
    thread.start()
    try:
        assert is_ready.wait(60)
        yield f"http://127.0.0.1:{there.getsockname()[1]}/v1"
    finally:
        service.is_closing = True
        thread.join()
