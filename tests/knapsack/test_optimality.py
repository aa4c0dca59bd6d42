"""A certificate convinces where the claim is true, is read back to the last bit, and is refused where changed."""

import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import general_problems, law_problems, value

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, OptimalityCertificate, brute_force, certify, exact, primal


def flat():
    """A law on which the linear relaxation is well above the optimum, so that a core is left."""
    law = np.random.default_rng(1).dirichlet(np.ones(60))
    problem = DeferralProblem.from_probs(law, 0.1)
    return problem, exact(problem)


@settings(max_examples=100)
@given(problem=law_problems())
def test_an_optimum_convinces(problem):
    """Fails when a reduced-cost test is claimed that does not hold, or rounding keeps the core from closing."""
    verdict = certify(problem, exact(problem)).check()
    assert verdict
    assert value(problem, brute_force(problem).deferred) <= verdict.upper_bound


@settings(max_examples=100)
@given(problem=general_problems())
def test_what_is_not_optimal_does_not_convince(problem):
    """Fails when the plain method prunes the better set, or a better set is fixed away."""
    best = value(problem, brute_force(problem).deferred)
    solution = primal(problem)
    reached = value(problem, solution.deferred)
    if best > reached * (1 + Fraction(1, 10**9)):
        assert not certify(problem, solution).check()


def test_a_core_is_solved_a_second_time():
    """Fails when a bound that is too high is believed, or the second method is never asked."""
    problem, solution = flat()
    certificate = certify(problem, solution)
    verdict = certificate.check()
    assert verdict
    assert 0 < verdict.n_core < 60
    assert verdict.value == value(problem, solution.deferred)
    assert verdict.upper_bound <= verdict.value * (1 + Fraction(certificate.gap))
    unaffordable = certificate.check(max_states=1)
    assert not unaffordable
    assert unaffordable.problem is None
    assert "core" in unaffordable.not_derived
    assert unaffordable.upper_bound > verdict.upper_bound


def test_it_round_trips_to_the_last_bit():
    """Fails when a number goes through decimal, or an array loses its end."""
    certificate = certify(*flat())
    again = OptimalityCertificate.from_json(certificate.to_json())
    for name in ("values", "weights", "deferred", "fixed"):
        np.testing.assert_array_equal(getattr(again, name), getattr(certificate, name))
    assert (again.budget, again.multiplier, again.gap) == (certificate.budget, certificate.multiplier, certificate.gap)
    assert again.check()


def flipped(column, item):
    changed = column.copy()
    changed[item] = ~changed[item]
    return changed


@pytest.mark.parametrize("item", range(60))
def test_a_changed_set_is_refused(item):
    """Fails when the value is believed instead of added up: no set but this one is worth as much."""
    certificate = certify(*flat())
    assert not dataclasses.replace(certificate, deferred=flipped(certificate.deferred, item)).check()


def test_a_fixing_that_was_not_there_is_refused():
    """Fails when the reduced-cost tests are not made again."""
    certificate = certify(*flat())
    verdict = dataclasses.replace(certificate, fixed=np.ones(60, dtype=np.bool_)).check()
    assert not verdict
    assert "said to be fixed" in verdict.problem


def test_a_smaller_problem_or_budget_is_refused():
    """Fails when the weight of the set is not added up against the budget that is told."""
    certificate = certify(*flat())
    verdict = dataclasses.replace(certificate, budget=np.nextafter(float(exact(flat()[0]).mass), 0.0) * 0.99).check()
    assert not verdict
    assert "more than the budget" in verdict.problem


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.pop("multiplier"),
        lambda told: told.update(format="something else"),
        lambda told: told.update(values=told["values"][:-8]),
        lambda told: told.update(multiplier="1/0"),
        lambda told: told.update(multiplier="-1"),
        lambda told: told.update(gap="nan"),
        lambda told: told.update(budget="-0x1p-1"),
        lambda told: told.update(n=59),
    ],
)
def test_a_text_that_was_damaged_is_not_read(change):
    """Fails when damage ends in a traceback, or is read as something else."""
    told = json.loads(certify(*flat()).to_json())
    change(told)
    with pytest.raises(InputError, match=r"must be what to_json wrote"):
        OptimalityCertificate.from_json(json.dumps(told))


def test_a_solution_of_another_problem_is_refused():
    """Fails when sizes are not compared before the work."""
    problem, _ = flat()
    with pytest.raises(InputError, match="must be of the problem's 60 items, got one of 2"):
        certify(problem, exact(DeferralProblem([1.0, 1.0], [0.5, 0.5], 1.0)))
