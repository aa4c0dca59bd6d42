"""Bounds: the linear relaxation at its edges, and certificates that are added up anew before they are believed."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from strategies import law_problems, problems, value

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, brute_force, certificate, dual_function, lp_bound, primal


def test_a_bound_worked_by_hand():
    """Fails when the room, the critical density or the prefix is off by one."""
    bound = lp_bound(DeferralProblem([6.0, 4.0, 1.0], [1.0, 2.0, 4.0], 2.0))
    assert (bound.n_prefix, bound.critical) == (1, 1)
    assert (bound.prefix_value, bound.prefix_weight) == (6.0, 1.0)
    assert (bound.value, bound.gap, bound.multiplier) == (8.0, 2.0, 2.0)


def test_without_a_critical_item_the_bound_is_the_whole_value():
    """Fails when a budget met exactly leaves a critical item, or when lambda* is not 0 there."""
    bound = lp_bound(DeferralProblem([6.0, 4.0], [1.0, 2.0], 3.0))
    assert (bound.critical, bound.value, bound.gap, bound.multiplier) == (None, 10.0, 0.0, 0.0)


def test_densities_that_overflow_alike_are_told_apart():
    """Fails when the order is by float quotients: both of these overflow, so that the first looks like the densest."""
    tiny = 5e-324
    problem = DeferralProblem(values=[1.0, 2.0], weights=[tiny, tiny], budget=tiny)
    bound = lp_bound(problem)
    assert (bound.value, bound.prefix_value, bound.critical) == (2.0, 2.0, 0)
    assert bound.price == Fraction(1, Fraction(tiny))
    assert primal(problem).value == brute_force(problem).value == 2.0


def test_neighbours_that_rounding_has_swapped_do_not_lower_the_bound():
    """Fails when the order by p is taken for that of p log p / p: the bound is then below what a set is worth."""
    law = [float.fromhex(f"0x1.c422e4816d88{digit}p-5") for digit in "dcaff"] + [float.fromhex("0x1.72b518978dc54p-1")]
    problem = DeferralProblem.from_probs(law, budget=float.fromhex("0x1.531a2b611226ap-3"))
    best = value(problem, brute_force(problem).deferred)
    assert Fraction(lp_bound(problem).value) >= best


@given(problem=problems())
def test_a_certificate_proves_its_bound_and_refuses_a_lower_one(problem):
    """Fails when check() trusts the number that it is given, or adds up only the items that pay."""
    proof = certificate(problem)
    assert proof.check(problem)
    assert Fraction(proof.upper_bound) >= proof.bound >= value(problem, brute_force(problem).deferred)
    assert not replace(proof, bound=proof.bound - Fraction(1, 2**2000)).check(problem)


@given(problem=law_problems())
def test_a_certificate_is_refused_for_a_problem_with_more_to_gain(problem):
    """Fails when check() does not read the problem in front of it."""
    richer = DeferralProblem([*problem.values, 1.0], [*problem.weights, 0.0], problem.budget)
    assert not certificate(problem).check(richer)


@pytest.mark.parametrize("multiplier", [-1e-300, math.nan, math.inf])
def test_a_certificate_at_no_price_is_refused(multiplier):
    """Fails when NaN or infinity passes the range check, in the making or in the checking."""
    problem = DeferralProblem([1.0, 1.0], [1.0, 2.0], 1.0)
    assert not replace(certificate(problem), multiplier=multiplier).check(problem)
    with pytest.raises(InputError, match="multiplier must be finite and at least 0"):
        dual_function(problem, multiplier)


def test_a_price_between_two_floats_is_settled_exactly():
    """Fails when the price is rounded up first: the rounded product 1.19 * 1.39 is worth a little more than 1.19."""
    price, weight, worth = Fraction(1.19) + Fraction(1, 2**80), 1.39, 1.19 * 1.39
    surplus = Fraction(worth) - price * Fraction(weight)
    assert 0 < surplus < Fraction(math.ulp(worth))
    assert certificate(DeferralProblem([worth], [weight], 0.0), price).bound == surplus


def test_a_price_within_one_rounding_of_an_item_is_settled_exactly():
    """Fails when float products decide: 3 * 0.1 is rounded up, so that value and price look equal."""
    weight = 0.1
    problem = DeferralProblem([3 * weight], [weight], 0.0)
    surplus = Fraction(3 * weight) - 3 * Fraction(weight)
    assert surplus > 0
    assert certificate(problem, 3.0).bound == surplus
