"""Statement 4: L(lambda) bounds the optimum for every lambda >= 0, is convex, and is U at lambda* = e_c, its least."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import problems, value

from proxyalign.errors import InputError
from proxyalign.knapsack import (
    Certificate,
    DeferralProblem,
    brute_force,
    certificate,
    dual_function,
    exact,
    lp_bound,
)

MULTIPLIERS = st.one_of(
    st.floats(0.0, 40.0), st.fractions(0, 40), st.sampled_from([0.0, 5e-324, 1e-300, 1e300, Fraction(2) ** 1100])
)


def _exactly(problem, multiplier):
    """L(lambda) from its definition, in rationals."""
    pairs = zip(problem.values.tolist(), problem.weights.tolist(), strict=True)
    return multiplier * Fraction(problem.budget) + sum(
        max(Fraction(0), Fraction(v) - multiplier * Fraction(w)) for v, w in pairs
    )


@given(problem=problems(), multiplier=MULTIPLIERS)
def test_every_multiplier_bounds_the_optimum(problem, multiplier):
    """Fails when the constraint's share lambda b is left out, or when a negative surplus is added."""
    bound = certificate(problem, multiplier).bound
    assert bound == _exactly(problem, Fraction(multiplier)) <= dual_function(problem, multiplier)
    assert bound >= value(problem, brute_force(problem).deferred)
    assert bound >= value(problem, exact(problem).deferred)


@given(problem=problems(), low=MULTIPLIERS, high=MULTIPLIERS)
def test_the_dual_function_is_convex(problem, low, high):
    """Fails when the set of paying items is not chosen anew for each multiplier."""
    middle = (Fraction(low) + Fraction(high)) / 2
    assert 2 * _exactly(problem, middle) <= certificate(problem, low).bound + certificate(problem, high).bound


@given(problem=problems(), other=MULTIPLIERS)
def test_no_multiplier_gives_a_lower_bound_than_the_critical_density(problem, other):
    """Fails when lambda* is rounded, or is the density of the last item of the prefix, where ties do not hide it."""
    best, relaxed = certificate(problem), lp_bound(problem)
    assert (best.multiplier, best.bound, best.upper_bound) == (relaxed.price, relaxed.bound, relaxed.value)
    assert best.bound <= certificate(problem, other).bound


@given(problem=problems())
def test_the_dual_function_has_its_least_value_at_one_of_its_kinks(problem):
    """Fails when U is not the least of a piecewise linear convex function, which is at a density or at 0."""
    paid = np.flatnonzero(problem.weights > 0.0)
    kinks = {Fraction(problem.values[item]) / Fraction(problem.weights[item]) for item in paid} | {Fraction(0)}
    assert lp_bound(problem).bound == min(_exactly(problem, kink) for kink in kinks)


@given(problem=problems())
def test_a_certificate_is_accepted_and_a_tampered_one_refused(problem):
    """Fails when check() believes the number that it was given."""
    proof = certificate(problem)
    assert proof.check(problem)
    assert not replace(proof, bound=proof.bound - Fraction(1, 10**30)).check(problem)
    assert not replace(proof, multiplier=-1.0).check(problem)
    assert not replace(proof, multiplier=math.nan).check(problem)
    assert not Certificate(multiplier=proof.multiplier, bound=Fraction(-1)).check(problem)


@pytest.mark.parametrize("multiplier", [-1e-9, math.nan, math.inf])
def test_a_multiplier_that_is_no_price_is_refused(multiplier):
    """Fails when NaN passes the comparison."""
    problem = DeferralProblem.from_probs(np.array([0.25, 0.75]), budget=0.5)
    with pytest.raises(InputError, match="multiplier"):
        dual_function(problem, multiplier)
