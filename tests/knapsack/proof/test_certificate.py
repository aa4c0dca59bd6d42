"""A certificate convinces where the claim is true, is read back to the last bit, and is refused where changed."""

import dataclasses
import json
import time
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import general_problems, law_problems, mass, value

from proxyalign.errors import InputError
from proxyalign.knapsack import (
    DeferralProblem,
    OptimalityCertificate,
    brute_force,
    certify,
    dual,
    dual_function,
    exact,
    half,
    lp_bound,
    primal,
)
from proxyalign.knapsack import certificate as certificate_of


def flat():
    """A law on which the linear relaxation is well above the optimum, so that a core is left."""
    law = np.random.default_rng(1).dirichlet(np.ones(60))
    problem = DeferralProblem.from_probs(law, 0.1)
    return problem, exact(problem)


@settings(max_examples=100)
@given(problem=law_problems())
def test_an_optimum_convinces(problem):
    """Fails when a reduced-cost test is claimed that does not hold, or rounding keeps the core from closing."""
    verdict = certify(problem, exact(problem)).check()
    assert verdict
    assert value(problem, brute_force(problem).deferred) <= verdict.upper_bound


@settings(max_examples=100)
@given(problem=general_problems())
def test_what_is_not_optimal_does_not_convince(problem):
    """Fails when the plain method prunes the better set, or a better set is fixed away."""
    best = value(problem, brute_force(problem).deferred)
    solution = primal(problem)
    reached = value(problem, solution.deferred)
    if best > reached * (1 + Fraction(1, 10**9)):
        assert not certify(problem, solution).check()


def test_a_core_is_solved_a_second_time():
    """Fails when a bound that is too high is believed, or the second method is never asked."""
    problem, solution = flat()
    certificate = certify(problem, solution)
    verdict = certificate.check()
    assert verdict
    assert 0 < verdict.n_core < 60
    assert verdict.value == value(problem, solution.deferred)
    assert verdict.upper_bound <= verdict.value * (1 + Fraction(certificate.gap))
    unaffordable = certificate.check(max_states=1)
    assert not unaffordable
    assert unaffordable.problem is None
    assert "core" in unaffordable.not_derived
    assert unaffordable.upper_bound > verdict.upper_bound


def test_it_round_trips_to_the_last_bit():
    """Fails when a number goes through decimal, or an array loses its end."""
    certificate = certify(*flat())
    again = OptimalityCertificate.from_json(certificate.to_json())
    for name in ("values", "weights", "deferred", "fixed"):
        np.testing.assert_array_equal(getattr(again, name), getattr(certificate, name))
    assert (again.budget, again.multiplier, again.gap) == (certificate.budget, certificate.multiplier, certificate.gap)
    assert again.check()


def flipped(column, item):
    changed = column.copy()
    changed[item] = ~changed[item]
    return changed


@pytest.mark.parametrize("item", range(60))
def test_a_changed_set_is_refused(item):
    """Fails when the value is believed instead of added up: no set but this one is worth as much."""
    certificate = certify(*flat())
    assert not dataclasses.replace(certificate, deferred=flipped(certificate.deferred, item)).check()


def test_a_fixing_that_was_not_there_is_refused():
    """Fails when the reduced-cost tests are not made again."""
    certificate = certify(*flat())
    verdict = dataclasses.replace(certificate, fixed=np.ones(60, dtype=np.bool_)).check()
    assert not verdict
    assert "said to be fixed" in verdict.problem


def test_a_smaller_problem_or_budget_is_refused():
    """Fails when the weight of the set is not added up against the budget that is told."""
    certificate = certify(*flat())
    verdict = dataclasses.replace(certificate, budget=np.nextafter(float(exact(flat()[0]).mass), 0.0) * 0.99).check()
    assert not verdict
    assert "more than the budget" in verdict.problem


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.pop("multiplier"),
        lambda told: told.update(format="something else"),
        lambda told: told.update(values=told["values"][:-8]),
        lambda told: told.update(multiplier="1/0"),
        lambda told: told.update(multiplier="-1"),
        lambda told: told.update(gap="nan"),
        lambda told: told.update(budget="-0x1p-1"),
        lambda told: told.update(n=59),
    ],
)
def test_a_text_that_was_damaged_is_not_read(change):
    """Fails when damage ends in a traceback, or is read as something else."""
    told = json.loads(certify(*flat()).to_json())
    change(told)
    with pytest.raises(InputError, match=r"must be what to_json wrote"):
        OptimalityCertificate.from_json(json.dumps(told))


