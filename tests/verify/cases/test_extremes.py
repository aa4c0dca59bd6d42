"""The trials of `exact`: what they cover, and that a false word in any part of a solution is told."""

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from proxyalign.knapsack import exact_sum
from proxyalign.verify.cases.extremes import KINDS, extreme
from proxyalign.verify.statements import exact_solver
from proxyalign.verify.statements.exact_solver import tried

CASES = [extreme(np.random.default_rng([5, number])) for number in range(1500)]


def test_the_trials_are_of_every_kind_and_size_and_way_to_ask():
    """Fails when a kind, a size, a limit or a start is no longer drawn."""
    assert set(Counter(case.kind for case in CASES)) == set(KINDS)
    assert {case.values.size for case in CASES} == set(range(1, 25))
    assert {case.gap for case in CASES} == {0.0, 1e-6, 1e-12}
    for share in (
        np.mean([case.time_limit < math.inf for case in CASES]),
        np.mean([case.memory_limit < 2.0**20 for case in CASES]),
        np.mean([case.start is not None for case in CASES]),
        np.mean([case.p is not None for case in CASES]),
    ):
        assert 0.05 < share < 0.6
    orders = [math.log2(case.values.max() / case.values.min()) for case in CASES if case.values.min() > 0]
    assert max(orders) > 70


def test_budgets_lie_on_a_subset_s_mass_and_a_bit_to_either_side():
    """Fails when no budget decides whether a set fits by its last bit."""
    places = Counter()
    for case in CASES:
        if case.problem.budget > 0.0:
            _, mass = case.in_integers.best_set()
            budget = Fraction(case.problem.budget)
            places["on"] += mass == budget
            after = case.in_integers.best_set(Fraction(math.nextafter(case.problem.budget, math.inf)))[1]
            places["below"] += after > budget
    assert places["on"] > 50
    assert places["below"] > 20


def test_a_start_fits():
    """Fails when a start is refused before anything is tried."""
    for case in CASES:
        if case.start is not None:
            assert exact_sum(case.weights[case.start]) <= case.problem.budget


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        (lambda found: replace(found, value=math.nextafter(found.value, math.inf)), "value is its sum"),
        (lambda found: replace(found, mass=math.nextafter(found.mass, -1.0)), "mass is its sum"),
        (lambda found: replace(found, upper_bound=0.999 * found.upper_bound), "upper bound"),
        (lambda found: replace(found, deferred=np.ones_like(found.deferred)), "fits the budget"),
        (lambda found: replace(found, deferred=np.zeros_like(found.deferred)), "called optimal only to its gap"),
        (lambda found: replace(found, is_optimal=False), "is called optimal"),
    ],
)
def test_a_false_word_of_the_solver_is_told(monkeypatch, change, claim):
    """Fails when a part of a solution may be wrong and no claim looks at it."""
    right = exact_solver.exact
    monkeypatch.setattr(exact_solver, "exact", lambda *asked, **how: change(right(*asked, **how)))
    broken = {one.name for case in CASES[:40] for one in tried(case) if not one.holds}
    assert any(claim in name for name in broken)


def test_an_exception_is_a_violation_with_its_words(monkeypatch):
    """Fails when a raw exception ends a verification, or hides in a million cases."""
    from proxyalign.verify.statements import statement

    def raises(*asked, **how):
        raise IndexError("index 7 is out of bounds")

    monkeypatch.setattr(exact_solver, "exact", raises)
    (claim,) = statement(2).judged(CASES[0])
    assert not claim.holds
    assert claim.name == "nothing is raised, got IndexError: index"
