"""Statement 2 (stmt:sandwich in paper/theory.tex): G <= OPT <= U < G + v_c for v_c > 0; surprisal: OPT < G + 1/e."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from strategies import check, knapsacks, mass, value

from proxyalign.knapsack import DeferralProblem, exact, primal
from proxyalign.verify import claim_counts
from proxyalign.verify.reference.integer_knapsack import IntegerKnapsack
from proxyalign.verify.statements import statement


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


NEARLY_ALL = [0.99999, 7.052717143632103e-07, 3.5256533001016883e-07, 3.5260058654316986e-07, 8.589562369083452e-06]
WIDE = {
    "a weight of 2^24": (DeferralProblem([7.0, 6.0, 5.0, 10.0], [1.0, 1.0, 8.0, 2.0**24], 2.0**24 + 2), 1e-12),
    "one token nearly all": (DeferralProblem.from_probs(NEARLY_ALL, budget=0.9999992947635492), 1e-12),
    "a value of 1e-31": (DeferralProblem([1.0, 0.9, 1e-31], [0.5, 0.6, 1e-30], 0.7), 0.0),
}


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_dynamic_range_loses_no_optimum(name):
    """Fails when rounding to integers takes an item for nothing, and what it is worth with it."""
    problem, gap = WIDE[name]
    best = IntegerKnapsack(problem.values, problem.weights, problem.budget).best()
    found = exact(problem, gap=gap)
    assert mass(problem, found.deferred) <= problem.budget
    assert found.is_optimal
    assert value(problem, found.deferred) * (1 + Fraction(gap)) >= best
    assert Fraction(found.upper_bound) >= best


def test_a_hundred_thousand_light_items_are_in_the_bound():
    """Fails when what rounds to nothing one by one is left out of the bound all together."""
    weights = np.r_[0.5, np.full(30_000, 0.6), np.full(100_000, 2.0**-44)]
    values = np.r_[1.0, np.full(30_000, 0.59), 0.9 * weights[-100_000:]]
    problem = DeferralProblem(values, weights, 1.0)
    fitting = np.r_[True, np.zeros(30_000, bool), np.ones(100_000, bool)]
    assert mass(problem, fitting) <= 1
    assert Fraction(exact(problem).upper_bound) >= value(problem, fitting) >= 1 + Fraction(5.1e-9)


@pytest.mark.slow
def test_many_trials_find_no_false_word():
    """Fails when a set, a bound or a word on optimality is wrong once in ten thousand problems, most of them extreme.

    `proxyalign verify --statement 2 --cases 1000000 --seed S` goes on from there.
    """
    n_cases = 10_000
    counts = claim_counts.check(statement(2), range(n_cases), n_cases, 7, None)
    assert sum(counts[name].n_cases for name in ("G <= OPT", "G <= the set found")) == n_cases
    assert all(count.n_violations == 0 for count in counts.values())