def test_a_solution_of_another_problem_is_refused():
    """Fails when sizes are not compared before the work."""
    problem, _ = flat()
    with pytest.raises(InputError, match="must be of the problem's 60 items, got one of 2"):
        certify(problem, exact(DeferralProblem([1.0, 1.0], [0.5, 0.5], 1.0)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"values": np.full(60, np.nan)}, "values must be finite and at least 0, got nan"),
        ({"values": np.full(60, -1.0)}, "values must be finite and at least 0, got -1.0"),
        ({"weights": np.full(60, np.inf)}, "weights must be finite and at least 0, got inf"),
        ({"weights": np.full(60, 1e308)}, "weights must have a finite sum"),
        ({"values": np.ones(60, dtype=np.float32)}, "values must be a row"),
        ({"values": [1.0] * 60}, "values must be a row"),
        ({"values": np.ones((60, 1))}, "values must be a row"),
        ({"weights": np.ma.array(np.ones(60))}, "weights must be a row"),
        ({"deferred": np.ones(60, dtype=np.int64)}, "deferred must be a row"),
        ({"fixed": np.zeros(60, dtype=np.int8)}, "fixed must be a row"),
        ({"fixed": None}, "fixed must be a row"),
        ({"fixed": np.zeros(59, dtype=np.bool_)}, "must be of one length, got [60, 60, 60, 59]"),
        ({"weights": np.ones(61)}, "must be of one length"),
        ({"budget": -1.0}, "budget must be a float, finite and at least 0, got -1.0"),
        ({"budget": np.nan}, "budget must be a float"),
        ({"budget": Fraction(1, 2)}, "budget must be a float"),
        ({"gap": np.inf}, "gap must be a float"),
        ({"gap": -1e-12}, "gap must be a float"),
        ({"gap": "0"}, "gap must be a float"),
        ({"multiplier": Fraction(-1)}, "multiplier must be a Fraction"),
        ({"multiplier": np.nan}, "multiplier must be a Fraction"),
        ({"multiplier": 2.5}, "multiplier must be a Fraction"),
        ({"multiplier": None}, "multiplier must be a Fraction"),
        ({"multiplier": Fraction(10) ** 10**6}, "4096 bits"),
        ({"multiplier": Fraction(1, 3**9000)}, "4096 bits"),
    ],
)
def test_a_field_of_no_use_is_told(changes, sentence):
    """Fails when a field is believed to be what it is declared as: NaN compares as false, integers index."""
    certificate = dataclasses.replace(certify(*flat()), **changes)
    verdict = certificate.check()
    assert not verdict
    assert sentence in verdict.problem
    with pytest.raises(InputError, match="make it by certify"):
        certificate.to_json()


def test_a_certificate_of_another_problem_or_of_a_larger_gap_is_refused():
    """Fails when a certificate that proves something convinces of something else."""
    problem, solution = flat()
    certificate = certify(problem, solution)
    assert certificate.check(problem, 1e-12)
    moved = problem.values.copy()
    moved[7] = np.nextafter(moved[7], 1.0)
    others = [
        DeferralProblem(moved, problem.weights, problem.budget),
        DeferralProblem(problem.values, moved, problem.budget),
        problem.at_budget(np.nextafter(problem.budget, 1.0)),
        DeferralProblem(problem.values[:59], problem.weights[:59], problem.budget),
    ]
    for other in others:
        verdict = certificate.check(other)
        assert not verdict
        assert "other values, weights or another budget" in verdict.problem
    verdict = certificate.check(problem, np.nextafter(1e-12, 0.0))
    assert not verdict
    assert "is more than the" in verdict.problem
    poor = DeferralProblem([1.0, 1.0], [1.0, 1.0], 1.0)
    assert certify(poor, primal(poor), gap=1e9).check()
    assert not certify(poor, primal(poor), gap=1e9).check(poor, gap=1e-12)
    with pytest.raises(InputError, match="check: problem must be a DeferralProblem"):
        certificate.check("the problem")


