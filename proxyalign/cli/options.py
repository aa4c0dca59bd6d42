"""Options that several commands take: which models, which rule, and how its parameters are read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from proxyalign.errors import InputError

if TYPE_CHECKING:
    from proxyalign.deferral.rules import Rule

RuleName = Annotated[str, typer.Option(help="never, always, dual, primal, nudging, ...; all: proxyalign rules")]
Alpha = Annotated[float | None, typer.Option(help="The rule's alpha, mostly a threshold; the same as --set alpha=...")]
Budget = Annotated[float | None, typer.Option(help="The rule's budget of deferral mass a step, in [0, 1].")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Any parameter of the rule, as in k=50; once for each.")]
Pair = Annotated[str | None, typer.Option(help="lab, the default, smol, gemma-smol, or a folder with base/ and proxy/")]
Base = Annotated[str | None, typer.Option(help="The base, in place of --pair: a hub name or a folder; needs --proxy.")]
Proxy = Annotated[str | None, typer.Option(help="The proxy, in place of --pair: a hub name or a folder; needs --base.")]
Reference = Annotated[str | None, typer.Option(help="The proxy before alignment, for the rules that need q0.")]
ProxyChat = Annotated[
    bool, typer.Option("--proxy-chat", help="The proxy reads the prompt in its chat template, the base as it stands.")
]
BaseChat = Annotated[
    bool,
    typer.Option(
        "--base-chat", help="The base reads the prompt in the proxy's chat template too, as the authors have it."
    ),
]
Device = Annotated[str, typer.Option(help="Where the models run, as torch names it.")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no hub for models.")]

RuleTemperature = Annotated[
    float, typer.Option(help="Of the laws that the rule reads; leave it, but to reproduce code that tempers first.")
]
Window = Annotated[str, typer.Option(help="Drafts per cycle in speculative mode: a number, or auto.")]
VerifierName = Annotated[
    str | None,
    typer.Option("--verifier", help="Lossy test of drafts in speculative mode: cactus or mentored; needs --delta."),
]
Delta = Annotated[float | None, typer.Option(help="How much the verifier may change, at least 0, where 0 is exact.")]

Boundaries = Annotated[
    str, typer.Option(help="Where the rule may change hands: any (token), or word: inside one, who wrote last goes on.")
]

_OWN = ("alpha", "budget")  # the parameters with an option of their own


def pair_from_options(pair: str | None, base: str | None, proxy: str | None) -> str | None:
    """The name of the pair that is asked for, the lab's where nothing is; None where --base and --proxy are given."""
    return "lab" if pair is None and base is None and proxy is None else pair


def rules_from_options(
    name: str, alpha: float | None, budget: float | None, settings: Sequence[str] | None, grid: str | None = None
) -> list["Rule"]:
    """The rules called `name` that the options ask for: one, or one for each value of the grid, in its order.

    settings: texts `parameter=value`; grid: `parameter=value,value,...`. Raises InputError for a text of another form,
    a parameter that is given twice, and what the rule itself refuses.
    """
    from proxyalign.deferral.rules import make

    given = {key: value for key, value in zip(_OWN, (alpha, budget), strict=True) if value is not None}
    for text in settings or ():
        parameter, values = _read("--set", text, "k=50", most=1)
        _check_once(parameter, given, f"--set {text}")
        given[parameter] = values[0]
    if grid is None:
        return [make(name, **given)]
    parameter, values = _read("--grid", grid, "alpha=0.2,0.4")
    _check_once(parameter, given, f"--grid {grid}")
    return [make(name, **given, **{parameter: value}) for value in values]


def rules_at(names: str, **settings: float) -> list["Rule"]:
    """The rules of these names, with commas, each with those of the settings that it takes.

    Raises InputError for another name, and for a rule that takes none of them or needs more.
    """
    import inspect

    from proxyalign.deferral.rules import REGISTRY, make

    rules = []
    for name in filter(None, map(str.strip, names.split(","))):
        takes = inspect.signature(REGISTRY[name]).parameters if name in REGISTRY else settings
        rules.append(make(name, **{key: value for key, value in settings.items() if key in takes}))
    return rules


def window_from_option(window: str) -> int | Literal["auto"]:
    """The drafts a cycle that `--window` asks for. Raises InputError for another word."""
    if window == "auto":
        return "auto"
    try:
        return int(window)
    except ValueError as error:
        raise InputError(
            f"--window must be a whole number of at least 1, or auto, got {window!r}; 5 is usual"
        ) from error


def as_options(rule: "Rule") -> str:
    """The options that ask for `rule`."""
    named = (f"--{key} {value}" if key in _OWN else f"--set {key}={value}" for key, value in rule.parameters().items())
    return " ".join([f"--rule {rule.name}", *named])


def _read(option: str, text: str, example: str, most: int | None = None) -> tuple[str, list[float]]:
    """Read `parameter=value,value,...`; InputError without a parameter, or with values that are none or too many."""
    parameter, _, values = text.partition("=")
    try:
        numbers = [float(value) for value in values.split(",")]
    except ValueError:
        numbers = []
    if not parameter.strip() or not numbers or len(numbers) > (most or len(numbers)):
        what = "a number" if most == 1 else "numbers with commas"
        raise InputError(f"{option} must look like {example} (a parameter, =, {what}), got {text!r}")
    return parameter.strip(), numbers


def _check_once(parameter: str, given: dict[str, float], option: str) -> None:
    if parameter in given:
        raise InputError(
            f"rules: {parameter} must be given once, got '{option}' beside {parameter} = {given[parameter]:g}; "
            "drop one of the two"
        )
