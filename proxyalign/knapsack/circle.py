"""A lower bound from the group relaxation: weights matter modulo the critical item's, and may be used many times.

Let M be a modulus and x_k in [0, M) what change k adds to the position -room modulo M. A function B on the circle of
length M with B(0) = 0, B(x + y) <= B(x) + B(y), B(x_k) <= loss of change k, and B(-s) <= lambda s for unused room s
bounds from below the loss of whatever brings a state at position u to a solution: B(u) (Gomory 1969; Gomory and
Johnson 1972). A piecewise linear function with breakpoints on a regular grid is subadditive if it is so on the grid.
The linear relaxation sees the room that is left; this sees that no item of the right weight is there to fill it.
"""

import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack.search import STEEPEST, least_shares, shortest_sums

N_CELLS = 1024
TINY = 1e-300


def circle_levels(
    positions: NDArray[np.float64], losses: NDArray[np.float64], slack: float, corner: float
) -> NDArray[np.float64]:
    """The bound at the points of a regular grid from 0 to M, as a share of a unit times 2^30, rounded down.

    positions: (n,) x_k / M in [0, 1); losses: (n,) the changes' losses in units; slack: lambda M in units. Shares
    above one unit are cut to one. corner: in [0, 1), the lightest removal's x / M, where the losses jump.
    """
    inside = positions > 0.0  # a change that leaves the position where it is constrains nothing
    positions, losses = positions[inside], losses[inside]
    n_cells = _n_cells(corner)
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
    wish = ones.copy()
    wish[:-1][is_filled] = 0.0
    wish[1:][is_filled] = 0.0
    filled = np.flatnonzero(is_filled)
    if filled.size:
        lowest = least(nothing, ones, 1.0)[filled]
        wish = np.maximum(wish, np.interp(grid, (filled + 0.5) / n_cells, lowest))
    wish = np.minimum(wish, np.minimum(1.0, slack * (1.0 - grid)))
    extra = np.maximum(wish - base, 0.0)
    extra[0] = extra[-1] = 0.0
    share = least(base, extra, 1.0).clip(0.0, 1.0)
    extra[1:-1] *= np.minimum(share[1:], share[:-1])
    steps = base + extra
    return np.floor(np.append(shortest_sums(steps[:-1]), 0.0) * (STEEPEST * (1.0 - 2.0**-30)))


def _concave_base(
    grid: NDArray[np.float64], rising: NDArray[np.float64], falling: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The highest of all triangles over [0, 1] that lie below the changes; a triangle, being concave, is subadditive.

    rising: (n,) least loss / x among the changes in cells 0..m; falling: (n + 1,) least loss / (1 - x) from cell m on.
    The triangle with its peak at a may be as high as min(a rising, (1 - a) falling) there; where the losses are a
    concave function of x, as they are for surprisal values, the peaks reach it.
    """
    inner = grid[1:-1]
    peaks = np.minimum(1.0, np.minimum(inner * rising[:-1], (1.0 - inner) * falling[1:-1]))
    left = np.maximum.accumulate((peaks / inner)[::-1])[::-1] * inner
    right = np.maximum.accumulate(peaks / (1.0 - inner)) * (1.0 - inner)
    return np.concatenate([[0.0], np.maximum(left, right), [0.0]])


def _n_cells(corner: float) -> int:
    """How many cells the grid gets: of some numbers the one that puts a grid point closest below the corner.

    The bound takes grid points for places where items are. Below the lightest removal there are none, and where it is
    a good part of the modulus, as on flat laws, a grid point a fraction of a cell too low makes many times the states.
    """
    choices = np.arange(N_CELLS, N_CELLS * 5 // 4)
    return int(choices[np.argmin(corner * choices % 1.0)])
