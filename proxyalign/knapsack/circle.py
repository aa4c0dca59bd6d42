"""A lower bound from the group relaxation: weights matter modulo the critical item's, and may be used any number of times.

Let M be a modulus and x_k in [0, M) what change k adds to the position -room modulo M. A function B on the circle of
length M with B(0) = 0, B(x + y) <= B(x) + B(y), B(x_k) <= loss of change k, and B(-s) <= lambda s for unused room s
bounds from below the loss of whatever brings a state at position u to a solution: B(u) (Gomory 1969; Gomory and
Johnson 1972). A piecewise linear function with breakpoints on a regular grid is subadditive if it is so on the grid.
The linear relaxation sees the room that is left; this sees that no item of the right weight is there to fill it.
"""

import numpy as np
from numpy.typing import NDArray

from proxyalign.knapsack.search import STEEPEST, shortest_sums

N_CELLS = 1024  # the error of a chord falls with the square, the time to build rises with it


def circle_levels(
    positions: NDArray[np.float64], losses: NDArray[np.float64], slack: float
) -> NDArray[np.float64]:
    """The bound at the grid points 0, M/1024, ..., M, as a share of a unit times 2^30, rounded down.

    positions: (n,) x_k / M in [0, 1); losses: (n,) the changes' losses in units; slack: lambda M in units. Shares
    above one unit are cut to one.
    """
    grid = np.arange(N_CELLS + 1) / N_CELLS
    place = positions * N_CELLS
    cells = place.astype(np.int64)
    inside = place > 0.0  # a change that leaves the position where it is constrains nothing
    cells, offsets, losses = cells[inside], place[inside] - cells[inside], losses[inside]
    by_cell = np.argsort(cells, kind="stable")
    cells, offsets, losses = cells[by_cell], offsets[by_cell], losses[by_cell]
    filled, starts = np.unique(cells, return_index=True)
    steps = np.ones(N_CELLS + 1)
    if filled.size:
        # Start from a curve through one change of each cell, then lower it until it is nowhere above a change.
        ends = np.append(starts[1:], cells.size)
        middles = (starts + ends) // 2
        near = np.zeros(N_CELLS + 1, dtype=np.bool_)
        near[filled] = near[filled + 1] = True
        curve = np.interp(grid, (filled + offsets[middles]) / N_CELLS, losses[middles])
        steps[near] = np.minimum(1.0, curve[near])
    steps = np.minimum(steps, slack * (1.0 - grid))
    steps[0] = 0.0
    if filled.size:
        height = steps[cells] * (1.0 - offsets) + steps[cells + 1] * offsets
        ratio = np.where(height > losses, losses / np.maximum(height, 1e-300), 1.0)
        shrink = np.ones(N_CELLS)
        shrink[filled] = np.minimum.reduceat(ratio, starts)
        steps[1:-1] *= np.minimum(shrink[1:], shrink[:-1])
    levels = np.append(shortest_sums(steps[:-1]), 0.0)
    levels = np.floor(levels * (STEEPEST * (1.0 - 2.0**-30)))
    return levels
