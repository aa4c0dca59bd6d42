"""`proxyalign serve`: a cascade behind OpenAI's protocol, for chat clients and lm-eval's local-completions."""

import math
import os
from pathlib import Path
from typing import Annotated

import typer

from proxyalign.cli.common import notes, print_json
from proxyalign.cli.generate import as_asked
from proxyalign.cli.options import (
    Alpha,
    Base,
    Boundaries,
    Budget,
    Device,
    Offline,
    Pair,
    Proxy,
    ProxyChat,
    Reference,
    RuleName,
    RuleTemperature,
    Set,
    Window,
    pair_from_options,
    rules_from_options,
    window_from_option,
)
from proxyalign.errors import InputError
from proxyalign.validation import Domain, check_number

KEY = "PROXYALIGN_API_KEY"
_LONGEST = 4096  # tokens of a prompt and its answer, where the context is longer and no other number is asked for
_LONGEST_ANSWER = 1024


def serve(
    rule: RuleName,
    alpha: Alpha = None,
    budget: Budget = None,
    settings: Set = None,
    pair: Pair = None,
    base: Base = None,
    proxy: Proxy = None,
    reference: Reference = None,
    proxy_chat: ProxyChat = False,
    mode: Annotated[
        str, typer.Option(help="autoregressive or speculative, which changes the speed and not the law.")
    ] = "autoregressive",
    window: Window = "5",
    rule_temperature: RuleTemperature = 1.0,
    boundaries: Boundaries = "any",
    host: Annotated[str, typer.Option(help="Where to listen; by default this machine alone can ask.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free.")] = 8000,
    batch_size: Annotated[int, typer.Option(help="Sequences decoded together.")] = 16,
    queue: Annotated[int, typer.Option(help="Sequences that may wait; beyond that clients are told 429.")] = 128,
    max_length: Annotated[
        int | None,
        typer.Option(
            help=f"Longest prompt with its answer, in tokens; by default the context, but {_LONGEST} at most."
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help=f"Longest answer; by default {_LONGEST_ANSWER}, or what the longest text leaves.")
    ] = None,
    grace: Annotated[
        float, typer.Option(help="Seconds that answers in flight have once the server is stopped.")
    ] = 30.0,
    device: Device = "cpu",
    offline: Offline = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print address, model and limits as JSON, once it listens.")
    ] = False,
) -> None:
    """Serve /v1/completions, /v1/chat/completions and /v1/models until SIGTERM or Ctrl-C; /health tells how it is.

    With PROXYALIGN_API_KEY in the environment clients must send that key as a bearer token.

    Example: proxyalign serve --rule dual --alpha 0.4 --port 8000
    """
    (chosen,) = rules_from_options(rule, alpha, budget, settings)
    drafts = window_from_option(window)
    check_number("serve", "grace", grace, Domain(0.0, math.inf, "0 waits for nobody"))
    try:
        from proxyalign.serving.server.run import listening, run
    except ImportError as error:
        raise InputError(
            f"serve: starlette and uvicorn must be installed, got no {error.name}; run pip install 'proxyalign[serve]'"
        ) from error
    there = listening(host, port)  # before models are loaded, which takes long

    from transformers.utils import logging

    from proxyalign.models import load_pair
    from proxyalign.serving.server.app import Service
    from proxyalign.serving.server.engine import Engine
    from proxyalign.serving.server.prompts import Prompts
    from proxyalign.serving.server.protocol import Limits, Protocol

    logging.disable_progress_bar()
    name = pair_from_options(pair, base, proxy)
    models = load_pair(name, base=base, proxy=proxy, reference=reference, device=device, offline=offline)
    room = models.context_length
    longest = min(room or _LONGEST, _LONGEST) if max_length is None else max_length
    check_number("serve", "max_length", longest, Domain(2, room or math.inf, "the models have no more", whole=True))
    longest_answer = min(_LONGEST_ANSWER, longest - 1) if max_tokens is None else max_tokens
    check_number("serve", "max_tokens", longest_answer, Domain(1, longest - 1, "a prompt needs a token", whole=True))
    model = name.rstrip("/").rsplit("/", 1)[-1] if name else f"{_short(base)}+{_short(proxy)}"
    limits = Limits(model, max_length=longest, max_tokens=longest_answer, n_sequences=queue)
    prompts = Prompts(models, proxy_chat=proxy_chat, as_asked=as_asked if name == "lab" else None)
    engine = Engine(
        models,
        chosen,
        mode=mode,
        window=drafts,
        rule_temperature=rule_temperature,
        boundaries=boundaries,
        batch_size=batch_size,
        queue=queue,
        max_length=longest,
    )
    service = Service(engine, Protocol(models, prompts, limits), key=os.environ.get(KEY))
    where = f"[{host}]" if ":" in host else host
    url = f"http://{where}:{there.getsockname()[1]}/v1"

    def ready() -> None:
        if json:
            print_json({"url": url, "model": limits.model, "rule": str(chosen), "max_length": longest})
            return
        notes.print(f"{limits.model} under {chosen} at {url}; Ctrl-C stops it", markup=False)

    run(service, there, grace=grace, ready=ready)
    engine.close()


def _short(source: str | None) -> str:
    return Path(source or "").name
