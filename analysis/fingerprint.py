"""A short hash of the code that a job needs and of the shipped weights, so that what other code made is not reused.

A script needs the modules of the package that it imports, and what those import, however far. The registry of rules
and that of tasks import all there are; so none of theirs counts but what a run asks of them: a changed rule runs the
runs of that rule again, and no others. Where the imports leave open whether a module is needed, it counts.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = "proxyalign"
# What these know of counts where it is asked for by name; so a line more in one of them is nothing to the others.
REGISTRIES = {PACKAGE, f"{PACKAGE}.deferral.rules", f"{PACKAGE}.tasks"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Module(NamedTuple):
    """The behaviour of a module as a hash, and the names of what it imports: (module, name within it or "")."""

    digest: str
    imports: frozenset[tuple[str, str]]


def fingerprint(script: str, rules: Iterable[object] = (), tasks: Iterable[object] = (), root: Path = ROOT) -> str:
    """Twelve hexadecimal digits over the behaviour of the package's modules that a script's job needs, and the weights.

    script: its module's name. rules, tasks: what the job asks of the registries: each counts as it is built, with the
    modules of all that it is made of. root: the checkout.
    """
    asked = [*rules, *tasks]
    digest = hashlib.sha256(_weights(root).encode())
    for name in sorted(_reached(frozenset([script, *_homes(asked)]), root)):
        digest.update(f"{name} {_module(name, root).digest}\n".encode())
    for built in sorted(repr(rule) for rule in rules):
        digest.update(f"{built}\n".encode())
    return digest.hexdigest()[:12]


def behaviour(source: str) -> str:
    """The code of a module without its comments, its layout and its docstrings: equal text, equal behaviour."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)


def _homes(asked: Iterable[object]) -> Iterator[str]:
    """The modules that define objects, their classes' parents, and all that they hold."""
    for one in asked:
        kinds = one.__mro__ if isinstance(one, type) else type(one).__mro__
        names = [kind.__module__ for kind in kinds] + [getattr(one, "__module__", "")]
        yield from (name for name in names if name.startswith(PACKAGE))
        held: Mapping[str, Any] = {} if isinstance(one, type | FunctionType) else getattr(one, "__dict__", {})
        yield from _homes(value for value in held.values() if hasattr(value, "__module__"))


@cache
def _reached(names: frozenset[str], root: Path) -> frozenset[str]:
    """The package's modules that these need, beside what registries know."""
    seen: set[str] = set()
    above: set[str] = set()  # packages run before what is in them; what they import for others is not needed
    todo = set(names)
    while todo:
        name = todo.pop()
        seen.add(name)
        if name in REGISTRIES:
            continue
        above |= {name[:place] for place, sign in enumerate(name) if sign == "."}
        for module, part in _module(name, root).imports:
            todo |= _read_by(module, part, root) - seen
    needed = seen | {package for package in above if _path(package, root) is not None}
    return frozenset(name for name in needed - REGISTRIES if name.split(".")[0] == PACKAGE)


def _read_by(module: str, part: str, root: Path) -> set[str]:
    """The modules that `from module import part` may read; none of another distribution."""
    path = _path(module, root)
    if path is None or not part or path.name != "__init__.py":
        return set() if path is None else {module}
    found = {f"{module}.{part}"} if _path(f"{module}.{part}", root) is not None else set()
    for source, name in _module(module, root).imports:
        if name == part and source != module:  # the package has it from elsewhere, a function of a module's name maybe
            found |= _read_by(source, name, root)
    return found or {module}


def _path(name: str, root: Path) -> Path | None:
    place = root / name.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def _module(name: str, root: Path) -> Module:
    """A module that is there."""
    path = _path(name, root)
    assert path is not None
    return _read(path.read_text(encoding="utf-8"))


@cache
def _read(source: str) -> Module:
    """What a module's text says; a text within it that is the name of a module counts as an import."""
    imports = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imports |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{PACKAGE}."):
            imports.add((node.value, ""))
    return Module(hashlib.sha256(behaviour(source).encode()).hexdigest(), frozenset(imports))


@cache
def _weights(root: Path) -> str:
    return "".join(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((root / PACKAGE).rglob("*.safetensors"))
    )