HUGE = "9" * 10_000_000


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "3",
        '"text"',
        "",
        "[" * 100_000,
        '{"a":' * 100_000,
        b"\xff\xfe\x00",
        f'{{"format": {HUGE}}}',
        "the certificate without its end",
        {"multiplier": "1e999999999"},
        {"multiplier": HUGE},
        {"multiplier": f"1/{HUGE}"},
        {"multiplier": "0x10"},
        {"multiplier": " 1"},
        {"multiplier": "1_0"},
        {"multiplier": "\u0661"},
        {"multiplier": "nan"},
        {"multiplier": 1},
        {"multiplier": None},
        {"n": 10**12},
        {"n": -1},
        {"n": 60.0},
        {"n": "60"},
        {"n": True},
        {"n": 10**12, "values": "", "weights": "", "deferred": "", "fixed": ""},
        {"n": 0, "values": "", "weights": "", "deferred": "", "fixed": ""},
        {"values": "no base64!"},
        {"values": 7},
        {"values": ["AAAA"]},
        {"values": "AAAA"},
        {"deferred": ""},
        {"fixed": "AAAAAAAAAAAAAAAAAAAA"},
        {"budget": "0x1p999999999"},
        {"budget": "inf"},
        {"budget": 0.1},
        {"gap": "0x1p5000"},
        {"gap": "-0x1p-40"},
        {"gap": {}},
        {"format": {"proxyalign": 1}},
        {"format": None},
    ],
    ids=lambda text: repr(text)[:40],
)
def test_a_hostile_text_is_refused_at_once(text):
    """Fails for another exception, or where a short text costs the memory or the time of the number that it tells."""
    good = certify(*flat()).to_json()
    if isinstance(text, dict):
        text = json.dumps({**json.loads(good), **text})
    elif text == "the certificate without its end":
        text = good[:-9]
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"must be what to_json wrote, got one that cannot be read") as error:
        OptimalityCertificate.from_json(text)
    assert time.perf_counter() - start < 5.0
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()
    assert len(str(error.value)) < 400


LARGEST, LEAST = float(np.finfo(np.float64).max), 5e-324
EXTREMES = {
    "large values, small weights": ([1e300, 2e300, 3e300], [1e-300, 2e-300, 2e-300], 3e-300),
    "small values, large weights": ([1e-300, 2e-300, 3e-300], [1e300, 2e300, 2e300], 3e300),
    "every size": ([1e300, 1e-300, 1.0], [1e-300, 1e300, 1.0], 1.0),
    "the largest sums": ([LARGEST / 2, LARGEST / 2], [LARGEST / 2, LARGEST / 2], LARGEST),
    "near the largest": ([LARGEST / 4, LARGEST / 3, LARGEST / 4], [LARGEST / 4] * 3, LARGEST / 2),
    "the largest density": ([LARGEST / 4, LARGEST / 8, LARGEST / 8], [LEAST, LEAST, 2 * LEAST], 2 * LEAST),
    "the least density": ([LEAST, LEAST, 1.0], [LARGEST / 4] * 3, LARGEST / 4),
    "subnormal": ([LEAST, 2 * LEAST, 3 * LEAST, 3 * LEAST], [2 * LEAST, LEAST, 3 * LEAST, 2 * LEAST], 5 * LEAST),
    "neighbours": ([1.0] * 4, [0.1, np.nextafter(0.1, 1), np.nextafter(0.1, 0), 0.1], 0.3),
    "too heavy": ([1.0, 2.0, 1.0], [LARGEST / 4, 1.0, 1.0], 1.0),
    "room for all": ([1.0, 2.0], [1.0, 2.0], LARGEST),
    "worthless": ([0.0, 0.0], [1.0, 2.0], 1.0),
    "nothing at all": ([0.0, 0.0], [0.0, 0.0], 0.0),
    "no budget": ([1.0, 2.0, 3.0], [1.0, 0.0, LEAST], 0.0),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", EXTREMES)
def test_the_ends_of_the_floats_are_certified_as_any_others(name):
    """Fails for an overflow on the way, a price cut off at 2^1000, or rounding that fixes what it should not."""
    problem = DeferralProblem(*EXTREMES[name])
    best = brute_force(problem)
    solutions = [best, half(problem), primal(problem), dual(problem, 0.5), dual(problem, multiplier=LARGEST)]
    for solution in solutions:
        certificate = certify(problem, solution)
        verdict = certificate.check(problem, 1e-12)
        is_optimal = value(problem, solution.deferred) >= value(problem, best.deferred)
        fits = mass(problem, solution.deferred) <= problem.budget
        assert bool(verdict) == (is_optimal and fits)
        assert OptimalityCertificate.from_json(certificate.to_json()).check(problem) == verdict
    found = lp_bound(problem)
    assert found.value >= best.value
    assert certificate_of(problem).check(problem)
    assert certificate_of(problem).upper_bound == found.value
    assert min(dual_function(problem, multiplier) for multiplier in (0.0, 1.0, LARGEST)) >= best.value
