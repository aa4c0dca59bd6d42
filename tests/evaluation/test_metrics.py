"""Metrics against values worked out by hand and intervals from the literature."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyalign.errors import InputError
from proxyalign.evaluation import summarise, wilson


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
