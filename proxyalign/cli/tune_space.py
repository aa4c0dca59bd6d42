"""How `proxyalign tune` reads what to choose among: rules, ranges or lists of values, windows and temperatures."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from proxyalign.errors import InputError

if TYPE_CHECKING:
    from proxyalign.evaluation.tuning.space import Setting, Space
    from proxyalign.evaluation.tuning.under_guarantee import Promises

T = TypeVar("T")
RANGE = "0.05:0.95"  # of alpha and of budget, where nothing else is asked for
_STEPS = 100  # of a range in a search: fine enough, and coarse enough for a setting to come again


def space_from_options(
    rules: str | None,
    ranges: dict[str, str | None],
    windows: str | None,
    temperatures: str,
    *,
    n_values: int,
    asked: "Promises | None",
    is_timed: bool,
) -> "Space":
    """The space that the options ask for. ranges: --alpha and --budget. n_values: of a range, under a guarantee.

    Raises InputError for a text of another form, a range that no rule takes, and what `Space` refuses.
    """
    from proxyalign.evaluation.tuning.space import Space, leading_parameter

    names = _listed("--rules", ("dual,primal" if asked is None else "dual") if rules is None else rules, str)
    taken = {leading_parameter(name) for name in names}
    values: dict[str, tuple[float, ...]] = {}
    for parameter, text in ranges.items():
        if text is not None and parameter not in taken:
            raise InputError(
                f"tune: --{parameter} must be a parameter of one of the rules, got {', '.join(names)}; drop it"
            )
        values[parameter] = ()
        if parameter in taken:
            n = _STEPS + 1 if asked is None else n_values
            values[parameter] = _values(f"--{parameter}", RANGE if text is None else text, n)
    if asked is not None and asked.harm is None:
        if ranges["alpha"] is not None:
            raise InputError(
                f"tune: --alpha must be left out where tv alone is promised, which gives it, got {ranges['alpha']!r}; "
                "drop it"
            )
        values["alpha"] = (0.0,)
    if windows is None:
        windows = "0,1,3,5" if is_timed else "0"
    return Space(
        rules=names,
        alpha=values["alpha"],
        budget=values["budget"],
        windows=_listed("--windows", windows, int),
        temperatures=_listed("--temperatures", temperatures, float),
    )


def reference_from_option(text: str, space: "Space") -> "Setting | None":
    """The setting that harm is measured against: `NAME` or `NAME:PARAMETER=VALUE`, decoded as the space's first.

    None for the base alone. Raises InputError for a text of another form, and what the rule refuses.
    """
    from proxyalign.evaluation.tuning.space import Setting, leading_parameter

    name, _, given = text.partition(":")
    if text == "never":
        return None
    wanted = leading_parameter(name)
    parameter, _, value = given.partition("=")
    if parameter != (wanted or ""):
        form = name if wanted is None else f"{name}:{wanted}=0.1"
        raise InputError(f"tune: --reference-rule must look like {form}, got {text!r}; give what the rule takes")
    number = None if wanted is None else _number("--reference-rule", value, float)
    setting = Setting(name, number, space.windows[0], space.temperatures[0])
    setting.made()
    return setting


def _values(option: str, text: str, n: int) -> tuple[float, ...]:
    """The values that LOW:HIGH, cut into n, or a list with commas asks for, rising."""
    from proxyalign.evaluation.tuning.space import spaced

    if ":" in text:
        low, _, high = text.partition(":")
        return spaced(_number(option, low, float), _number(option, high, float), n)
    return tuple(sorted(_listed(option, text, float)))


def _listed(option: str, text: str, kind: Callable[[Any], T]) -> tuple[T, ...]:
    """The values of a list with commas, each once. Raises InputError for one that is none of its kind."""
    return tuple(dict.fromkeys(_number(option, part.strip(), kind) for part in text.split(",") if part.strip()))


def _number(option: str, text: str, kind: Callable[[Any], T]) -> T:
    try:
        return kind(text)
    except ValueError:
        form = "whole numbers" if kind is int else "numbers"
        raise InputError(
            f"{option} must be {form} with commas, or LOW:HIGH for a parameter, got {text!r}; 0.1,0.2 and 0.05:0.9 are "
            "such texts"
        ) from None
