"""What is searched: rules with a leading parameter, windows and temperatures; and one setting out of these."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxyalign.errors import InputError
from proxyalign.validation import check_count

if TYPE_CHECKING:
    from proxyalign.deferral.rules import Rule

PARAMETERS = ("alpha", "budget")  # the leading parameters that can be tuned
TOKEN_BY_TOKEN = 0  # the window of autoregressive decoding


@dataclass(frozen=True)
class Setting:
    """One way to decode: a rule by its registered name with its leading parameter, None where it has none.

    window: drafts a cycle, 0 for token by token. temperature: of the draws.
    """

    rule: str
    parameter: float | None
    window: int = TOKEN_BY_TOKEN
    temperature: float = 1.0

    @property
    def parameters(self) -> dict[str, float]:
        """What the rule is made with."""
        name = leading_parameter(self.rule)
        return {} if name is None or self.parameter is None else {name: self.parameter}

    def made(self) -> "Rule":
        """The rule itself. Raises InputError for a parameter out of its domain."""
        from proxyalign.deferral import rules

        return rules.make(self.rule, **self.parameters)

    @property
    def how(self) -> dict[str, Any]:
        """Mode, window and temperature, as `evaluation.Settings` names them."""
        mode = "speculative" if self.window else "autoregressive"
        return {"mode": mode, "window": self.window or 1, "temperature": self.temperature}

    def __str__(self) -> str:
        cycle = f"{self.window} drafts a cycle" if self.window else "token by token"
        return f"{str(self.made()).removesuffix('()')}, {cycle}, temperature {self.temperature:g}"


@dataclass(frozen=True)
class Space:
    """The settings to choose among: every rule, with every value of its parameter, at every window and temperature.

    alpha, budget: values in rising order, for the rules that take the one or the other. Raises InputError for an
    unknown rule, one that needs other parameters, values out of a rule's domain, and an axis without a value.
    """

    rules: tuple[str, ...]
    alpha: tuple[float, ...]
    budget: tuple[float, ...]
    windows: tuple[int, ...] = (TOKEN_BY_TOKEN,)
    temperatures: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name in ("rules", "windows", "temperatures"):
            if not getattr(self, name):
                raise InputError(f"tune: {name} must hold at least one value, got none; pass some")
        for window in self.windows:
            check_count("tune", "windows", window, least=TOKEN_BY_TOKEN)
        for rule in self.rules:
            if not self.values(rule):
                raise InputError(f"tune: {leading_parameter(rule)} must hold values for {rule}, got none; pass some")
        for setting in self.settings():
            setting.made()

    def values(self, rule: str) -> tuple[float | None, ...]:
        """The values of the rule's leading parameter; one None where it has none."""
        name = leading_parameter(rule)
        return (None,) if name is None else tuple(getattr(self, name))

    def settings(self) -> Iterator[Setting]:
        """All settings, each rule's parameter rising fastest."""
        for temperature in self.temperatures:
            for window in self.windows:
                for rule in self.rules:
                    for value in self.values(rule):
                        yield Setting(rule, value, window, temperature)


def leading_parameter(rule: str) -> str | None:
    """What is tuned of the rule called so: "alpha", "budget" or, where it needs none, None.

    Raises InputError for an unknown rule, and one that needs another parameter.
    """
    from proxyalign.deferral.rules import REGISTRY

    if rule not in REGISTRY:
        raise InputError(f"tune: rules must be among {', '.join(REGISTRY)}, got {rule!r}; choose of these")
    wanted = inspect.signature(REGISTRY[rule]).parameters
    needed = [name for name, one in wanted.items() if one.default is inspect.Parameter.empty]
    if not needed:
        return None
    if len(needed) > 1 or needed[0] not in PARAMETERS:
        raise InputError(
            f"tune: rules must need alpha or budget or nothing, got {rule}, which needs {' and '.join(needed)}; "
            "compare its values with proxyalign evaluate --grid"
        )
    return needed[0]


def spaced(low: float, high: float, n: int) -> tuple[float, ...]:
    """n values from low to high, evenly spaced, to six digits so that folders have short names; one where low is high.

    Raises InputError where low is above high.
    """
    if not low <= high:
        raise InputError(f"tune: a range must run from low to high, got {low:g}:{high:g}; swap its ends")
    if low == high or n == 1:
        return (low,)
    return tuple(float(f"{low + i * (high - low) / (n - 1):.6g}") for i in range(n))
