"""The bound by the number of items: never above what a set can cost, and of use where laws are flat."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyalign.knapsack import DeferralProblem, brute_force, exact_sum, prefix_that_fits
from proxyalign.knapsack.exact.cardinality_bound import least_cost, screened, with_most_items
from proxyalign.knapsack.exact.core import candidates, integers


def priced(problem):
    """The relaxation with second prices, and the prefix's value; None where the prefix is all that there is."""
    usable = problem.order[(problem.weights <= problem.budget)[problem.order]]
    n_prefix = prefix_that_fits(problem.weights[usable], problem.budget)
    if n_prefix == usable.size:
        return None
    room = Fraction(problem.budget) - exact_sum(problem.weights[usable[:n_prefix]])
    relaxation = integers(problem, candidates(problem, usable, n_prefix, room))
    most = prefix_that_fits(np.sort(problem.weights[usable]), problem.budget)
    return with_most_items(relaxation, most - n_prefix), exact_sum(problem.values[usable[:n_prefix]])


@settings(max_examples=150)
@given(
    weights=st.lists(st.integers(20, 40), min_size=3, max_size=10),
    worth=st.one_of(st.none(), st.lists(st.integers(1, 99), min_size=10, max_size=10)),
    share=st.floats(0.1, 0.95),
)
def test_no_set_costs_less(weights, worth, share):
    """Fails when a reduced cost or the offset is rounded the wrong way, or a sign is wrong."""
    law = np.array(weights) / sum(weights)
    if worth is None:
        problem = DeferralProblem.from_probs(law, share)
    else:
        problem = DeferralProblem(np.array(worth[: len(weights)], dtype=float), law, share)
    found = priced(problem)
    if found is None:
        return
    relaxation, prefix_value = found
    best = exact_sum(problem.values[brute_force(problem).deferred])
    cost = (prefix_value - best) * Fraction(2) ** relaxation.value_bits
    assert least_cost(relaxation) <= cost + 1
    assert screened(relaxation, int(cost) + 2).size > 0 or best == prefix_value


def test_on_a_flat_law_it_is_nearly_all_of_the_bound():
    """Fails when the prices are not found: the price of weight alone leaves 2.7e-3 of the value open, both 1e-4."""
    law = np.arange(1.0, 401.0) ** -0.5
    relaxation, prefix_value = priced(DeferralProblem.from_probs(law / law.sum(), 0.05))
    saved = (-least_cost(relaxation)) / 2**relaxation.value_bits
    assert saved > 0
    assert saved < 0.9 * relaxation.offset / 2**relaxation.value_bits
    assert saved < 0.05 * float(prefix_value)
