"""Statement 2 (stmt:sandwich in paper/theory.tex): G <= OPT <= U < G + v_c, for surprisal less than 1/e above G."""

import math

import numpy as np
from hypothesis import given
from strategies import check, knapsacks

from proxyalign.knapsack import DeferralProblem, exact, primal


@given(case=knapsacks())
def test_the_optimum_lies_between_the_prefix_and_the_bound(case):
    """Fails when the prefix has an item too many (G > OPT), the bound too few (U < OPT), or c would still have fit."""
    check(2, case)


@given(case=knapsacks(only_laws=True))
def test_with_surprisal_values_the_prefix_lacks_less_than_one_over_e(case):
    """Fails for a prefix that stops early on a law with one large token."""
    check(2, case)


def test_the_gap_comes_near_one_over_e_in_the_limit():
    """Shows that 1/e cannot be lowered: a critical token of probability 1/e next to an almost empty prefix."""
    critical = 1 / math.e
    law = np.array([1e-6, critical, 1 - critical - 1e-6])
    problem = DeferralProblem.from_probs(law, budget=critical)
    gap = exact(problem).value - primal(problem).value
    assert 0.999 / math.e < gap < 1 / math.e
