"""A mutant is an edit of the package's own source, put in the place of the original for a while.

So what a statement is asked about is the code that runs, and an edit whose text is gone fails instead of passing for
one that was caught.
"""

import ast
import contextlib
import functools
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from proxyalign.errors import InputError

PACKAGE = __name__.partition(".")[0]
# Where the function lies in what a class holds in its place.
_INSIDE = {property: "fget", functools.cached_property: "func", classmethod: "__func__", staticmethod: "__func__"}


@dataclass(frozen=True)
class Mutant:
    """One defect: its name, the statements that may catch it, and the edit.

    target: "module:function" or "module:Class.method", the module without the package's name. old, new: text of the
    function's source from `def` on, dedented; `old` occurs in it once. kind: of the first statement's cases that are
    looked at before others, where few but such tell.
    """

    name: str
    statements: tuple[int, ...]
    target: str
    old: str
    new: str
    kind: str = ""


@contextlib.contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Run the package with the mutant's edit in it.

    The edited function takes the original's place in its class, or in every module of the package that names it. What
    numba compiled against the original runs as plain Python meanwhile, so that the edit is reached from there too.
    Functions that are kept elsewhere, as in a dict or as a default, stay what they were. Raises InputError where the
    target is none, or does not hold the text just once.
    """
    owner, name = _found(mutant)
    original = vars(owner)[name]
    edited = _edited(mutant, _function(original))
    exchanges = [(original, edited)]
    if isinstance(owner, ModuleType):
        exchanges += [(one, _as_python(one.py_func)) for one in _compiled_against(original)]
    try:
        if isinstance(owner, ModuleType):
            _exchange(exchanges)
        else:
            setattr(owner, name, _as_held(original, edited, owner, name))
        _forget()
        with np.errstate(all="ignore"):  # as compiled code has it; and a defect's warnings are no news
            yield
    finally:
        if isinstance(owner, ModuleType):  # those that were loaded meanwhile hold the edited function, and are mended
            _exchange([(new, old) for old, new in exchanges])
        else:
            setattr(owner, name, original)
        _forget()


def _found(mutant: Mutant) -> tuple[Any, str]:
    """The module or the class that holds the target, and by which name."""
    place, _, path = mutant.target.partition(":")
    owner: Any = importlib.import_module(f"{PACKAGE}.{place}")
    *classes, name = path.split(".")
    for part in classes:
        owner = vars(owner).get(part, owner)
    if name not in vars(owner):
        raise InputError(f"mutant {mutant.name!r}: target must exist, got {mutant.target}; mend the mutant")
    return owner, name


def _function(held: Any) -> FunctionType:
    """The plain function within what a class or a module holds."""
    held = getattr(held, _INSIDE.get(type(held), "py_func"), held)  # py_func: of what numba compiled
    function: FunctionType = inspect.unwrap(held)
    return function


def _edited(mutant: Mutant, function: FunctionType) -> FunctionType:
    """The function compiled anew from its edited source, in its own module and with its own closure."""
    source = textwrap.dedent(inspect.getsource(function))
    source = "\n".join(source.splitlines()[ast.parse(source).body[0].lineno - 1 :])  # without decorators
    if source.count(mutant.old) != 1:
        raise InputError(
            f"mutant {mutant.name!r}: old must occur once in {mutant.target}, got {source.count(mutant.old)} times; "
            "mend the mutant"
        )
    names = function.__code__.co_freevars  # __class__ among them where a method calls super()
    body = textwrap.indent(source.replace(mutant.old, mutant.new), " ")
    made: dict[str, Any] = {}
    whole = f"def _make({', '.join(names)}):\n{body}\n return {function.__name__}"
    exec(compile(whole, f"<{mutant.name}>", "exec"), function.__globals__, made)
    return _as_python(made["_make"](*(cell.cell_contents for cell in function.__closure__ or ())))


def _as_python(function: FunctionType) -> FunctionType:
    """A copy that stands for one which numba compiled: asked for its Python source, it gives itself."""
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.py_func = copy  # type: ignore[attr-defined]
    return copy


def _as_held(original: Any, edited: FunctionType, owner: type, name: str) -> Any:
    """The edited method as its class holds it."""
    if type(original) not in _INSIDE:
        return edited
    held = type(original)(edited)
    if isinstance(held, functools.cached_property):
        held.__set_name__(owner, name)
    return held


def _modules() -> list[ModuleType]:
    """The package's modules that are loaded."""
    return [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == PACKAGE]


def _exchange(pairs: list[tuple[Any, Any]]) -> None:
    """Put the second of each pair wherever a module of the package has the first."""
    new_of = {id(old): new for old, new in pairs}
    for module in _modules():
        for name, value in list(vars(module).items()):
            if id(value) in new_of:
                setattr(module, name, new_of[id(value)])


def _compiled_against(target: Any) -> list[Any]:
    """What numba compiled with `target` in it, directly or through another such function."""
    left = {id(value): value for module in _modules() for value in vars(module).values() if hasattr(value, "py_func")}
    left.pop(id(target), None)
    reached = {id(target)}
    found: list[Any] = []
    while True:
        more = [value for value in left.values() if not reached.isdisjoint(_named_in(value.py_func))]
        if not more:
            return found
        found += more
        for value in more:
            reached.add(id(value))
            del left[id(value)]


def _named_in(function: FunctionType) -> set[int]:
    """The ids of the module's objects that a function names, functions within it included."""
    names: set[str] = set()
    waiting: list[Any] = [function.__code__]
    while waiting:
        code = waiting.pop()
        names.update(code.co_names)
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return {id(function.__globals__[name]) for name in names if name in function.__globals__}


def _forget() -> None:
    """Empty the caches of the package's functions, which may hold what other code answered."""
    for module in _modules():
        for value in list(vars(module).values()):
            if isinstance(value, functools._lru_cache_wrapper):
                value.cache_clear()
