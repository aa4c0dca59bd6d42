"""A lower bound from the group relaxation: weights matter modulo the critical item's, and may be used many times.

Let M be a modulus and x_k in [0, M) what change k adds to the room, modulo M. A function B on the circle of length M
with B(0) = 0, B(x + y) <= B(x) + B(y), B(x_k) <= loss of change k, and B(-s) <= lambda s for unused room s bounds from
below the loss of whatever brings a state with `room` to a solution, unused room included: changes X leave s = room +
(their sum), so that B(-room) <= (sum of B over X) + B(-s) (Gomory 1969; Gomory and Johnson 1972). The linear relaxation
sees the room that is left; this sees that no item of the right weight is there to fill it.

B is linear between n + 1 grid points, where it is an integer in units of 2^-50 of the offset. On a cell times a cell,
B(x) + B(y) - B(x + y) is linear on both sides of the line on which the two places within their cells add up to one, so
that its least value is at grid points: B is subadditive if it is so there. How high to put the points is guessed in
floats (`_steps`). What the proof needs is then made sure of: closed under sums, exactly (`shortest_sums`), and held
against every change and all unused room with a relative margin above that of the floats which compare (`_excess`).
"""

import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack.exact.states import SHARE_BITS, least_shares, shortest_sums

N_CELLS = 1024
CELLS_EACH = 32  # that a change may ask for: a few need no fine grid
UNIT = 2.0**SHARE_BITS
HIGHEST = 1.25  # of the offset: a bound of 1 forbids a state, and the corner at 1 should lie between no grid points
SAFE = 1.0 - 2.0**-40  # for each of the few float operations behind a level
Integers = NDArray[np.int64]


def group_levels(
    places: Integers, losses: Integers, modulus: int, unit: int, slack: float, corner: float
) -> NDArray[np.float64]:
    """B at the points of a regular grid from 0 to M, as integers: shares of `unit` times 2^50, at most HIGHEST.

    places: (n,) x_k in [0, M); losses: (n,) the changes' losses, at least 0; both int64, or objects where they are
    Python's integers. modulus: M; unit: the offset, 1 at least; slack: at most lambda M / unit. corner: the place of
    the lightest removal, as a share of M, where the losses jump.
    """
    n_cells = _n_cells(corner, min(N_CELLS, CELLS_EACH * (1 + places.size)))
    estimate = (places / modulus).astype(np.float64)
    shares = (np.minimum(losses, 2 * unit) / unit).astype(np.float64)
    cells, rests = _cells(places, modulus, n_cells)
    steps = _steps(np.minimum(estimate, 1.0 - 2.0**-53), np.minimum(shares, HIGHEST), slack, corner, n_cells)
    steps *= SAFE
    for _ in range(2):
        levels = np.append(shortest_sums(np.floor(steps[:-1] * UNIT)), 0.0)
        excess = _excess(levels, cells, rests, modulus, shares, slack)
        if excess.max() <= 1.0:
            return levels
        # A place within rounding of a grid point was put on its wrong side.
        steps = np.minimum(steps, levels / UNIT) * (SAFE / np.maximum(excess, 1.0))
    return np.zeros(n_cells + 1)


def _cells(places: Integers, modulus: int, n_cells: int) -> tuple[NDArray[np.intp], Integers]:
    """(cells, rests) with places * n_cells = cells * modulus + rests, exactly, and each rest in [0, modulus).

    The float quotient is off by at most 1, and int64 products wrap around to a difference that is right.
    """
    cells = (places / modulus * n_cells).astype(np.int64).astype(places.dtype)
    rests = places * n_cells - cells * modulus
    shift = (rests >= modulus).astype(places.dtype) - (rests < 0).astype(places.dtype)
    return (cells + shift).astype(np.intp), rests - shift * modulus


