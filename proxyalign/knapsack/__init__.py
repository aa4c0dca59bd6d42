"""Deferral as a 0-1 knapsack, in NumPy float64, one distribution at a time: problem, approximations, bounds, optima."""

from proxyalign.knapsack.approximations import dual, half, primal
from proxyalign.knapsack.bounds import Certificate, LPBound, certificate, dual_function, lp_bound
from proxyalign.knapsack.exact.many import ExactPath, exact_many, exact_path
from proxyalign.knapsack.exact.near_optimal import near_optimal
from proxyalign.knapsack.exact.solver import exact
from proxyalign.knapsack.oracle.judgement import OracleVerdict, oracle_verdict
from proxyalign.knapsack.oracle.linear import LPOptimum, lp_relaxation
from proxyalign.knapsack.oracle.multistep import Lagrangian, MultiStep, multistep_lagrangian, multistep_oracle, union
from proxyalign.knapsack.oracle.solvers import brute_force, oracle
from proxyalign.knapsack.problem import DeferralProblem, Solution
from proxyalign.knapsack.proof.certificate import OptimalityCertificate, Verdict, certify
from proxyalign.knapsack.rationals import exact_sum, prefix_that_fits
from proxyalign.knapsack.values import advantage, probability_gap, surprisal

__all__ = [
    "Certificate",
    "DeferralProblem",
    "ExactPath",
    "LPBound",
    "LPOptimum",
    "Lagrangian",
    "MultiStep",
    "OptimalityCertificate",
    "OracleVerdict",
    "Solution",
    "Verdict",
    "advantage",
    "brute_force",
    "certificate",
    "certify",
    "dual",
    "dual_function",
    "exact",
    "exact_many",
    "exact_path",
    "exact_sum",
    "half",
    "lp_bound",
    "lp_relaxation",
    "multistep_lagrangian",
    "multistep_oracle",
    "near_optimal",
    "oracle",
    "oracle_verdict",
    "prefix_that_fits",
    "primal",
    "probability_gap",
    "surprisal",
    "union",
]
