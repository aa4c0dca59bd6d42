"""Knapsack problems drawn so as to break things: flat, peaked, tied, nearly tied, zero, subnormal; all budgets.

Hypothesis draws them, which shrinks what fails; `knapsacks` and `law_cases` are the cases that the verification's
functions take, which draws its own by the ten thousand.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import torch_laws
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proxyalign.knapsack import DeferralProblem, dual, exact_sum
from proxyalign.verify.cases import Knapsack, Laws
from proxyalign.verify.statements import statement

SUBNORMAL = 5e-324
KINDS = ["any", "flat", "peaked", "tied", "neighbours", "with zeros", "subnormal", "one-hot", "uniform", "float32"]


@st.composite
def laws(draw, max_size=10):
    """A next-token law (V,) float64 over 1 to `max_size` tokens."""
    size = draw(st.integers(1, max_size))
    kind = draw(st.sampled_from(KINDS))

    def numbers(elements):
        return draw(hnp.arrays(np.float64, size, elements=elements))

    if kind == "uniform":
        raw = np.ones(size)
    elif kind == "one-hot":
        raw = np.zeros(size)
        raw[draw(st.integers(0, size - 1))] = 1.0
    elif kind == "flat":
        raw = numbers(st.floats(0.9, 1.1))
    elif kind == "peaked":
        raw = np.exp(numbers(st.floats(-60.0, 0.0)))
    elif kind == "tied":
        raw = numbers(st.sampled_from([1.0, 2.0, 3.0, 8.0]))
    elif kind == "neighbours":
        raw = numbers(st.integers(0, 5).map(lambda ulps: 0.05 + ulps * math.ulp(0.05)))
        raw[-1] = 1.0 - raw[:-1].sum()
        return raw
    elif kind == "with zeros":
        raw = numbers(st.sampled_from([0.0, 0.0, 1.0, 2.5]))
    elif kind == "subnormal":
        raw = numbers(st.sampled_from([SUBNORMAL, 2 * SUBNORMAL, 3 * SUBNORMAL, 1e-310, 0.0, 0.5, 1.0]))
    elif kind == "float32":
        raw = numbers(st.floats(0.0, 1.0, width=32))
    else:
        raw = numbers(st.floats(0.0, 1.0))
    if not raw.sum() > 1e-3:
        raw = raw + 1.0
    law = raw / raw.sum()
    return law.astype(np.float32).astype(np.float64) if kind == "float32" else law


@st.composite
def budgets(draw, law):
    """A budget in [0, 1]: the ends, exactly the mass of some least likely tokens, just below it, or anything."""
    kind = draw(st.sampled_from(["zero", "one", "on a prefix", "below a prefix", "any"]))
    if kind in ("zero", "one"):
        return float(kind == "one")
    if kind == "any":
        return draw(st.floats(0.0, 1.0))
    budget = math.fsum(np.sort(law)[: draw(st.integers(0, law.size))])
    return min(1.0, budget if kind == "on a prefix" else math.nextafter(budget, 0.0))


@st.composite
def law_problems(draw, max_size=10):
    """A problem with surprisal values."""
    law = draw(laws(max_size=max_size))
    return DeferralProblem.from_probs(law, budget=draw(budgets(law)))


@st.composite
def general_problems(draw, max_size=9):
    """A problem with values and weights of its own: grids that tie, floats, zeros, subnormals, large numbers."""
    size = draw(st.integers(1, max_size))
    grid = st.integers(0, 6).map(lambda number: number / 8)
    elements = draw(
        st.sampled_from(
            [grid, st.floats(0.0, 1.0), st.sampled_from([0.0, SUBNORMAL, 1e-300, 0.1, 0.2, 0.3]), st.floats(0.0, 1e6)]
        )
    )
    values = draw(hnp.arrays(np.float64, size, elements=elements))
    weights = draw(hnp.arrays(np.float64, size, elements=elements))
    taken = weights[: draw(st.integers(0, size))]
    budget = draw(st.sampled_from([0.0, math.fsum(taken), math.fsum(weights) / 2, float(weights.max())]))
    return DeferralProblem(values=values, weights=weights, budget=budget)


def problems(max_size=9):
    """Problems of both kinds."""
    return st.one_of(law_problems(max_size=max_size), general_problems(max_size=max_size))


def in_exact_order(problem):
    """Whether `order` is by falling v / w of the float64 numbers, as it always is for values that are no surprisals.

    Rounding -p log p to float64 can swap neighbours in p, and does for subnormal ones: the primal and the dual, which
    go by p, then miss by a rounding what the statements say of v and w.
    """
    items = [item for item in problem.order.tolist() if problem.weights[item] > 0.0]
    densities = [Fraction(problem.values[item]) / Fraction(problem.weights[item]) for item in items]
    return all(one >= two for one, two in itertools.pairwise(densities))


def mass(problem, deferred):
    """The exact mass of a set."""
    return exact_sum(problem.weights[deferred])


def value(problem, deferred):
    """The exact value of a set."""
    return exact_sum(problem.values[deferred])


def dual_set_problem(problem, **threshold):
    """The problem with the least float64 budget that holds the dual's set, and that set."""
    deferred = dual(problem, **threshold).deferred
    spent = mass(problem, deferred)
    budget = float(spent)
    if Fraction(budget) < spent:
        budget = math.nextafter(budget, math.inf)
    return DeferralProblem(problem.values, problem.weights, budget), deferred


