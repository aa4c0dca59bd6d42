"""A batch too large for the machine, told in one sentence that says what to lower."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from proxyalign.errors import InputError

_TOLD_BY = ("out of memory", "DefaultCPUAllocator")  # what torch's other devices, and its CPU, say in a RuntimeError


@contextmanager
def enough_memory(owner: str, n_rows: int, remedy: str) -> Iterator[None]:
    """Raise InputError where torch or NumPy finds no memory for a batch of `n_rows`; any other error passes."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and not any(words in str(error) for words in _TOLD_BY):
            raise
        raise InputError(
            f"{owner}: models and a batch of {n_rows} must fit in memory, got no more of it; {remedy}"
        ) from error