def _excess(
    levels: NDArray[np.float64],
    cells: NDArray[np.intp],
    rests: Integers,
    modulus: int,
    shares: NDArray[np.float64],
    slack: float,
) -> NDArray[np.float64]:
    """By what factor B beside a grid point exceeds the loss of a change, or of unused room; at most 1 if it does not.

    Sums of products of a few factors of one sign each, so that floats are within 2^-49 of them.
    """
    parts, others = (rests / modulus).astype(np.float64), ((modulus - rests) / modulus).astype(np.float64)
    heights = (levels[cells] * others + levels[cells + 1] * parts) / UNIT
    unused = np.arange(levels.size - 1, -1, -1) / (levels.size - 1) * slack
    with np.errstate(divide="ignore", invalid="ignore"):
        of_changes = np.where(heights > 0.0, heights / shares, 0.0)
        excess = np.where(levels > 0.0, levels / UNIT / unused, 0.0)
    np.maximum.at(excess, cells, of_changes)
    np.maximum.at(excess, cells + 1, of_changes)
    return excess * (1.0 + 2.0**-45)


def _steps(
    positions: NDArray[np.float64], losses: NDArray[np.float64], slack: float, corner: float, n_cells: int
) -> NDArray[np.float64]:
    """How high the grid points may be, in units, before the closure under sums can only lower them.

    positions: (n,) x_k / M in [0, 1); losses: (n,) the changes' losses in units.
    """
    inside = positions > 0.0  # a change that leaves the position where it is constrains nothing
    positions, losses = positions[inside], losses[inside]
    grid = np.arange(n_cells + 1) / n_cells
    cells = (positions * n_cells).astype(np.int64)
    offsets = positions * n_cells - cells
    is_filled = np.bincount(cells, minlength=n_cells) > 0
    nothing, ones = np.zeros(n_cells + 1), np.ones(n_cells + 1)

    def least(below: NDArray[np.float64], rise: NDArray[np.float64], otherwise: float) -> NDArray[np.float64]:
        """Cell by cell, how many times `rise` fits between `below` and the losses; `otherwise` where no item is."""
        return np.where(is_filled, least_shares(cells, offsets, losses, below, rise), otherwise)

    rising = np.minimum.accumulate(least(nothing, grid, np.inf))
    falling = np.minimum.accumulate(np.append(least(nothing, 1.0 - grid, slack), slack)[::-1])[::-1]
    base = _concave_base(grid, rising, np.minimum(falling, slack))
    share = least(nothing, base, 1.0).clip(0.0, 1.0)
    base[1:-1] *= np.minimum(share[1:], share[:-1])
    # Where there are items, the base can be raised as far as they allow; where there are none, to the top.
    wish = HIGHEST * ones
    wish[:-1][is_filled] = 0.0
    wish[1:][is_filled] = 0.0
    filled = np.flatnonzero(is_filled)
    if filled.size:
        lowest = least(nothing, ones, HIGHEST)[filled]
        wish = np.maximum(wish, np.interp(grid, (filled + 0.5) / n_cells, lowest))
    wish = np.minimum(wish, np.minimum(HIGHEST, slack * (1.0 - grid)))
    extra = np.maximum(wish - base, 0.0)
    extra[0] = extra[-1] = 0.0
    share = least(base, extra, 1.0).clip(0.0, 1.0)
    extra[1:-1] *= np.minimum(share[1:], share[:-1])
    steps: NDArray[np.float64] = base + extra
    return steps


def _concave_base(
    grid: NDArray[np.float64], rising: NDArray[np.float64], falling: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The highest of all triangles over [0, 1] that lie below the changes; a triangle, being concave, is subadditive.

    rising: (n,) least loss / x among the changes in cells 0..m; falling: (n + 1,) least loss / (1 - x) from cell m on.
    The triangle with its peak at a may be as high as min(a rising, (1 - a) falling) there; where the losses are a
    concave function of x, as they are for surprisal values, the peaks reach it.
    """
    inner = grid[1:-1]
    peaks = np.minimum(HIGHEST, np.minimum(inner * rising[:-1], (1.0 - inner) * falling[1:-1]))
    left = np.maximum.accumulate((peaks / inner)[::-1])[::-1] * inner
    right = np.maximum.accumulate(peaks / (1.0 - inner)) * (1.0 - inner)
    return np.concatenate([[0.0], np.maximum(left, right), [0.0]])


def _n_cells(corner: float, least: int) -> int:
    """How many cells the grid gets: of the numbers from `least` on the one that puts a point closest below the corner.

    The bound takes grid points for places where items are. Below the lightest removal there are none, and where it is
    a good part of the modulus, as on flat laws, a grid point a fraction of a cell too low makes many times the states.
    """
    choices = np.arange(least, least * 5 // 4)
    return int(choices[np.argmin(corner * choices % 1.0)])
