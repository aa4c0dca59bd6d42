"""The exact solver against every subset, at the last bit, under limits, and on rows of a full vocabulary."""

import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import general_problems, law_problems, mass, problems, value

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, brute_force, exact, lp_bound

V = 49_152


@settings(max_examples=200)
@given(problem=law_problems())
def test_it_finds_what_enumeration_finds_for_laws(problem):
    """Fails when a state that leads to the optimum is dropped, on ties, zeros and subnormals too."""
    solution, best = exact(problem), value(problem, brute_force(problem).deferred)
    assert mass(problem, solution.deferred) <= Fraction(problem.budget)
    assert best * (1 - Fraction(1, 10**12)) <= value(problem, solution.deferred) <= best
    assert solution.is_optimal


@settings(max_examples=200)
@given(problem=general_problems())
def test_it_finds_what_enumeration_finds_for_values_of_any_kind(problem):
    """Fails when the density order or the scaling to integers assumes surprisals."""
    solution, best = exact(problem), value(problem, brute_force(problem).deferred)
    assert mass(problem, solution.deferred) <= Fraction(problem.budget)
    assert best * (1 - Fraction(1, 10**12)) <= value(problem, solution.deferred) <= best
    assert solution.is_optimal


@settings(max_examples=50)
@given(problem=problems(max_size=8))
def test_with_a_gap_of_nothing_it_is_right_to_the_last_bit(problem):
    """Fails when 64-bit scaling is believed where only unbounded integers can tell."""
    solution = exact(problem, gap=0.0)
    assert solution.is_optimal
    assert value(problem, solution.deferred) == value(problem, brute_force(problem).deferred)


@pytest.mark.parametrize(
    ("problem", "gap", "optimum"),
    [
        (DeferralProblem([7.0, 6.0, 5.0, 10.0], [1.0, 1.0, 8.0, 2.0**24], 2.0**24 + 2), 1e-12, [0, 1, 3]),
        (DeferralProblem([1.0, 0.9, 1e-31], [0.5, 0.6, 1e-30], 0.7), 0.0, [0, 2]),
    ],
    ids=["a heavy item beside light ones", "an item lighter than a unit"],
)
def test_a_wide_range_of_weights_costs_no_proof(problem, gap, optimum):
    """Fails when slopes that rounding made equal are filled in another order than that of what they add up to, or an
    addition that rounds to no weight is charged for the room that it does not fill."""
    solution = exact(problem, gap=gap)
    assert solution.is_optimal
    assert np.flatnonzero(solution.deferred).tolist() == optimum


def test_one_token_that_takes_nearly_all_leaves_the_right_ones():
    """Fails when removals are priced out of order: the bound then equals a set that is not optimal."""
    law = [0.99999, 7.052717143632103e-07, 3.5256533001016883e-07, 3.5260058654316986e-07, 8.589562369083452e-06]
    problem = DeferralProblem.from_probs(law, 0.9999992947635492)
    solution = exact(problem)
    assert solution.is_optimal
    assert value(problem, solution.deferred) == value(problem, brute_force(problem).deferred)


@pytest.mark.parametrize("gap", [1e-12, 0.0])
def test_many_items_lighter_than_a_unit_add_up(gap):
    """Fails when what rounds to nothing is forgotten: a set is worth 1 + 5.1e-9, and the bound once was 1."""
    weights = np.concatenate([[0.5], np.full(30_000, 0.6), np.full(100_000, 2.0**-44)])
    values = np.concatenate([[1.0], np.full(30_000, 0.59), 0.9 * weights[-100_000:]])
    solution = exact(DeferralProblem(values, weights, 1.0), gap=gap)
    assert solution.is_optimal
    assert solution.value > 1.0 + 5.1e-9


@pytest.mark.parametrize("budget", [0.1, 0.3, 0.55])
def test_of_a_uniform_law_as_many_as_fit_are_taken_without_a_search(budget, monkeypatch):
    """Fails when a search is begun where all weigh the same; on 128,000 tokens it took 18 seconds."""
    monkeypatch.setattr(sys.modules[exact.__module__]._Search, "deepen", None)
    law = np.full(128_000, 1 / 128_000)
    solution = exact(DeferralProblem.from_probs(law, budget), gap=0.0)
    assert solution.is_optimal
    assert solution.n_deferred == Fraction(budget) // Fraction(1 / 128_000)


def zipf(seed, exponent=1.0):
    law = np.arange(1.0, V + 1.0) ** -exponent
    return np.random.default_rng(seed).permutation(law / law.sum())


def peaked(seed, top):
    rest = np.random.default_rng(seed).dirichlet(np.full(V - 1, 0.02))
    return np.concatenate([[top], (1 - top) * rest])


