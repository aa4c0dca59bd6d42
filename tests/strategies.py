"""Knapsack problems drawn so as to break things: flat, peaked, tied, nearly tied, zero, subnormal; all budgets."""

import itertools
import math
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proxyalign.knapsack import DeferralProblem, dual, exact_sum

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
