"""What lm-evaluation-harness asks of a generation: switches and numbers, which may come as text, read and checked."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from proxyalign.errors import InputError
from proxyalign.validation import check_count

_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")  # what tasks call the limit
_OF_SAMPLING = {"top_k", "top_p", "min_p", "typical_p"}  # without effect on a greedy answer
_NEUTRAL = {"top_k": 0, "top_p": 1, "min_p": 0, "typical_p": 1, "num_beams": 1, "repetition_penalty": 1}
_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOT_GIVEN = ("", "none", "null")  # as texts; a task's file may say so, and so may --gen_kwargs


class Asked(NamedTuple):
    """One task's generation: stop strings, most new tokens and temperature (0: greedy)."""

    stop: list[str]
    max_new_tokens: int
    temperature: float


def read_generation(settings: Mapping[str, Any], max_new_tokens: int) -> Asked:
    """What a task's generation settings ask for; `max_new_tokens` where they say nothing of it.

    Texts are read as what they spell: do_sample "False" does not sample. Raises InputError for settings other than
    until, a limit, do_sample and temperature that would change an answer, and for values that are none of theirs.
    """
    left = {name: value for name, value in settings.items() if not _is_absent(value)}
    stop = _strings(left.pop("until", ()))
    limits = [as_count(name, left.pop(name)) for name in _LENGTHS if name in left]
    temperature = as_number("temperature", left.pop("temperature")) if "temperature" in left else None
    samples = as_switch("do_sample", left.pop("do_sample", bool(temperature)))
    temperature = (1.0 if temperature is None else temperature) if samples else 0.0
    for name, value in left.items():
        is_idle = _is_neutral(name, value) or (temperature == 0 and name in _OF_SAMPLING)
        if not is_idle:
            raise InputError(
                f"harness: generation settings must be until, max_gen_toks, do_sample and temperature, got {name}="
                f"{value!r}; change it with --gen_kwargs"
            )
    return Asked(stop, limits[0] if limits else max_new_tokens, temperature)


def as_switch(argument: str, value: Any) -> bool:
    """A switch, from a bool, 0 or 1, or a word for one of them. Raises InputError for anything else."""
    known = _SWITCHES.get(str(value).strip().lower()) if isinstance(value, bool | int | str) else None
    if known is None:
        raise InputError(f"harness: {argument} must be true or false, got {value!r}; write one of these")
    return known


def as_number(argument: str, value: Any) -> float:
    """A finite number of at least 0, or a text that spells one. Raises InputError for anything else."""
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0.0 <= number < float("inf"):
        raise InputError(f"harness: {argument} must be a finite number of at least 0, got {value!r}; pass one")
    return number


def as_count(argument: str, value: Any, least: int = 1) -> int:
    """A whole number of at least `least`, or a text that spells one. Raises InputError for anything else."""
    spells_one = isinstance(value, str) and value.strip().isascii() and value.strip().isdigit()
    is_one = isinstance(value, float) and value.is_integer()
    count = int(value) if spells_one or is_one else value
    check_count("harness", argument, count, least)
    return int(count)


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _NOT_GIVEN)


def _is_neutral(name: str, value: Any) -> bool:
    """Whether the setting, a number or a text that spells one, has the value at which it changes nothing."""
    try:
        return name in _NEUTRAL and float(value) == _NEUTRAL[name]
    except (TypeError, ValueError):
        return False


def _strings(until: Any) -> list[str]:
    """The stop strings, of which a single one needs no list and an empty one stops nothing."""
    strings = [until] if isinstance(until, str) else until
    if not isinstance(strings, Sequence) or not all(isinstance(one, str) for one in strings):
        raise InputError(f"harness: until must be a text or a list of texts, got {until!r}; write it so in the task")
    return [one for one in strings if one]
