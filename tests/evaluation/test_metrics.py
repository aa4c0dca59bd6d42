"""Metrics against values worked out by hand and intervals from the literature."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyalign.errors import InputError
from proxyalign.evaluation import summarise, wilson
from proxyalign.evaluation.metrics import macro, measure


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(n_right, n, low, high):
    """Table I, method 3 of Newcombe (1998), Statistics in Medicine 17. Fails for any other interval."""
    assert wilson(n_right, n) == pytest.approx((low, high), abs=5e-5)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_holds_the_share_and_mirrors(n, share):
    """Fails when an end leaves [0, 1] or the share, and when right and wrong are not treated alike."""
    n_right = round(n * share)
    low, high = wilson(n_right, n)
    assert 0 <= low <= n_right / n <= high <= 1
    assert wilson(n - n_right, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("n_right", "n"), [(0, 0), (-1, 5), (6, 5), (math.nan, 5)])
def test_wilson_refuses_counts_that_cannot_be(n_right, n):
    """Fails when an impossible count gives an interval, or a division by zero."""
    with pytest.raises(InputError, match="pass counts"):
        wilson(n_right, n)


def record(right="wrong", drafts=(0, 0, 0), n_tokens=1, seconds=1.0, mass=0.0):
    """A record of a wrong, right, strict or missing answer, with its tested drafts, accepted drafts and cycles."""
    return {
        "correct": right in ("right", "strict"),
        "strict": right == "strict",
        "extracted": None if right == "missing" else "1",
        "n_tokens": n_tokens,
        "seconds": seconds,
        "deferral_mass": mass,
        **dict(zip(("n_tested", "n_accepted", "n_cycles"), drafts, strict=True)),
    }


def test_every_mean_is_a_ratio_of_sums():
    """Fails for a mean of the replies' own means, in which a short reply would weigh as much as a long one."""
    summary = summarise(
        [
            record("strict", (20, 18, 6), n_tokens=30, seconds=2.0, mass=3.0),
            record("right", (10, 2, 4), n_tokens=10, seconds=0.5, mass=5.0),
            record("wrong", n_tokens=8, seconds=1.5),
            record("missing", n_tokens=2, seconds=1.0, mass=2.0),
        ]
    )
    assert (summary.n, summary.n_correct, summary.n_unparsed, summary.n_tokens) == (4, 2, 1, 50)
    assert summary.accuracy == 0.5
    assert summary.standard_error == 0.25
    assert summary.interval == pytest.approx((0.1500, 0.8500), abs=5e-5)
    assert summary.strict_accuracy == 0.25
    assert summary.tokens_per_second == 10.0
    assert summary.deferral_rate == 0.2
    assert summary.acceptance_rate == pytest.approx(20 / 30)
    assert summary.mean_accepted_length == 2.0


def test_a_run_without_drafts_has_no_acceptance():
    """Fails when autoregressive decoding reports an acceptance of 0, or divides by it."""
    summary = summarise([record(n_tokens=0, seconds=0.0)])
    assert (summary.acceptance_rate, summary.mean_accepted_length) == (None, None)
    assert (summary.tokens_per_second, summary.deferral_rate) == (0.0, 0.0)


def test_no_records_are_refused():
    """Fails when an empty run is a division by zero."""
    with pytest.raises(InputError, match="run the evaluation first"):
        summarise([])


def measured(*parts):
    return [record() | {"measures": {"m": part}} for part in parts]


def test_a_measure_is_a_ratio_of_sums_with_the_error_of_one():
    """Fails for a mean of ratios, or an error that forgets that weights vary from question to question.

    By hand: amounts 1, 3, 0 of weights 2, 4, 2 make 1/2; residuals 0, 1, -1; error sqrt(3/2 * 2) / 8.
    """
    one = summarise(measured((1, 2), (3, 4), (0, 2))).measures["m"]
    assert one.value == 0.5
    assert one.standard_error == pytest.approx(math.sqrt(3) / 8, rel=1e-12)
    assert one.interval == pytest.approx((0.5 - 1.959964 * math.sqrt(3) / 8, 0.5 + 1.959964 * math.sqrt(3) / 8))
    assert summarise(measured((100.0, 1), (300.0, 1))).measures["m"].interval[1] > 300  # no share: nothing to cut at 1


def test_a_plain_share_has_wilsons_interval_and_a_share_stays_in_its_range():
    """Fails when a measure of 0 and 1 is given another interval than the accuracy, or one that leaves [0, 1]."""
    one = summarise(measured((1, 1), (0, 1), (1, 1), (1, 1))).measures["m"]
    assert (one.value, one.interval) == (0.75, wilson(3, 4))
    assert one.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    low, high = summarise(measured((2, 2), (1, 3))).measures["m"].interval
    assert 0 <= low < 0.6 < high == 1


def test_a_measure_without_weight_or_with_one_question_claims_no_more_than_it_knows():
    """Fails when 0 over 0 is a number, or one question has a standard error."""
    assert summarise(measured((0, 0))).measures == {}
    alone = summarise([record(), *measured((1, 4))]).measures["m"]
    assert (alone.value, alone.standard_error, alone.interval, alone.n) == (0.25, None, None, 1)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_measure_holds_the_truth_as_often_as_it_says(seed):
    """Fails when the error is off by a tenth: of 2,000 samples of 200 questions the interval misses 5 percent, give or
    take 2 (four standard errors), where weights vary and amounts go with them."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 5, size=(2000, 200))
    amounts = rng.binomial(weights, 0.3)
    missed = sum(
        not one.interval[0] <= 0.3 <= one.interval[1]
        for one in (
            measure(list(zip(a, w, strict=True))) for a, w in zip(amounts.tolist(), weights.tolist(), strict=True)
        )
    )
    assert 0.03 < missed / 2000 < 0.07


def test_the_macro_mean_weighs_groups_alike():
    """Fails when a large group counts for more than a small one, or the error is that of all questions at once."""
    one = macro([("a", True)] * 3 + [("a", False)] + [("b", True)] + [("b", False)])
    assert (one.value, one.n) == ((0.75 + 0.5) / 2, 2)
    assert one.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 4 + 0.25 / 2) / 2)
    rows = [record("right") | {"meta": {"subject": name}} for name in "ab"]
    assert summarise(rows, groups="subject").macro.value == 1
    assert summarise(rows).macro is None


def test_a_summary_without_measures_is_as_it_was():
    """Fails when tables of tasks without further measures gain columns."""
    assert {"measures", "macro"}.isdisjoint(summarise([record()]).as_dict())
    told = summarise(measured((1, 2), (0, 2))).as_dict()["measures"]["m"]
    assert set(told) == {"value", "standard_error", "interval", "n"}
