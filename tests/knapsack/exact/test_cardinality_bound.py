"""The bound by the number of items: never above what a set can cost, and of use where laws are flat."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyalign.knapsack import DeferralProblem, brute_force, exact, exact_sum, prefix_that_fits
from proxyalign.knapsack.exact.cardinality_bound import least_cost, screened, with_most_items
from proxyalign.knapsack.exact.core import candidates, integers
from proxyalign.knapsack.exact.solver import _Search


def priced(problem):
    """The relaxation with second prices, and the prefix's value; None where the prefix is all that there is."""
    usable = problem.order[(problem.weights <= problem.budget)[problem.order]]
    n_prefix = prefix_that_fits(problem.weights[usable], problem.budget)
    if n_prefix == usable.size:
        return None
    room = Fraction(problem.budget) - exact_sum(problem.weights[usable[:n_prefix]])
    relaxation = integers(problem, candidates(problem, usable, n_prefix, room))
    return with_most_items(relaxation), exact_sum(problem.values[usable[:n_prefix]])


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


def test_what_stands_in_for_the_optimum_is_not_dropped_for_an_item_too_many(monkeypatch):
    """Fails when items are counted as they are, and sets stand in for others as they are rounded: the bound is too low.

    Rounded, an item of the prefix and a new one weigh what the optimum has in their place. With them one item more than
    fits would fit, as rounded, by less than the rounding.
    """
    weights = [
        0.0025000000000000005,
        0.0033191157730445217,
        0.0034114249073733324,
        0.00341142490737333,
        0.002193871071193427,
        0.005512986844237948,
        0.0034114249073733324,
        0.00341142490737333,
    ]
    values = [
        0.5,
        0.003382260985323088,
        0.003474570119651899,
        0.0034467818394007927,
        0.0022287691570658536,
        0.005575945966980176,
        0.003474570119651899,
        0.0034467755248795647,
    ]
    problem = DeferralProblem(
        np.append(np.full(430, 0.00118803269542057), values),
        np.append(np.full(430, 0.001096935535596713), weights),
        0.48651811696557123,
    )
    best = exact(problem, gap=0.0)
    monkeypatch.setattr(_Search.deepen, "__defaults__", (1,))  # so that items are counted at once
    found = exact(problem)
    assert found.is_optimal
    assert found.value == best.value
