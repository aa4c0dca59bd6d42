"""Statement 21: a set found at little more than the price of the prefix, and never worth less than it is said to be."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch

from proxyalign.deferral import rules
from proxyalign.knapsack import near_optimal
from proxyalign.verify.cases import Knapsack
from proxyalign.verify.cases.extremes import Extreme
from proxyalign.verify.reference.integer_knapsack import MOST_ITEMS
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.exact_solver import bracket, is_worth

LOSSES = (0.5, 0.1, 0.01, 0.001)  # that a set is asked to stay within


def near_optimal_sets(case: Knapsack | Extreme) -> Iterator[Claim]:
    """Statement 21: the set fits and is worth (1 - eps) OPT, its bound holds; so of the rule, where there is a law."""
    whole, problem = case.in_integers, case.problem
    few = len(whole) <= MOST_ITEMS
    for eps in LOSSES if few else LOSSES[-1:]:
        share = Fraction(eps)
        found = near_optimal(problem, eps)
        low, _ = bracket(whole, None if few else found)
        yield from is_worth(whole, found, low, "the near-optimal set")
        yield Claim("(1 - eps) OPT <= the near-optimal set", (1 - share) * low, whole.value(found.deferred))
        if case.p is not None and case.budget < 1.0:
            deferred = rules.NearOptimal(case.budget, eps).defer(torch.from_numpy(np.asarray(case.p))).numpy()
            yield Claim("the rule's near-optimal set fits", whole.mass(deferred), Fraction(problem.budget))
            yield Claim("(1 - eps) OPT <= the rule's near-optimal set", (1 - share) * low, whole.value(deferred))