def dusty(seed):
    """Half of the tokens have less mass than the unit to which 64-bit integers round."""
    return np.random.default_rng(seed).dirichlet(np.full(V, 0.01))


def single_precision(seed):
    logits = (3 * np.random.default_rng(seed).normal(size=V)).astype(np.float32)
    odds = np.exp(logits - logits.max())
    return odds / odds.sum(dtype=np.float32)


@pytest.mark.parametrize(
    ("law", "budget"),
    [
        (zipf(0), 0.4),
        (zipf(0), 0.05),
        (zipf(0, 0.9), 0.05),
        (dusty(0), 0.1),
        (dusty(0), 0.3),
        (peaked(0, 0.99), 0.1),
        (single_precision(0), 0.1),
        (single_precision(0), 0.5),
    ],
    ids=["Zipf", "Zipf, .05", "Zipf 0.9, .05", "dusty, .1", "dusty, .3", "peaked", "float32", "float32, half"],
)
def test_a_full_vocabulary_is_certified(law, budget):
    """Fails when the search explodes, when the set overspends by one rounding, or when the bound is not met."""
    problem = DeferralProblem.from_probs(law, budget)
    solution = exact(problem, time_limit=60.0)
    assert solution.is_optimal
    assert sum(map(Fraction, problem.weights[solution.deferred].tolist())) <= Fraction(budget)
    assert solution.value <= solution.upper_bound <= lp_bound(problem).value * (1 + 1e-14)
    assert solution.upper_bound <= solution.value * (1 + 2e-12)


def test_where_the_search_gives_up_the_set_is_still_good():
    """Fails when a flat law, on which few changes help, keeps the prefix: it is 1.6 percent from the bound."""
    law = np.arange(1.0, 401.0) ** -0.5
    problem = DeferralProblem.from_probs(law / law.sum(), 0.05)
    solution = exact(problem, time_limit=2.0)
    assert mass(problem, solution.deferred) <= Fraction(problem.budget)
    assert solution.upper_bound <= solution.value * (1 + 1e-3)


@settings(max_examples=100)
@given(problem=problems(max_size=8), data=st.data())
def test_a_start_changes_no_optimum(problem, data):
    """Fails when the start counts although it is worse than the prefix, or its items get mixed up."""
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(problem), max_size=len(problem))), dtype=np.bool_)
    while mass(problem, chosen) > Fraction(problem.budget):
        chosen[np.flatnonzero(chosen)[-1]] = False
    started, alone = exact(problem, gap=0.0, start=chosen), exact(problem, gap=0.0)
    assert started.is_optimal
    assert mass(problem, started.deferred) <= Fraction(problem.budget)
    assert value(problem, started.deferred) == value(problem, alone.deferred)


def test_a_search_that_is_cut_short_keeps_the_start():
    """Fails when the start is forgotten, or the bound is less than it is worth."""
    law = np.arange(1.0, 401.0) ** -0.5
    problem = DeferralProblem.from_probs(law / law.sum(), 0.05)
    good = exact(problem, time_limit=2.0)
    solution = exact(problem, time_limit=1e-9, start=good.deferred)
    assert exact(problem, time_limit=1e-9).value < good.value <= solution.value <= solution.upper_bound


@pytest.mark.parametrize("limits", [{"time_limit": 1e-9}, {"memory_limit": 1.0}])
def test_a_limit_ends_the_search_honestly(limits):
    """Fails when a search cut short still says optimal, overspends, or forgets the bound proved so far."""
    problem = DeferralProblem.from_probs(zipf(0, 0.7), 0.1)
    solution = exact(problem, gap=0.0, **limits)
    assert not solution.is_optimal
    assert mass(problem, solution.deferred) <= Fraction(problem.budget)
    assert solution.value < solution.upper_bound <= lp_bound(problem).value * (1 + 1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gap": -1.0}, "gap must be finite"),
        ({"gap": math.nan}, "gap must be finite"),
        ({"time_limit": 0.0}, "time_limit must be above 0"),
        ({"time_limit": math.nan}, "time_limit must be above 0"),
        ({"memory_limit": 0.0}, "memory_limit must be above 0"),
        ({"start": [1]}, "boolean array of shape"),
        ({"start": [True, False]}, "boolean array of shape"),
        ({"start": [True]}, "start must fit the budget 0.5, got a set of mass 1.0"),
    ],
)
def test_limits_out_of_range_are_refused(arguments, message):
    """Fails when NaN passes a range check."""
    with pytest.raises(InputError, match=message):
        exact(DeferralProblem([1.0], [1.0], 0.5), **arguments)
