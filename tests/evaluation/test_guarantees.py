"""Statements 17 and 19 as they are used: what calibration questions or texts promise holds as often as promised."""

import itertools
import math

import numpy as np
import pytest
import torch

from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.evaluation import wilson
from proxyalign.evaluation.tuning.guarantees import (
    learn_then_test,
    needed_at_share,
    needed_questions,
    needed_texts,
    p_value,
    trust_rank,
    trust_region,
)

EPS, DELTA = 0.05, 0.1
N = 105  # the fewest questions of which two may be harmed, so that a test at this size has all but its whole level
N_CALIBRATIONS = 2000


def counted(n_losses, n):
    return np.arange(n) < n_losses


def binomial_tail(k, n, chance):
    """P(Bin(n, chance) <= k), added up."""
    return math.fsum(math.comb(n, i) * chance**i * (1 - chance) ** (n - i) for i in range(k + 1))


@pytest.mark.parametrize(("n_losses", "n"), [(1, 100), (9, 300), (18, 500), (40, 1000)])
def test_so_many_harms_pass_and_one_more_does_not(n_losses, n):
    """Fails for a tail that is off by one question, a bound that is not exact, or the wrong side of delta."""
    passed = learn_then_test([counted(n_losses, n)], EPS, DELTA)
    assert passed.p_values[0] == pytest.approx(binomial_tail(n_losses, n, EPS), rel=1e-9)
    assert (passed.chosen, passed.stopped, passed.n_questions) == (0, None, n)
    failed = learn_then_test([counted(n_losses + 1, n)], EPS, DELTA)
    assert (failed.chosen, failed.stopped) == (None, 0)


def test_losses_between_0_and_1_have_the_smaller_of_hoeffding_s_and_bentkus_s_bounds():
    """Fails where floats that happen to be 0 and 1 get the binomial's tail, or either bound is mistaken."""
    for total, n in ((0.0, 60), (1.0, 100), (9.0, 300), (2.5, 200), (30.0, 200)):
        losses = np.full(n, total / n)
        a = min(total / n, EPS)
        divergence = (a * math.log(a / EPS) if a else 0.0) + (1 - a) * math.log((1 - a) / (1 - EPS))
        bounds = math.exp(-n * divergence), math.e * binomial_tail(math.ceil(total - 1e-9), n, EPS), 1.0
        assert p_value(losses, EPS) == pytest.approx(min(bounds), rel=1e-6)
    assert p_value(counted(9, 300).astype(float), EPS) > DELTA > p_value(counted(9, 300), EPS)


def test_nothing_after_the_first_failure_is_looked_at():
    """Fails where settings that can no longer be chosen are decoded all the same."""
    rows = iter([counted(0, N), counted(50, N), counted(0, N)])
    found = learn_then_test(rows, EPS, DELTA)
    assert (found.chosen, found.stopped, len(found.p_values)) == (0, 1, 2)
    assert next(rows).sum() == 0


# How a parameter may be chosen from losses (n_parameters, n), and whether that keeps the promise.


def in_sequence(losses):
    return learn_then_test(losses, EPS, DELTA).chosen


def passing(losses):
    return [place for place, row in enumerate(losses) if p_value(row, EPS) <= DELTA]


def past_every_failure(losses):
    return max(passing(losses), default=None)


def past_one_failure(losses):
    passed = passing(losses)
    gaps = [place for place in range(len(losses)) if place not in passed][:2]
    end = gaps[1] if len(gaps) == 2 else len(losses)
    return max((place for place in passed if place < end), default=None)


def in_the_order_of_the_p_values(losses):
    order = np.argsort([p_value(row, EPS) for row in losses], kind="stable")
    chosen = learn_then_test(losses[order], EPS, DELTA).chosen
    return None if chosen is None else order[chosen]


def with_one_harm_more(losses):
    """As a tail of P(Bin < n R) would have it."""
    forgiven = losses.copy()
    for row in forgiven:
        row[row.argmax()] = False
    return learn_then_test(forgiven, EPS, DELTA).chosen


@pytest.mark.parametrize(
    ("choose", "keeps"),
    [
        (in_sequence, True),
        (past_every_failure, False),
        (past_one_failure, False),
        (in_the_order_of_the_p_values, False),
        (with_one_harm_more, False),
    ],
)
def test_the_promise_is_broken_no_more_often_than_delta(choose, keeps):
    """Fails where more than delta of calibrations choose a parameter that harms more than eps, beyond what chance makes
    of 2,000 of them (Wilson's 95 percent interval); every broken way to choose does."""
    risks = np.array([0.01] * 2 + [EPS + 1e-4] * 8 + [0.02] + [EPS + 1e-4] * 4)
    draws = np.random.default_rng(1).random((N_CALIBRATIONS, len(risks), N)) < risks[:, None]
    chosen = [choose(losses) for losses in draws]
    n_broken = sum(place is not None and risks[place] > EPS for place in chosen)
    low, high = wilson(n_broken, N_CALIBRATIONS)
    assert (low <= DELTA) == keeps
    assert high > DELTA / 2  # the test has work to do: the promise is all but used up


def test_the_promise_holds_for_losses_between_0_and_1():
    """Fails where the bound for losses of any size is too small, here at a mean loss of just more than eps."""
    rng = np.random.default_rng(2)
    mean, n = EPS + 1e-4, 300
    for make in (
        lambda: rng.beta(0.5, 0.5 * (1 / mean - 1), (N_CALIBRATIONS, n)),
        lambda: (rng.random((N_CALIBRATIONS, n)) < mean).astype(float),
        lambda: 0.5 * (rng.random((N_CALIBRATIONS, n)) < 2 * mean),
    ):
        n_broken = sum(learn_then_test([row], EPS, DELTA).chosen is not None for row in make())
        assert wilson(n_broken, N_CALIBRATIONS)[0] <= DELTA


