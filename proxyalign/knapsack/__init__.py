"""Deferral as a 0-1 knapsack, in NumPy float64, one distribution at a time: problem, approximations, bounds, optima."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from proxyalign.knapsack.approximations import dual, half, primal
from proxyalign.knapsack.bounds import Certificate, LPBound, certificate, dual_function, lp_bound
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.rational import exact_sum, prefix_that_fits

if TYPE_CHECKING:
    from proxyalign.knapsack.exact import exact
    from proxyalign.knapsack.oracle import brute_force, oracle

__all__ = [
    "Certificate",
    "DeferralProblem",
    "LPBound",
    "Solution",
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
]


def __getattr__(name: str) -> Any:
    # `exact` loads compiled code and `oracle` a modelling package: neither is paid for before it is used.
    if name in ("exact", "brute_force", "oracle"):
        value = getattr(import_module(f"{__name__}.{'exact' if name == 'exact' else 'oracle'}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
