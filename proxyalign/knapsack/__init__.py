"""Deferral as a 0-1 knapsack, in NumPy float64, one distribution at a time: problem, approximations, bounds, optima."""

from proxyalign.knapsack.approximations import dual, half, primal
from proxyalign.knapsack.bounds import Certificate, LPBound, certificate, dual_function, lp_bound
from proxyalign.knapsack.exact import exact
from proxyalign.knapsack.oracle import brute_force, oracle
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rational import exact_sum, prefix_that_fits
from proxyalign.knapsack.values import advantage, probability_gap, surprisal

__all__ = [
    "Certificate",
    "DeferralProblem",
    "LPBound",
    "Solution",
    "advantage",
    "brute_force",
    "certificate",
    "dual",
    "dual_function",
    "exact",
    "exact_sum",
    "half",
    "lp_bound",
    "oracle",
    "prefix_that_fits",
    "primal",
    "probability_gap",
    "surprisal",
]
