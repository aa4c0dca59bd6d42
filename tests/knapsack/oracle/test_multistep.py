"""One budget over many steps: the cvxpy model against `exact` on the union, and the Lagrangian against both."""

import numpy as np
import pytest

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, dual_function, exact, exact_sum, lp_bound
from proxyalign.knapsack.oracle.multistep import multistep_lagrangian, multistep_oracle, union

pytest.importorskip("cvxpy")


def steps(seed, n_steps, size):
    """Laws as flat and as peaked as a model's, each with a budget of its own that nothing here may read."""
    generator = np.random.default_rng(seed)
    laws = [generator.dirichlet(np.full(size, generator.choice([0.1, 0.5, 3.0]))) for _ in range(n_steps)]
    return [DeferralProblem.from_probs(law, 0.01) for law in laws]


@pytest.mark.parametrize("solver", ["HIGHS", "SCIP"])
@pytest.mark.parametrize(("n_steps", "size", "budget"), [(1, 12, 0.3), (2, 9, 0.5), (5, 20, 1.7), (8, 40, 0.4)])
def test_the_model_of_many_steps_finds_the_optimum_of_the_union(solver, n_steps, size, budget):
    """Statement 14. Fails when a step keeps a budget of its own, or the answer is handed out to the wrong steps."""
    problems = steps(n_steps, n_steps, size)
    found, truth = multistep_oracle(problems, budget, solver), exact(union(problems, budget))
    assert truth.is_optimal
    assert found.solution.value == pytest.approx(truth.value, rel=1e-9)
    masses = [exact_sum(step.weights[taken]) for step, taken in zip(problems, found.deferred, strict=True)]
    values = [exact_sum(step.values[taken]) for step, taken in zip(problems, found.deferred, strict=True)]
    assert sum(masses) <= budget
    assert float(sum(values)) == found.solution.value


@pytest.mark.parametrize("budget", [0.2, 1.0, 2.5])
def test_the_lagrangian_falls_apart_into_steps_and_is_dantzigs_bound_on_the_union(budget):
    """Statements 4 and 14. Fails when the minimum over the price is missed, or a step's surplus reads the others."""
    problems = steps(3, 4, 30)
    together, priced = union(problems, budget), multistep_lagrangian(problems, budget)
    bound = lp_bound(together)
    assert priced.multiplier == pytest.approx(bound.multiplier, rel=1e-6)
    assert priced.bound == pytest.approx(bound.value, rel=1e-9)
    assert priced.bound >= exact(together).value
    assert priced.bound == pytest.approx(priced.multiplier * budget + sum(priced.surplus), rel=1e-12)
    assert priced.surplus[0] == dual_function(
        DeferralProblem(problems[0].values, problems[0].weights, 0.0), priced.multiplier
    )


def test_one_price_buys_an_optimum_of_the_union_at_the_mass_that_it_spends():
    """Everett on the union. Fails when a step decides by another price than the others."""
    problems = steps(5, 3, 25)
    priced = multistep_lagrangian(problems, 0.8)
    spent = sum(exact_sum(step.weights[taken]) for step, taken in zip(problems, priced.deferred, strict=True))
    value = sum(exact_sum(step.values[taken]) for step, taken in zip(problems, priced.deferred, strict=True))
    assert exact(union(problems, float(spent))).value == pytest.approx(float(value), rel=1e-12)


def test_a_budget_for_each_step_is_never_better_than_one_for_all():
    """Statement 14: that price is at least 0. Fails when the union is solved with less than the whole budget."""
    problems = steps(7, 4, 15)
    apart = sum(exact(DeferralProblem(step.values, step.weights, 0.25)).value for step in problems)
    assert multistep_oracle(problems, 1.0).solution.value >= apart * (1 - 1e-12)


def test_no_steps_are_a_mistake_and_steps_without_a_choice_are_none():
    """Fails when an empty list ends in NumPy's words, or a step that nothing fits is handed to the solver."""
    with pytest.raises(InputError, match="steps must hold at least one problem, got none"):
        multistep_oracle([], 1.0)
    none = DeferralProblem(values=[1.0, 1.0], weights=[3.0, 0.0], budget=0.0)
    some = DeferralProblem(values=[1.0], weights=[1.0], budget=0.0)
    assert [taken.tolist() for taken in multistep_oracle([none, some], 1.0).deferred] == [[False, True], [True]]
    assert [taken.tolist() for taken in multistep_oracle([none, none], 1.0).deferred] == [[False, True]] * 2