@pytest.mark.parametrize("n_losses", [0, 1, 2, 9, 18])
def test_what_is_needed_is_enough_and_one_less_is_not(n_losses):
    """Fails where the number of questions that is told would still be too few, or more than it takes."""
    n = needed_questions(EPS, DELTA, n_losses)
    assert p_value(counted(n_losses, n), EPS) <= DELTA < p_value(counted(n_losses, n - 1), EPS)


def test_a_share_needs_the_more_questions_the_nearer_it_is_to_eps():
    """Fails where a share that can never be promised gets a number, or the number is not enough for that share."""
    needed = [needed_at_share(share, EPS, DELTA) for share in (0.0, 0.01, 0.03, 0.04, 0.049)]
    assert needed[0] == needed_questions(EPS, DELTA) == 45
    assert needed == sorted(needed)
    n = needed_at_share(0.04, EPS, DELTA)
    assert p_value(counted(math.ceil(0.04 * n), n), EPS) <= DELTA
    assert needed_at_share(0.05, EPS, DELTA) is None


def test_the_rank_is_of_the_share_as_it_is_written():
    """Fails where 0.29 of a hundred is 28, as in binary, or a threshold is promised of too few texts."""
    assert [trust_rank(n, eps) for n, eps in ((99, 0.29), (19, 0.1), (18, 0.1), (9, 0.3), (8, 0.1))] == [29, 2, 1, 3, 0]
    assert needed_texts(0.1) == 9
    assert trust_region([0.3, 0.1, 0.2, *[0.5] * 16], 0.1) == 0.2
    assert trust_region([0.3] * 8, 0.1) == 0.0


@pytest.mark.parametrize(("n", "eps"), [(19, 0.1), (20, 0.1), (99, 0.05), (12, 0.4)])
def test_the_next_text_has_a_token_below_the_threshold_as_often_as_promised(n, eps):
    """Fails for a rank that is off by one, either way: of continuous numbers the mean is k / (n + 1) exactly."""
    least = np.random.default_rng(3).random((N_CALIBRATIONS, n))
    below = np.array([trust_region(row, eps) for row in least])  # of uniform numbers, P(the next is below alpha)
    error = below.std() / math.sqrt(N_CALIBRATIONS)
    assert abs(below.mean() - trust_rank(n, eps) / (n + 1)) < 4 * error < 0.5 / (n + 1)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_the_texts_of_the_cascade_are_within_eps_of_the_base_s_over_all_calibrations(temperature):
    """Fails where a calibration, each with its probability, gives a threshold that moves texts by more than eps on the
    mean, at any temperature of the draws; two-token texts of a table of three tokens, enumerated."""
    rng = np.random.default_rng(4)
    texts = list(itertools.product(range(3), repeat=2))
    for n, eps in ((3, 0.25), (3, 0.5), (4, 0.4)):
        p, q = (torch.from_numpy(rng.dirichlet([0.6] * 3, 4)) for _ in range(2))  # rows: first token, then after each
        steps = [(0, first, 1 + first, second) for first, second in texts]
        least = [float(min(p[a, x], p[b, y])) for a, x, b, y in steps]
        hot_p, hot_q = (law.pow(1 / temperature) / law.pow(1 / temperature).sum(-1, keepdim=True) for law in (p, q))
        by_base = [float(hot_p[a, x] * hot_p[b, y]) for a, x, b, y in steps]

        def distance(alpha, p=p, hot_p=hot_p, hot_q=hot_q, steps=steps, by_base=by_base):
            deferred = rules.Dual(min(1.0, alpha)).defer(p)
            pi = torch.where(deferred, 0.0, hot_p) + torch.where(deferred, hot_p, 0.0).sum(-1, keepdim=True) * hot_q
            return (
                sum(abs(float(pi[a, x] * pi[b, y]) - of) for (a, x, b, y), of in zip(steps, by_base, strict=True)) / 2
            )

        moved = {alpha: distance(alpha) for alpha in {0.0, *least}}
        mean = math.fsum(
            math.prod(by_base[i] for i in drawn) * moved[trust_region([least[i] for i in drawn], eps)]
            for drawn in itertools.product(range(len(texts)), repeat=n)
        )
        assert 0.0 < mean <= eps


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: learn_then_test([], EPS, DELTA), "must hold a row"),
        (lambda: learn_then_test([[0]], 0.0, DELTA), "eps must be strictly between 0 and 1, got 0.0"),
        (lambda: learn_then_test([[0]], EPS, 1), "delta must be strictly between 0 and 1, got 1"),
        (lambda: learn_then_test([[0] * 60, [0] * 61], EPS, DELTA), "got 60 and 61"),
        (lambda: p_value([], EPS), "shape"),
        (lambda: p_value([[0, 1]], EPS), "shape"),
        (lambda: p_value([0, 2], EPS), "got .*2"),
        (lambda: p_value([0.0, math.nan], EPS), "nan"),
        (lambda: p_value(["a"], EPS), "numbers in"),
        (lambda: needed_questions(EPS, DELTA, -1), "n_losses"),
        (lambda: trust_region([], 0.1), "draw some texts"),
        (lambda: trust_region([0.1, math.nan], 0.1), "nan"),
        (lambda: trust_region([0.1, 1.5], 0.1), r"1\.5"),
        (lambda: trust_region([0.1], math.nan), "nan"),
    ],
)
def test_what_cannot_be_promised_on_is_refused_in_a_sentence(call, told):
    """Fails where a mistake becomes a number, or a traceback of another library."""
    with pytest.raises(InputError, match=told):
        call()
