"""Pisinger's classes: reproducible, faithful after scaling, solved by `exact` or left with a bound that holds."""

from fractions import Fraction

import numpy as np
import pytest

from proxyalign.errors import InputError
from proxyalign.knapsack import brute_force, exact, exact_sum, lp_bound, primal
from proxyalign.knapsack.oracle.instances import CLASSES, pisinger


def optimum_by_weight(instance):
    """The integer optimum by the textbook recursion over capacities, which knows nothing of densities."""
    best = np.zeros(instance.capacity + 1, dtype=np.int64)
    for value, weight in zip(instance.values.tolist(), instance.weights.tolist(), strict=True):
        if weight <= instance.capacity:
            best[weight:] = np.maximum(best[weight:], best[: best.size - weight] + value)
    return int(best[-1])


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(("size", "fill"), [(30, 0.5), (60, 0.2), (200, 0.7)])
def test_exact_finds_the_integer_optimum_of_every_class(kind, size, fill):
    """Fails when scaling to a mass of one costs a set its place, or `exact` misses an optimum that ties hide."""
    instance = pisinger(kind, size, 3, fill=fill, largest=60)
    total = int(instance.weights.sum())
    solution = exact(instance.problem, time_limit=20)
    optimum = Fraction(optimum_by_weight(instance), total)
    assert solution.value <= optimum * (1 + Fraction(1, 10**14))
    assert solution.upper_bound >= optimum * (1 - Fraction(1, 10**14))
    assert instance.weights[solution.deferred].sum() <= instance.capacity
    if solution.is_optimal:
        assert instance.values[solution.deferred].sum() == optimum * total


@pytest.mark.parametrize("kind", CLASSES)
def test_ten_thousand_items_are_solved_or_end_in_an_honest_bound(kind):
    """Fails when a limit ends in a set over the budget, a bound below the set, or a set below the greedy one."""
    problem = pisinger(kind, 10_000, 1).problem
    solution = exact(problem, time_limit=1.0)
    assert exact_sum(problem.weights[solution.deferred]) <= Fraction(problem.budget)
    assert primal(problem).value <= solution.value <= solution.upper_bound <= lp_bound(problem).value * (1 + 1e-12)
    assert solution.is_optimal or solution.upper_bound > solution.value


@pytest.mark.parametrize("kind", CLASSES)
def test_an_instance_is_its_arguments_and_has_a_mass_of_one(kind):
    """Fails when a class draws from a shared generator, ignores the seed, or is scaled by something else."""
    one, same, other = pisinger(kind, 500, 7), pisinger(kind, 500, 7), pisinger(kind, 500, 8)
    assert np.array_equal(one.values, same.values)
    assert np.array_equal(one.weights, same.weights)
    assert not np.array_equal(one.weights, other.weights)
    assert one.problem.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert one.values.min() > 0
    assert one.weights.min() > 0
    assert one.capacity / one.weights.sum() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_sets_that_fit_are_those_of_the_integers(kind):
    """Fails when rounding pushes a set that fills the capacity over the budget, or lets one in that is a unit over."""
    for seed in range(5):
        drawn = pisinger(kind, 12, seed, largest=30)
        deferred = brute_force(drawn.problem).deferred
        assert drawn.weights[deferred].sum() <= drawn.capacity
        assert drawn.values[deferred].sum() == optimum_by_weight(drawn)


def test_the_classes_are_those_of_the_paper():
    """Fails when a correlation is turned round or its band has another width."""
    drawn = {kind: pisinger(kind, 4000, 0) for kind in CLASSES}
    lead = {kind: instance.values - instance.weights for kind, instance in drawn.items()}
    assert np.abs(lead["weakly-correlated"]).max() == 100
    assert set(lead["strongly-correlated"].tolist()) == {100}
    assert set(lead["inverse-strongly-correlated"].tolist()) == {-100}
    assert (lead["almost-strongly-correlated"].min(), lead["almost-strongly-correlated"].max()) == (98, 102)
    assert set(lead["subset-sum"].tolist()) == {0}
    assert set(lead["multiple-strongly-correlated"].tolist()) == {200, 300}
    assert set(lead["profit-ceiling"].tolist()) == {0, 1, 2}
    assert np.ptp(drawn["similar-weights"].weights) == 100
    assert np.unique(drawn["spanner"].weights).size <= 20
    assert abs(np.corrcoef(drawn["uncorrelated"].values, drawn["uncorrelated"].weights)[0, 1]) < 0.05
    circle = drawn["circle"]
    assert np.allclose((1.5 * circle.values) ** 2 + (circle.weights - 2000) ** 2, 2000**2, rtol=0.01)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "hard"}, "kind must be one of uncorrelated, .*, got 'hard'"),
        ({"size": 0}, "size must be at least 1 item, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"fill": float("nan")}, r"fill must be in \[0, 1\], got nan"),
        ({"largest": 5}, "largest must be at least 20, got 5"),
    ],
)
def test_mistakes_are_named(options, sentence):
    """Fails when a mistake becomes an empty instance or an error of NumPy's."""
    with pytest.raises(InputError, match=sentence):
        pisinger(**{"kind": "uncorrelated", "size": 10, "seed": 0} | options)