UNIT = st.floats(0.0, 1.0)
PRICES = st.one_of(st.floats(0.0, 40.0), st.sampled_from([0.0, SUBNORMAL, 1e-300, 1e300]))


@st.composite
def knapsacks(draw, only_laws=False, max_size=9):
    """A case of statements 1 to 7: thresholds and prices may be those of an item, budgets may end on a prefix."""
    if only_laws or draw(st.booleans()):
        p = draw(laws(max_size=max_size))
        problem = DeferralProblem.from_probs(p, budget=draw(budgets(p)))
        other_budget = draw(budgets(p))
    else:
        p, problem = None, draw(general_problems(max_size=max_size))
        other_budget = draw(st.sampled_from([0.0, float(problem.weights.sum()) / 3, float(problem.weights.min())]))
    entries = [min(1.0, weight) for weight in problem.weights.tolist()]
    with np.errstate(all="ignore"):
        densities = [density for density in (problem.values / problem.weights).tolist() if math.isfinite(density)]
    alphas = st.one_of(UNIT, st.sampled_from(entries))
    prices = st.one_of(PRICES, st.sampled_from(densities or [0.0]))
    return Knapsack(
        kind="hypothesis",
        p=p,
        q=np.full(len(problem), 1.0 / len(problem)),
        values=problem.values,
        weights=problem.weights,
        budget=min(1.0, problem.budget) if p is not None else problem.budget,
        other_budget=other_budget,
        alpha=draw(alphas),
        other_alpha=draw(alphas),
        multiplier=draw(prices),
        other_multiplier=draw(prices),
    )


@st.composite
def law_cases(draw, rows, size):
    """A case of statements 8 to 15: `rows` laws over `size` tokens for base, proxy and truth, and any sets."""
    p, q, truth = (draw(torch_laws.laws((rows, size), "float64")).numpy() for _ in range(3))
    alpha = draw(st.one_of(UNIT, st.sampled_from(p[0].tolist())))
    return Laws(
        kind="hypothesis",
        p=p,
        q=q,
        truth=truth,
        deferred=p < alpha if draw(st.booleans()) else draw(hnp.arrays(bool, (rows, size))),
        budget=min(draw(budgets(p[0])), math.nextafter(1.0, 0.0)),
        alpha=alpha,
        window=draw(st.integers(1, 3)),
        acceptance=draw(st.one_of(UNIT, st.sampled_from([0.0, 1.0, math.nextafter(1.0, 0.0)]))),
        start=draw(st.sampled_from([0.0, 0.7, 3.0])),
        rate=draw(st.sampled_from([0.01, 0.1, 1.0, 4.0])),
    )


def check(number, case):
    """Every claim that statement `number` makes on a case."""
    for claim in statement(number).judged(case):
        assert claim.holds, claim
