"""The optimality gap and the price of the step budget, on cases small enough to do by hand or by brute force."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.experiments.gap_and_price import (
    Union,
    derived_anew,
    optimality_gap,
    price_of_step_budgets,
    resample,
    solve_step,
    spent_budget,
    surprisal,
)
from analysis.experiments.solve_visited_rows import deferred_sets, step_budget
from proxyalign.deferral import policy
from proxyalign.deferral.law import Law
from proxyalign.deferral.rules import make

FLAT = np.array([0.25, 0.25, 0.25, 0.25])
PEAKED = np.array([0.94, 0.03, 0.02, 0.01])


def test_surprisal_of_an_impossible_token_is_zero():
    """Fails where 0 log 0 becomes NaN or a warning."""
    assert surprisal(np.array([0.0, 1.0])).tolist() == [0.0, 0.0]
    assert surprisal(np.array([math.exp(-1)])) == pytest.approx(1 / math.e)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_set_fits_the_budget_that_it_is_said_to_spend(weights):
    """Fails where the rounded sum is used, which the exact sum may exceed by half a unit in the last place."""
    law = np.array(weights) / max(1.0, 1.001 * sum(weights))
    budget = Fraction(spent_budget(law))
    mass = sum(map(Fraction, law.tolist()), Fraction(0))
    assert mass <= budget
    assert budget == 0 or mass > Fraction(math.nextafter(float(budget), 0))


def test_a_rule_without_a_budget_is_optimal_at_its_own_mass():
    """Statement 5: fails where the dual's set would be compared at another budget than its own."""
    step = solve_step(PEAKED, PEAKED < 0.025, budget=None)
    assert step.is_optimal
    assert step.optimum == pytest.approx(step.value, rel=1e-12)
    assert step.mass == pytest.approx(0.03)


def test_the_primal_gap_is_that_of_the_hand_made_step():
    """Weights .4 .35 .25, budget .4: the primal takes .25 alone and .35 is critical; the optimum is .4 or .35 alone."""
    p = np.array([0.4, 0.35, 0.25])
    step = solve_step(p, np.array([False, False, True]), budget=0.4)
    assert step.value == pytest.approx(-0.25 * math.log(0.25))
    assert step.optimum == pytest.approx(max(-0.4 * math.log(0.4), -0.35 * math.log(0.35)))
    gap = optimality_gap([step], np.array([0]), n_resamples=20, seed=0)
    assert gap.point == pytest.approx(1 - step.value / step.optimum)
    assert gap.low == gap.high == pytest.approx(gap.point)


def test_a_run_that_can_collect_nothing_has_no_gap():
    """Fails where 0 / 0 becomes NaN."""
    one_hot = np.array([1.0, 0.0])
    step = solve_step(one_hot, np.array([False, True]), budget=None)
    assert optimality_gap([step], np.array([0]), n_resamples=20, seed=0).point == 0


def _own(p, deferred):
    return [solve_step(row, taken, None) for row, taken in zip(p, deferred, strict=True)]


