"""Stable sorting of a whole vocabulary, about twice as fast as argsort."""

import numpy as np
from numpy.typing import NDArray

MAGNITUDE = 2**63 - 1  # the bits of a float64 without its sign


def rising(keys: NDArray[np.float64]) -> NDArray[np.intp]:
    """The indices of `keys` (n,), without NaN, by rising key, equal keys by rising index.

    The leading bits of a key and its index fill one integer, and plain integers sort faster than indices into keys.
    What those bits leave undecided is sorted again. Keys that lie in order already are better left to argsort.
    """
    width = keys.size.bit_length()
    bits = (keys + 0.0).view(np.int64)  # adding 0.0 clears the sign of -0.0
    packed = (bits ^ (bits >> 63 & MAGNITUDE)) & -(1 << width)  # integers that order as the floats do
    packed |= np.arange(keys.size)
    packed.sort()
    order = (packed & ((1 << width) - 1)).astype(np.intp)
    same = np.diff(packed >> width) == 0
    if same.any():
        undecided = np.flatnonzero(np.append(same, False) | np.append(False, same))
        items = np.sort(order[undecided])
        order[undecided] = items[np.argsort(keys[items], kind="stable")]
    return order
