"""How inner loops are compiled: when their module is first loaded, and kept for the next time."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(signature: Any = None, **options: Any) -> Callable[[Function], Function]:
    """Compile a function for this signature when the module is first loaded, and keep the code for the next time.

    Without one it is compiled as part of the functions that call it. Where no folder may be written to, the code is
    compiled anew each time.
    """

    def decorate(function: Function) -> Function:
        try:
            made: Function = njit(signature, cache=True, nogil=True, **options)(function)
        except RuntimeError:  # numba's, where it finds no place for the code
            made = njit(signature, nogil=True, **options)(function)
        return made

    return decorate