def test_one_threshold_for_all_steps_pays_no_price():
    """Statement 14: the dual is optimal on the union at the mass that it spends, in every resample too."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(30, 0.3), size=12)
    group = np.repeat(np.arange(4), 3)
    price, best = price_of_step_budgets(_own(p, p < 0.05), Union.of(p, group), group, n_resamples=50, seed=0)
    assert best == pytest.approx(surprisal(p)[p < 0.05].sum(), rel=1e-12)
    assert max(abs(price.point), abs(price.low), abs(price.high)) < 1e-9


def test_a_budget_per_step_pays_a_price_on_unequal_steps():
    """A flat and a peaked step: at the same total mass, one threshold collects more than spending evenly."""
    p = np.stack([FLAT, PEAKED])
    everything_unlikely = np.stack([np.zeros(4, bool), PEAKED < 0.5])
    group = np.array([0, 1])
    price, best = price_of_step_budgets(_own(p, everything_unlikely), Union.of(p, group), group, n_resamples=20, seed=0)
    assert price.point == pytest.approx(0, abs=1e-12)
    uneven = np.stack([FLAT < 0.5, np.zeros(4, bool)])
    dear, best = price_of_step_budgets(_own(p, uneven), Union.of(p, group), group, n_resamples=20, seed=0)
    assert best == pytest.approx(surprisal(PEAKED[1:]).sum() + (1 - 0.06) * -math.log(0.25))
    assert dear.point == pytest.approx(1 - surprisal(FLAT).sum() / best)
    assert dear.point > 0.05


def test_the_union_bound_is_at_least_the_best_subset_and_within_one_item_of_it():
    """Statement 1 on the union, against brute force; fails where items are sorted within their step alone."""
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(4), size=3)
    group = np.arange(3)
    values, weights = surprisal(p).ravel(), p.ravel()
    for budget in (0.05, 0.3, 0.9, 2.0):
        subsets = (np.array(taken) for taken in product((0, 1), repeat=12))
        best = max(float(taken @ values) for taken in subsets if taken @ weights <= budget)
        bound = Union.of(p, group).bound(np.array([budget]), np.ones((1, 3), dtype=np.int64))[0]
        assert best <= bound + 1e-12
        assert bound < best + values.max()


def test_a_question_drawn_twice_counts_twice():
    """Fails where a resample weighs the value but not the mass, or the other way round."""
    p = np.stack([FLAT, PEAKED])
    union = Union.of(p, np.array([0, 1]))
    twice = union.bound(np.array([0.12]), np.array([[0, 2]]))[0]
    once = union.bound(np.array([0.06]), np.array([[0, 1]]))[0]
    assert twice == pytest.approx(2 * once)


def test_resamples_draw_as_many_questions_as_there_are():
    """Fails where resampling is by step, or depends on anything but its seed."""
    counts = resample(7, 40, seed=3)
    assert counts.shape == (40, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert np.array_equal(counts, resample(7, 40, seed=3))


def test_the_gap_interval_covers_the_spread_of_the_questions():
    """Two questions of different gap: the interval must reach from one to the other."""
    bad = solve_step(np.array([0.4, 0.35, 0.25]), np.array([False, False, True]), budget=0.4)
    good = solve_step(np.array([0.4, 0.35, 0.25]), np.array([True, False, False]), budget=0.4)
    gap = optimality_gap([bad, good], np.array([0, 1]), n_resamples=200, seed=0)
    assert gap.low < gap.point < gap.high


def test_the_optimum_s_certificate_is_derived_anew():
    """Fails when nothing is checked, or a check that was not derived counts."""
    law = np.random.default_rng(3).dirichlet(np.full(50, 0.3))
    assert derived_anew(law, 0.3)


def test_a_rule_that_follows_the_text_is_measured_by_the_mass_that_it_spent():
    """Fails where the hybrid's sets are those of its first multiplier, or a mean budget bounds one step."""
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.full(30, 0.3), size=20).astype(np.float32)
    p[0] = p[0, :3].repeat(10) / p[0, :3].repeat(10).sum()  # ties, which a threshold takes together
    rule = make("hybrid", budget=0.3)
    law = Law(torch.from_numpy(p)[None], torch.from_numpy(p)[None])
    wanted = rule.propose(law).deferred[0]
    mass = policy.deferral_mass(torch.from_numpy(p), wanted).double().numpy()
    found = deferred_sets(rule, p, mass)
    assert np.array_equal(np.where(found, p, 0.0), np.where(wanted.numpy(), p, 0.0))  # tokens of mass 0 are no matter
    assert step_budget(rule) is None
    assert step_budget(make("primal", budget=0.3)) == 0.3
    assert step_budget(make("dual", alpha=0.3)) is None


def test_laws_are_measured_one_by_one():
    """Fails where a rule that pools a window of laws is asked about all visited ones as if they were one."""
    p = np.stack([FLAT, PEAKED]).astype(np.float32)
    pooled, alone = (make(name, budget=0.3) for name in ("primal-pooled", "primal"))
    assert np.array_equal(deferred_sets(pooled, p, np.zeros(2)), deferred_sets(alone, p, np.zeros(2)))
