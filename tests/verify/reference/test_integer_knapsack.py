"""The hand's own optimum: two halves of undominated sets against every subset."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import problems

from proxyalign.verify.reference.integer_knapsack import IntegerKnapsack
from proxyalign.verify.reference.undominated_sets import best_pair, undominated


def subsets(values, weights):
    """The mass and the value of every subset."""
    for taken in itertools.product((0, 1), repeat=len(values)):
        yield (
            sum(w for w, d in zip(weights, taken, strict=True) if d),
            sum(v for v, d in zip(values, taken, strict=True) if d),
        )


@given(items=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=7), room=st.integers(0, 40))
def test_the_best_pair_is_the_best_subset_and_the_lightest_of_several(items, room):
    """Fails when a set that is needed counts as dominated, or a half's heaviest set is not left in time."""
    values, weights = [v for v, _ in items], [w for _, w in items]
    found = best_pair(undominated(values[::2], weights[::2]), undominated(values[1::2], weights[1::2]), room)
    value, mass = max((value, -mass) for mass, value in subsets(values, weights) if mass <= room)
    assert found == (value, -mass)


@given(items=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=7))
def test_undominated_sets_rise_in_mass_and_in_value(items):
    """Fails when two sets of one mass are kept, or one that is worth no more than a lighter one."""
    sets = undominated([v for v, _ in items], [w for _, w in items])
    assert all(one[0] < two[0] and one[1] > two[1] for one, two in itertools.pairwise(sets))


@given(problem=problems(), share=st.fractions(0, 1))
def test_whole_numbers_keep_every_digit_of_a_problem(problem, share):
    """Fails when the common power of two is too small, or a budget between two masses is rounded up."""
    whole = IntegerKnapsack(problem.values, problem.weights, problem.budget)
    values, weights = ([Fraction(x) for x in column.tolist()] for column in (problem.values, problem.weights))
    for budget in (Fraction(problem.budget), share * sum(weights)):
        assert whole.best(budget) == max(value for mass, value in subsets(values, weights) if mass <= budget)


@pytest.mark.parametrize("n_items", [13, 24])
def test_more_items_than_subsets_can_be_listed_are_solved(n_items):
    """Fails when the halves are not halves: 2^24 subsets would not come to an end."""
    rng = np.random.default_rng(n_items)
    weights = rng.integers(1, 2**20, n_items).astype(np.float64)
    whole = IntegerKnapsack(weights, weights, float(weights.sum() // 2))
    best, mass = whole.best_set()
    assert best == mass
    reached = np.zeros(int(weights.sum() // 2) + 1, dtype=bool)  # by dynamic programming over every mass
    reached[0] = True
    for weight in weights.astype(int).tolist():
        reached[weight:] |= reached[: reached.size - weight].copy()
    assert best == np.flatnonzero(reached)[-1]
