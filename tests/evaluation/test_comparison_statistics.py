"""McNemar by enumeration, Holm by hand, and a bootstrap that resamples questions and covers as often as it says."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyalign.errors import InputError
from proxyalign.evaluation.comparison import intervals
from proxyalign.evaluation.comparison.intervals import holm, mcnemar, percentile_interval, resampled_sums


@pytest.mark.parametrize("n", range(9))
def test_mcnemar_is_the_share_of_coins_at_least_as_far_from_the_middle(n):
    """Fails for a one-sided p, one that is doubled beyond 1, and a mid-p that counts ties whole or not at all."""
    distances = [abs(2 * sum(coins) - n) for coins in itertools.product((0, 1), repeat=n)]
    for n_helps in range(n + 1):
        here = abs(2 * n_helps - n)
        farther = Fraction(sum(one > here for one in distances), len(distances))
        as_far = Fraction(sum(one == here for one in distances), len(distances))
        wanted = (1.0, 1.0) if n == 0 else (float(farther + as_far), float(farther + as_far / 2))
        assert mcnemar(n_helps, n - n_helps) == wanted


def test_mcnemar_gives_the_published_example():
    """Fagerland, Lydersen and Laake (2013), 1 and 7 pairs that changed: .0703 and .0391. Fails for another test."""
    assert mcnemar(1, 7) == pytest.approx((0.0703, 0.0391), abs=5e-5)


@pytest.mark.parametrize(("n_helps", "n_harms"), [(0, 1200), (700, 600), (3000, 3100), (4, 0)])
def test_mcnemar_of_many_questions_is_the_binomial_test(n_helps, n_harms):
    """Fails where large counts overflow, or lose their digits."""
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed (extra [tune])")
    wanted = stats.binomtest(n_helps, n_helps + n_harms).pvalue
    assert mcnemar(n_helps, n_harms)[0] == pytest.approx(wanted, rel=1e-9, abs=1e-300)


@given(n_helps=st.integers(0, 400), n_harms=st.integers(0, 400))
def test_mcnemar_treats_both_ways_alike(n_helps, n_harms):
    """Fails for a test of one direction, a mid-p above p, and a p that is no probability."""
    p, mid_p = mcnemar(n_helps, n_harms)
    assert mcnemar(n_harms, n_helps) == (p, mid_p)
    assert 0 <= mid_p <= p <= 1


def test_holm_by_hand():
    """Fails for Bonferroni (0.04, 0.12, 0.16, 0.02), and where a smaller p gets a larger correction than a larger p."""
    assert holm([0.01, 0.03, 0.04, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values=st.lists(st.floats(0, 1), max_size=8), data=st.data())
def test_holm_keeps_order_and_stays_between_p_and_bonferroni(p_values, data):
    """Fails where the place of a test in the list matters, and where a correction makes a test surer."""
    adjusted = holm(p_values)
    for p, one in zip(p_values, adjusted, strict=True):
        assert p <= one <= min(1.0, len(p_values) * p) or one == p
    order = data.draw(st.permutations(range(len(p_values))))
    assert holm([p_values[i] for i in order]) == [adjusted[i] for i in order]
    ranked = [one for _, one in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_not_corrected(p):
    """Fails when NaN sorts itself anywhere and is passed on."""
    with pytest.raises(InputError, match="pass probabilities"):
        holm([0.5, p])


def test_resamples_have_the_law_of_draws_with_replacement():
    """All 27 resamples of three questions, chi-square of 9 sums at level 0.001. Fails without replacement, or where a
    question is drawn less often than another."""
    sums = resampled_sums(np.array([[1.0], [10.0], [100.0]]), 27_000, seed=1)
    counts = Counter(sums[:, 0].tolist())
    expected = Counter(float(sum(one)) for one in itertools.product((1, 10, 100), repeat=3))
    assert counts.keys() == expected.keys()
    statistic = sum((counts[one] - 1000 * n) ** 2 / (1000 * n) for one, n in expected.items())
    assert statistic < 27.9  # the 0.999 quantile at 9 degrees of freedom


def test_columns_share_their_resamples_and_tables_of_any_size_give_the_same(monkeypatch):
    """Fails where paired runs are resampled apart, and where memory decides the numbers."""
    columns = np.random.default_rng(0).normal(size=(7, 1)) * np.array([1.0, 2.0])
    sums = resampled_sums(columns, 50, seed=3)
    assert np.allclose(2 * sums[:, 0], sums[:, 1])
    monkeypatch.setattr(intervals, "_AT_ONCE", 14)
    assert np.allclose(resampled_sums(columns, 50, seed=3), sums)


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    """400 pairs of runs of 150 questions, of which a fifth are helped and a tenth harmed: the difference is 0.1 in 95
    percent of the intervals, give or take three standard errors. Fails for quantiles of another level, and for samples
    larger or smaller than the run."""
    rng = np.random.default_rng(0)
    n, hits = 150, 0
    for seed in range(400):
        changes = rng.choice([1.0, -1.0, 0.0], p=[0.2, 0.1, 0.7], size=(n, 1))
        low, high = percentile_interval(resampled_sums(changes, 1000, seed)[:, 0] / n)
        hits += low <= 0.1 <= high
    assert abs(hits / 400 - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 400)


def test_values_that_are_none_are_no_part_of_an_interval():
    """Fails when a resample without any weight makes the whole interval NaN."""
    assert percentile_interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert percentile_interval(np.array([np.nan])) is None


def test_no_question_is_no_bootstrap():
    """Fails when an empty table ends in NumPy's own words."""
    with pytest.raises(InputError, match="whole number of at least 1"):
        resampled_sums(np.zeros((0, 1)), 10, seed=0)


def test_counts_that_cannot_be_are_refused():
    """Fails when a negative number of questions has a p."""
    with pytest.raises(InputError, match="n_harms must be a whole number"):
        mcnemar(3, -1)
