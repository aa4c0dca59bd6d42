"""The figures of the package: one step's knapsack, accuracy against each rule's parameter, optimality against speed."""

from proxyalign.plotting.accuracy import accuracy_vs_parameter
from proxyalign.plotting.optimality import gap_vs_speedup
from proxyalign.plotting.step import knapsack_step
from proxyalign.plotting.style import GREY, OTHERS, USUAL, arms, subplots, use_style

__all__ = [
    "GREY",
    "OTHERS",
    "USUAL",
    "accuracy_vs_parameter",
    "arms",
    "gap_vs_speedup",
    "knapsack_step",
    "subplots",
    "use_style",
]
