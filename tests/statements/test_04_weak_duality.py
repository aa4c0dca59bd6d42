"""Statement 4: L(lambda) bounds the optimum for every lambda >= 0, is convex, and is U at lambda* = e_c, its least."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import law_problems, problems, value

from proxyalign.errors import InputError
from proxyalign.knapsack import Certificate, brute_force, certificate, dual_function, exact, lp_bound

MULTIPLIERS = st.one_of(st.floats(0.0, 40.0), st.sampled_from([0.0, 5e-324, 1e-300, 1e300]))


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
    assert bound == _exactly(problem, Fraction(multiplier))
    assert bound >= value(problem, brute_force(problem).deferred)
    assert bound >= value(problem, exact(problem).deferred)
    assert dual_function(problem, multiplier) >= bound


@given(problem=problems(), low=MULTIPLIERS, high=MULTIPLIERS)
def test_the_dual_function_is_convex(problem, low, high):
    """Fails when the set of paying items is not chosen anew for each multiplier."""
    middle = (Fraction(low) + Fraction(high)) / 2
    assert 2 * _exactly(problem, middle) <= certificate(problem, low).bound + certificate(problem, high).bound


@given(problem=law_problems(), other=MULTIPLIERS)
def test_no_multiplier_gives_a_lower_bound_than_the_critical_density(problem, other):
    """Fails when lambda* is the density of the last item of the prefix, where ties do not hide it."""
    best, bound = certificate(problem).upper_bound, lp_bound(problem).value
    assert best == pytest.approx(bound, rel=1e-12, abs=1e-15)
    assert best <= dual_function(problem, other) * (1 + 1e-12) + 1e-15


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
    from proxyalign.knapsack import DeferralProblem

    problem = DeferralProblem.from_probs(np.array([0.25, 0.75]), budget=0.5)
    with pytest.raises(InputError, match="multiplier"):
        dual_function(problem, multiplier)
