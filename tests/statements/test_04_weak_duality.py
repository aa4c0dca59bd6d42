"""Statement 4 (stmt:weak-duality in paper/theory.tex): L(lambda) >= OPT, L is convex, min L = U at lambda* = e_c."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import check, knapsacks, problems, value

from proxyalign.errors import InputError
from proxyalign.knapsack import Certificate, DeferralProblem, certificate, dual_function, exact, lp_bound
from proxyalign.verify.reference.integer_knapsack import IntegerKnapsack

RATIONAL = st.one_of(st.fractions(0, 40), st.sampled_from([Fraction(2) ** 1100, Fraction(1, 3)]))


@given(case=knapsacks())
def test_every_multiplier_bounds_the_optimum_and_the_critical_density_best(case):
    """Fails when lambda b is left out, a negative surplus is added, or lambda* is another item's density."""
    check(4, case)


@given(problem=problems(), multiplier=RATIONAL)
def test_a_multiplier_may_be_a_rational(problem, multiplier):
    """Fails when it is rounded to float64 on the way."""
    bound = certificate(problem, multiplier).bound
    assert bound == IntegerKnapsack(problem.values, problem.weights, problem.budget).lagrangian(multiplier)
    assert value(problem, exact(problem).deferred) <= bound <= dual_function(problem, multiplier)


@given(problem=problems())
def test_without_a_multiplier_the_certificate_is_the_best_one(problem):
    """Fails when lambda* is rounded, or the rounded bound is not that of the linear relaxation."""
    best, relaxed = certificate(problem), lp_bound(problem)
    assert (best.multiplier, best.bound, best.upper_bound) == (relaxed.price, relaxed.bound, relaxed.value)


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
