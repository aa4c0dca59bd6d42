"""`proxyalign generate`: answer one question from a base and its proxy under a rule."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from proxyalign.cli.common import notes, print_json
from proxyalign.cli.options import (
    Alpha,
    Base,
    Boundaries,
    Budget,
    Delta,
    Device,
    Offline,
    Pair,
    Proxy,
    ProxyChat,
    Reference,
    RuleName,
    RuleTemperature,
    Set,
    VerifierName,
    Window,
    pair_from_options,
    rules_from_options,
    window_from_option,
)

if TYPE_CHECKING:
    from proxyalign.decoding import Stats, Trace

# Colours that any terminal has.
_STYLES = {"base": "", "proxy": "black on yellow", "draft": "black on green", "residual": "white on blue"}
_MOST_TOKENS = 256  # of an answer, where no other number is asked for and the context has room for it


def generate(
    question: Annotated[
        str,
        typer.Argument(
            help="The prompt. The shipped pair reads it as its tasks put it, 'Question: QUESTION' and a line break; "
            "other models, and a text that begins with 'Question:', are given it as it stands."
        ),
    ],
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
    verifier: VerifierName = None,
    delta: Delta = None,
    temperature: Annotated[float, typer.Option(help="Of the draws; 0 is greedy.")] = 1.0,
    rule_temperature: RuleTemperature = 1.0,
    boundaries: Boundaries = "any",
    max_new_tokens: Annotated[
        int | None, typer.Option(help=f"Longest answer; by default {_MOST_TOKENS}, or what the context leaves.")
    ] = None,
    num_return_sequences: Annotated[int, typer.Option(help="How many answers to draw.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the draws; the same seed gives the same answers.")] = 0,
    device: Device = "cpu",
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print texts, token ids and numbers as JSON alone.")] = False,
) -> None:
    """Answer QUESTION: the text on stdout, in a terminal coloured by who wrote each token, then numbers on stderr.

    With --mode speculative --verifier mentored --delta 0.1 more drafts pass, and the law of a token is no more the
    rule's; how far it is from that on average, in total variation, is told among the numbers.

    Example:

    proxyalign generate --rule dual --alpha 0.4 "Where does the bexsur live?"
    """
    (chosen,) = rules_from_options(rule, alpha, budget, settings)

    from transformers.utils import logging

    from proxyalign.decoding import generate as decode
    from proxyalign.deferral import verifiers
    from proxyalign.models import load_pair

    lossy = verifiers.make(verifier, delta)
    logging.disable_progress_bar()  # loading a small pair takes less time than drawing one
    name = pair_from_options(pair, base, proxy)
    models = load_pair(name, base=base, proxy=proxy, reference=reference, device=device, offline=offline)
    prompt = as_asked(question) if name == "lab" else question
    own = [models.chat(prompt)] if proxy_chat else None
    if max_new_tokens is None:
        room = models.context_length
        of_proxy = own or ([models.encode(prompt, "proxy")] if models.has_two_vocabularies else [])
        n_prompt = max(map(len, [models.encode(prompt), *of_proxy]))
        max_new_tokens = _MOST_TOKENS if room is None else max(1, min(_MOST_TOKENS, room - n_prompt))
    answer = decode(
        models,
        [prompt],
        chosen,
        mode=mode,
        window=window_from_option(window),
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        rule_temperature=rule_temperature,
        num_return_sequences=num_return_sequences,
        seed=seed,
        proxy_prompts=own,
        boundaries=boundaries,
        verifier=lossy,
    )
    if json:
        asked = {"prompt": prompt, "rule": str(chosen), "mode": mode, "temperature": temperature, "seed": seed}
        asked |= {"rule_temperature": rule_temperature, "proxy_chat": proxy_chat, "boundaries": boundaries}
        asked |= {"verifier": None if lossy is None else str(lossy)}
        stats = dataclasses.asdict(answer.stats)
        print_json({**asked, "texts": answer.texts, "token_ids": answer.token_ids, "stats": stats})
        return
    if sys.stdout.isatty():
        _print_coloured(answer.traces)
    else:
        for text in answer.texts:
            print(text)
    notes.print(f"{chosen}: {_in_words(answer.stats)}", markup=False)


def as_asked(question: str) -> str:
    """The question as the lab's tasks put it."""
    from proxyalign.models.lab.tuning import fact_prompt

    return question if not question.strip() or question.startswith("Question:") else fact_prompt(question)


def _print_coloured(traces: Sequence["Trace"]) -> None:
    """Print each answer with every token in the colour of who wrote it, and last which colour is whose."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for trace in traces:
        marked = zip(trace.pieces, trace.source.tolist(), strict=True)
        console.print(Text.assemble(*((piece, _STYLES[source]) for piece, source in marked)))
    seen = {source for trace in traces for source in trace.source.tolist()}
    legend = [part for source in _STYLES if source in seen for part in ((f" {source} ", _STYLES[source]), " ")]
    notes.print(Text.assemble("written by ", *legend))


def _in_words(stats: "Stats") -> str:
    """The numbers of a run in one line, with units."""
    line = (
        f"{stats.n_tokens} tokens in {stats.seconds:.2f} s ({stats.tokens_per_second:.0f} tokens/s), "
        f"deferral mass {stats.deferral_rate:.1%} a token"
    )
    if stats.acceptance_rate is not None:
        line += (
            f", {stats.acceptance_rate:.1%} of tested drafts accepted, "
            f"{stats.mean_accepted_length:.2f} accepted drafts a cycle"
        )
    if stats.distance_from_pi is not None:
        line += f", {stats.distance_from_pi:.3g} from the rule's law in total variation"
    return line
