"""The longest prefix of a law by rising probability, where the budget ends among its likely tokens; for processors.

One pass over the law in compiled code sets the few likely tokens apart and sums up the others in float64.
"""

import numpy as np
import numpy.typing as npt
from numba import types

from proxyalign.compiled import compiled

DECIDED, UNSURE, SPREAD = 0, 1, 2  # what became of a row: rounding may have moved its end; its other tokens do not fit
LIKELY = 2.0**-12  # of such tokens a law has at most 4,096
_BLOCK = 128  # tokens that are looked at together: where none is likely, as nearly everywhere, none is looked at again

_SIGNATURES = [
    types.void(real[:, ::1], types.float64, types.boolean[:, ::1], types.uint8[::1])
    for real in (types.float32, types.float64)
]


@compiled(fastmath={"reassoc"})
def set_apart(
    row: npt.NDArray[np.floating], least: np.floating, small: npt.NDArray[np.bool_], place: npt.NDArray[np.int64]
) -> tuple[float, int]:
    """Where row (V,) is below `least`, into small (V,), and its other places into place (V,); the sum of the former
    in float64, and how many the latter are.
    """
    total, n_likely = 0.0, 0
    for start in range(0, len(row), _BLOCK):
        block, is_small = row[start : start + _BLOCK], small[start : start + _BLOCK]
        n_small = np.int32(0)
        for i in range(len(block)):
            is_small[i] = block[i] < least
        for i in range(len(block)):  # apart, and without branches, so that both loops use vector instructions
            total += np.float64(block[i]) if block[i] < least else 0.0
            n_small += np.int32(block[i] < least)
        if n_small < len(block):
            for i in range(len(block)):
                if not is_small[i]:
                    place[n_likely] = start + i
                    n_likely += 1
    return total, n_likely


@compiled()
def rounding_of_sums(n_tokens: int, total: float) -> float:
    """How far off a sum of so many terms may be: n 2^-53 of it, in whatever order; four times that is safe."""
    return 2.0**-51 * n_tokens * max(1.0, total)


@compiled(_SIGNATURES)
def prefix_among_likely(
    p: npt.NDArray[np.floating], budget: float, deferred: npt.NDArray[np.bool_], verdict: npt.NDArray[np.uint8]
) -> None:
    """Write the prefixes of p (n, V) that fit the budget into deferred (n, V), and what became of each row (n,)."""
    n_tokens, least = p.shape[1], p.dtype.type(LIKELY)
    place = np.empty(n_tokens, dtype=np.int64)
    for at in range(p.shape[0]):
        row, is_deferred = p[at], deferred[at]
        spent, n_likely = set_apart(row, least, is_deferred, place)
        slack = rounding_of_sums(n_tokens, spent)
        verdict[at] = UNSURE if abs(spent - budget) <= slack else SPREAD if spent > budget else DECIDED
        total = spent
        for i in np.argsort(row[place[:n_likely]], kind="mergesort"):
            total += np.float64(row[place[i]])
            if abs(total - budget) <= slack:
                verdict[at] = UNSURE
            if total > budget:
                break
            is_deferred[place[i]] = True
