"""Optima by the thousand equal those one by one; the optimum as a function of the budget equals enumeration."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import laws

from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, brute_force, exact, exact_many, exact_path


@pytest.mark.parametrize("workers", [1, 2])
def test_many_are_what_each_is(workers):
    """Fails when rows or budgets are mixed up, or a shared sort leaks from one row into the next."""
    rows = np.random.default_rng(0).dirichlet(np.ones(50), size=5)
    budgets = [0.5, 0.05, 1.0]
    for row, solutions in zip(rows, exact_many(rows, budgets, workers=workers), strict=True):
        for budget, solution in zip(budgets, solutions, strict=True):
            alone = exact(DeferralProblem.from_probs(row, budget))
            np.testing.assert_array_equal(solution.deferred, alone.deferred)
            assert (solution.value, solution.mass, solution.is_optimal) == (alone.value, alone.mass, alone.is_optimal)


def test_a_script_without_a_guard_is_told_what_it_lacks(tmp_path):
    """Fails when a plain script ends in the pool's traceback alone."""
    script = tmp_path / "script.py"
    script.write_text("from proxyalign.knapsack import exact_many\nexact_many([[0.5, 0.5]] * 2, [0.3], workers=2)\n")
    out = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert out.returncode != 0
    assert out.stderr.splitlines()[-1].endswith('call it below `if __name__ == "__main__":`, or pass workers=1')


@pytest.mark.parametrize(
    ("rows", "budgets", "message"),
    [
        ([0.5, 0.5], [0.1], r"rows must be \(n, V\)"),
        ([[0.5, 0.5], [0.5, np.nan]], [0.1], "row 1: "),
        ([[0.5, 0.5]], [1.5], r"budgets must be in \[0, 1\], got 1.5"),
        ([[0.5, 0.5]], [np.nan], "budgets must be in"),
    ],
)
def test_wrong_rows_and_budgets_are_named_before_any_work(rows, budgets, message):
    """Fails when a worker finds out what the caller could have been told at once."""
    with pytest.raises(InputError, match=message):
        exact_many(rows, budgets, workers=1)


@settings(max_examples=60)
@given(law=laws(max_size=8))
def test_a_complete_path_is_the_optimum_at_every_budget(law):
    """Fails when a step is lost, or a dominated set is listed."""
    path = exact_path(law)
    assert path.is_complete
    assert np.all(np.diff(path.budgets) > 0)
    assert np.all(np.diff(path.values) >= 0)
    assert np.all(path.values <= path.lp_values)
    inner = (path.budgets[:-1] + path.budgets[1:]) / 2
    for budget in [*path.budgets, *inner]:
        step = np.searchsorted(path.budgets, budget, side="right") - 1
        assert brute_force(DeferralProblem.from_probs(law, budget)).value == pytest.approx(path.values[step], rel=1e-15)


@settings(max_examples=60)
@given(law=laws(max_size=8), above=st.floats(1.0, 1.0009))
def test_a_budget_of_one_ends_the_path_where_exact_ends(law, above):
    """Fails where a law sums to a little more than 1, as ten times 0.1 do, and the path stops short of all tokens."""
    for p in (law, law * above, np.full(10, 0.1)):
        path = exact_path(p)
        assert path.budgets[-1] <= 1.0
        best = exact(DeferralProblem.from_probs(p, 1.0)).value
        assert path.values[-1] == exact_path(p, [1.0]).values[-1] == best
        assert exact_many([p], [1.0], workers=1)[0][0].value == best
        assert exact(DeferralProblem.from_probs(p, 0.5).at_budget(1)).value == best
    assert (path.budgets[-1], path.values[-1]) == (1.0, pytest.approx(10 * 0.1 * np.log(10)))
    assert exact_path(p, up_to=np.nextafter(1.0, 0.0)).values[-1] == pytest.approx(9 * 0.1 * np.log(10))


def test_a_long_law_is_solved_on_a_grid():
    """Fails when thousands of tokens are listed set by set, or the grid's ends are missed."""
    law = np.random.default_rng(0).dirichlet(np.ones(2_000))
    path = exact_path(law, up_to=0.5)
    assert not path.is_complete
    assert (path.budgets[0], path.budgets[-1]) == (0.0, 0.5)
    assert np.all(path.values <= path.upper_bounds)
    assert np.all(path.upper_bounds <= path.lp_values * (1 + 1e-12))
    assert exact_path(law, [0.2]).values[0] == exact(DeferralProblem.from_probs(law, 0.2)).value
