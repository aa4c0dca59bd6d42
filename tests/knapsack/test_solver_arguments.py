"""What counts as a number, a row and a limit: which kinds are taken, how they are rounded, and what is refused."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, dual, primal
from proxyalign.knapsack.arguments import masses, real, shown, vector, whole

LARGEST = float(np.finfo(np.float64).max)


@pytest.mark.parametrize(
    "given",
    [
        0.5,
        Fraction(1, 2),
        np.float32(0.5),
        np.longdouble(0.5),
        np.array(0.5),
        np.ma.array(0.5),
        torch.tensor(0.5),
        torch.tensor(0.5, requires_grad=True),
        torch.tensor(0.5, dtype=torch.bfloat16),
    ],
    ids=repr,
)
def test_every_kind_of_number_is_taken(given):
    """Fails when a kind is refused, or kept as it is."""
    taken = real("a test", "number", given)
    assert (type(taken), taken) == (float, 0.5)


def test_between_two_floats_a_number_is_rounded_to_the_safe_side():
    """Fails when a budget is rounded up, so that a set fits it which does not fit the number that was given."""
    tenth, third = Fraction(1, 10), Fraction(1, 3)
    assert real("a test", "budget", tenth) < tenth < real("a test", "budget", tenth, up=True) == 0.1
    assert real("a test", "budget", 2**60 + 1) == 2**60
    assert real("a test", "budget", np.longdouble(1) + np.longdouble(2.0**-60)) == 1.0
    assert DeferralProblem([1.0], [0.1], tenth).budget == math.nextafter(0.1, 0.0)
    assert primal(DeferralProblem([1.0], [0.1], tenth)).n_deferred == 0
    below = math.nextafter(float(third), 1.0) if Fraction(float(third)) < third else float(third)
    law = [math.nextafter(below, 0.0), 1.0 - math.nextafter(below, 0.0)]
    assert dual(DeferralProblem.from_probs(law, 0.0), alpha=third).deferred.tolist() == [True, False]


@pytest.mark.parametrize("given", [2**1024, Fraction(-(2**1024)), 2**1024 - 1, 10**5000], ids=lambda number: "")
def test_what_no_float_can_hold_is_refused(given):
    """Fails with a raw OverflowError, or when the message needs more digits than Python prints."""
    with pytest.raises(InputError, match="must be within the range of float64, got "):
        real("a test", "number", given)
    assert real("a test", "number", int(LARGEST)) == LARGEST


@pytest.mark.parametrize(
    "given",
    [np.ma.masked, np.ma.array(0.5, mask=True), np.array([0.5]), object()],
    ids=["masked", "array of a masked one", "row", "object"],
)
def test_what_only_looks_like_a_number_is_refused(given):
    """Fails when a mask is dropped, or an array of one counts as its entry."""
    with pytest.raises(InputError, match=r"must be a number, got .*; pass a float"):
        real("a test", "number", given)


def test_sequences_and_counts():
    """Fails when a number counts as a sequence of one, text as its characters, or half a worker as one."""
    assert masses("a test", "budgets", (Fraction(1, 2), 1)) == [0.5, 1.0]
    assert masses("a test", "budgets", torch.tensor([0.5])) == [0.5]
    for wrong in (0.5, None, "0.5", [1.5], [math.nan]):
        with pytest.raises(InputError, match="budgets must be "):
            masses("a test", "budgets", wrong)
    assert whole("a test", "workers", np.int64(2), "pass 1") == 2
    for wrong in (0, 1.5, math.nan, math.inf, -1):
        with pytest.raises(InputError, match="workers must be a whole number of at least 1"):
            whole("a test", "workers", wrong, "pass 1")


@pytest.mark.parametrize(
    "given",
    [
        [0.25, 0.75],
        np.array([0.75, 0.25])[::-1],
        np.float16([0.25, 0.75]),
        np.longdouble([0.25, 0.75]),
        np.ma.array([0.25, 0.75], mask=False),
        torch.tensor([0.25, 0.75], requires_grad=True),
        torch.tensor([0.25, 0.75], dtype=torch.bfloat16),
        torch.tensor([0.25, 0.75], dtype=torch.float16, requires_grad=True).softmax(0) * 0 + torch.tensor([0.25, 0.75]),
    ],
    ids=lambda given: f"{type(given).__name__} {getattr(given, 'dtype', '')}",
)
def test_every_kind_of_row_is_taken(given):
    """Fails for a tensor that needs a gradient, for a dtype that NumPy lacks, and for a view that is not copied."""
    row = vector("a test", "p", given)
    assert (row.dtype, row.tolist(), row.flags.c_contiguous, row.flags.writeable) == (
        np.float64,
        [0.25, 0.75],
        True,
        False,
    )


def test_a_sum_is_refused_where_the_exact_one_is_no_float():
    """Fails when a float sum, which rounds on the way, decides at the edge, or some sum of entries is no float."""
    half = LARGEST / 2
    assert vector("a test", "values", [half, half]).sum() == LARGEST
    just = [LARGEST, *[2.0**969] * 3]  # each rounds away, and yet they are there
    for wrong in ([half, half, 5e-324], just, [LARGEST, LARGEST], [1e308] * 2):
        with pytest.raises(InputError, match="must have a finite sum"):
            vector("a test", "values", wrong)


def test_what_is_shown_is_one_short_line():
    """Fails when a message carries a whole array, or cannot be made."""
    for given in (np.zeros((50, 50)), "a\nb" * 1000, 10**5000, None):
        assert len(shown(given)) <= 60
        assert "\n" not in shown(given)
