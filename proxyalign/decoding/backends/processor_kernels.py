"""Draws and the test of a window in compiled passes over the rows that they need.

In torch they are some thirty operations, which with a short vocabulary cost more than a layer of a small model, and
with a long one read each row several times. Sums and tests are in float64, whatever the laws are.
"""

import numpy as np
import numpy.typing as npt
from numba import types

from proxyalign.compiled import compiled

Laws = npt.NDArray[np.floating]
Sets = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

_BLOCK = 256  # tokens that are summed together; only the block in which a draw falls is cumulated
_REALS = (types.float32, types.float64)


@compiled(fastmath={"reassoc"})
def _total(weights: Laws) -> float:
    """The sum of weights (n,)."""
    total = 0.0
    for i in range(len(weights)):
        total += np.float64(weights[i])
    return total


@compiled(fastmath={"reassoc"})
def _mass(law: Laws, deferred: Sets) -> float:
    """What a law (V,) gives to the tokens that are deferred (V,)."""
    mass = 0.0
    for i in range(len(law)):
        mass += np.float64(law[i]) if deferred[i] else 0.0
    return mass


@compiled()
def _block_of(sums: Numbers, target: float) -> int:
    """The first of the cumulated sums of blocks that is above the target; the last one in a row with NaN."""
    for block in range(len(sums)):
        if sums[block] > target:
            return block
    return len(sums) - 1


@compiled()
def _token_of(weights: Laws, target: float) -> int:
    """Where the cumulated weights of a block are first above the target, never at one without weight."""
    running, last = 0.0, 0
    for token in range(len(weights)):
        if weights[token] > 0.0:
            running, last = running + np.float64(weights[token]), token
            if running > target:
                break
    return last  # where rounding hides the end, as the block's sum is made in another order


@compiled()
def _drawn(weights: Laws, u: float) -> int:
    """The token that u in [0, 1) draws from weights (V,) of any positive sum; any one in a row with NaN."""
    sums, total = np.empty(-(-len(weights) // _BLOCK), dtype=np.float64), 0.0
    for block in range(len(sums)):
        total += _total(weights[block * _BLOCK : (block + 1) * _BLOCK])
        sums[block] = total
    block = _block_of(sums, u * total)
    before = sums[block - 1] if block else 0.0
    start = block * _BLOCK
    return start + _token_of(weights[start : start + _BLOCK], u * total - before)


@compiled()
def _cascade(p: Laws, q: Laws, deferred: Sets, mass: float, pi: Numbers) -> None:
    """Write (1 - d_y) p_y + D q_y into pi (n,); deferred is (0,) where nothing is."""
    if len(deferred):
        for i in range(len(p)):
            pi[i] = (0.0 if deferred[i] else np.float64(p[i])) + mass * np.float64(q[i])
    else:
        pi[: len(p)] = p


@compiled()
def _excess(p: Laws, q: Laws, deferred: Sets, mass: float, weights: Numbers) -> None:
    """Write max(0, pi - q) into weights (n,)."""
    _cascade(p, q, deferred, mass, weights)
    for i in range(len(q)):
        weights[i] = max(0.0, weights[i] - np.float64(q[i]))


@compiled()
def _replacement(p: Laws, q: Laws, deferred: Sets, mass: float, u: float) -> int:
    """The token that u draws from the residual (V,), of which no more than a block is ever held."""
    sums, weights, total = np.empty(-(-len(p) // _BLOCK), dtype=np.float64), np.zeros(_BLOCK, dtype=np.float64), 0.0
    for block in range(len(sums)):
        here = slice(block * _BLOCK, min((block + 1) * _BLOCK, len(p)))
        _excess(p[here], q[here], deferred[here], mass, weights)
        total += _total(weights[: here.stop - here.start])
        sums[block] = total
    if total <= 0.0:  # pi is nowhere above q, and only rounding rejected the draft
        pi = np.empty(len(p), dtype=np.float64)
        _cascade(p, q, deferred, mass, pi)
        return _drawn(pi, u)
    block = _block_of(sums, u * total)
    here = slice(block * _BLOCK, min((block + 1) * _BLOCK, len(p)))
    _excess(p[here], q[here], deferred[here], mass, weights)
    before = sums[block - 1] if block else 0.0
    return here.start + _token_of(weights[: here.stop - here.start], u * total - before)


@compiled([types.void(real[:, ::1], types.float64[:], types.int64[::1]) for real in _REALS])
def draw_rows(weights: Laws, uniforms: Numbers, tokens: Ids) -> None:
    """Draw one token a row from weights (n, V) with uniforms (n,) into tokens (n,)."""
    for row in range(len(tokens)):
        tokens[row] = _drawn(weights[row], uniforms[row])


@compiled(
    [
        types.void(
            real[:, :, ::1], real[:, :, ::1], types.boolean, real[:, :, ::1], types.boolean[:, :, ::1],
            types.int64[:, :], types.boolean[:], types.float64[:, :], types.int64[:, ::1], types.boolean[:, ::1],
            types.float64[:, ::1], types.float64[:, ::1],
        )
        for real in _REALS
    ]
)  # fmt: skip
def test_rows(
    own: Laws,
    first: Laws,
    is_own: bool,
    q: Laws,
    deferred: Sets,
    drafts: Ids,
    owed: Sets,
    u: Numbers,
    outcome: Ids,
    thrown: Sets,
    p_y: Numbers,
    mass: Numbers,
) -> None:
    """Test the drafts (B, g) of each row in turn, and draw the token after the accepted ones.

    own, first, deferred: (B, n, V), the latter (B, n, 0) where nothing is. is_own: whether first is `own`. The others
    as for `on_device.test`. Written are outcome (B, 2), how many passed and the token after them; thrown (B, 1),
    whether that is a bonus and deferred; and, up to the last new token, p_y and mass (B, g + 1).
    """
    n_rows, n_drafts = drafts.shape
    defers, n_places = deferred.shape[2] > 0, first.shape[1]
    for row in range(n_rows):
        place, spent, token = 0, 0.0, 0
        while place < n_places:
            if defers:
                spent = _mass(first[row, place], deferred[row, place])
                mass[row, place] = spent if is_own else _mass(own[row, place], deferred[row, place])
            if place == n_drafts:
                token = _drawn(first[row, place], u[row, -1])
                thrown[row, 0] = defers and deferred[row, place, token]
                break
            token = drafts[row, place]
            q_x, is_deferred = np.float64(q[row, place, token]), defers and deferred[row, place, token]
            pi_x = (0.0 if is_deferred else np.float64(first[row, place, token])) + spent * q_x
            passes = u[row, 2 * place + 1] * q_x < pi_x  # r < pi / q, and never where pi = 0
            if not (passes or (place == 0 and owed[row])):
                token = _replacement(first[row, place], q[row, place], deferred[row, place], spent, u[row, -1])
                break
            p_y[row, place] = own[row, place, token]
            place += 1
        outcome[row, 0], outcome[row, 1] = place, token
        if place < n_places:
            p_y[row, place] = own[row, place, token]
