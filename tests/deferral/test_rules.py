"""Every rule: the set it defers, against NumPy's on the same rows; ties, zeros, limits, and one row at a time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_laws import laws

from proxyalign import knapsack
from proxyalign.deferral import policy, rules
from proxyalign.errors import InputError

DEFERRING = [
    rules.Never(),
    rules.Always(),
    rules.Dual(0.3),
    rules.Primal(0.4),
    rules.Nudging(0.5),
    rules.NearOptimal(0.4, eps=0.1),
    rules.Exact(0.4),
    rules.Advantage(0.4),
    rules.Chow(0.4),
    rules.EntropyGate(1.0),
    rules.Diff(0.1),
    rules.Opt(0.2),
    rules.ConfidenceBet(0.2),
    rules.Gap(0.2),
    rules.ProxyDoubt(0.1),
    rules.ProxyFavour(-0.1),
    rules.ProxyVeto(0.2),
    rules.ProxyMinP(0.5),
    rules.TopK(3),
    rules.TopP(0.6),
    rules.MinP(0.3),
    rules.Epsilon(0.2),
    rules.Eta(0.2),
    rules.Typical(0.6),
    rules.TopH(0.6),
    rules.TopNSigma(1.0),
    rules.Hybrid(0.3),
    rules.FSD(0.1),
    rules.JuDi(0.3),
    rules.WSD(0.3),
]
MIXING = [
    rules.BlendIn(0.5),
    rules.StaticMixture(0.3),
    rules.SpeculativeCascade("token-v3", 0.3),
    rules.SpeculativeCascade("opt", 0.5),
]
ALL = [*MIXING, *DEFERRING, rules.Truncated(rules.Dual(0.3)), rules.Truncated(rules.Primal(0.4))]


def problem(row: torch.Tensor, budget: float) -> "knapsack.DeferralProblem":
    return knapsack.DeferralProblem.from_probs(row.double().numpy(), budget=budget)


@pytest.mark.parametrize("rule", ALL, ids=str)
@settings(max_examples=15)  # each one solves two dozen knapsacks
@given(p=laws((2, 3, 8)), q=laws((2, 3, 8)))
def test_a_rule_decides_each_row_alone(rule, p, q):
    """Fails for a rule that shares one budget, or one maximum, among the positions of a window."""
    target = rule.target(p, q)
    for i in np.ndindex(2, 3):
        assert torch.equal(target[i], rule.target(p[i], q[i]))
        if rule in DEFERRING:
            assert torch.equal(rule.defer(p, q)[i], rule.defer(p[i], q[i]))


@pytest.mark.parametrize("rule", ALL, ids=str)
@settings(max_examples=25)
@given(p=laws((5, 7), "float64"), q=laws((5, 7), "float64"))
def test_the_target_is_a_law(rule, p, q):
    """Fails when the deferred mass is not handed on whole, or a truncation is not normalised."""
    target = rule.target(p, q)
    assert (target >= 0).all()
    torch.testing.assert_close(target.sum(-1), torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-12)


@given(p=laws((4, 9)), alpha=st.floats(0, 1))
def test_dual_defers_numpys_set(p, alpha):
    """Fails when alpha is rounded to float32 before it is compared."""
    assert np.array_equal(rules.Dual(alpha).defer(p).numpy(), p.double().numpy() < alpha)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [0.1, 0.7, 0.3, 1 / 3, 0.5, 1.0, 1e-40, 0.0])
def test_dual_compares_as_real_numbers_next_to_alpha(dtype, alpha):
    """Fails when float32(0.7) < 0.7, which is true, comes out false."""
    near = torch.tensor([alpha], dtype=torch.float64).to(dtype)
    around = torch.cat([near, torch.nextafter(near, near * 0), torch.nextafter(near, near * 0 + 1)])
    assert rules.Dual(alpha).defer(around).tolist() == [float(x) < alpha for x in around]
    assert rules.Nudging(alpha).defer(around[:, None])[:, 0].tolist() == [float(x) < alpha for x in around]


@given(p=laws((3, 9)), budget=st.floats(0, 1))
def test_primal_defers_the_knapsacks_prefix(p, budget):
    """Fails when a sum is taken in float32, ties are not by index, or zeros are kept."""
    deferred = rules.Primal(budget).defer(p)
    for row, mine in zip(p, deferred, strict=True):
        assert np.array_equal(mine.numpy(), knapsack.primal(problem(row, budget)).deferred)


@given(p=laws((9,)), n=st.integers(1, 8), nudge=st.sampled_from([-1, 0, 1]))
def test_primal_cuts_exactly_where_the_budget_is_a_prefix_sum(p, n, nudge):
    """Fails when the boundary is left to a rounded running sum: the budget here is such a sum, or its neighbour."""
    rising = np.sort(p.double().numpy())
    budget = min(math.fsum(rising[:n]), 1.0)
    budget = float(np.clip(np.nextafter(budget, budget + nudge), 0, 1))
    assert np.array_equal(rules.Primal(budget).defer(p).numpy(), knapsack.primal(problem(p, budget)).deferred)


def test_primal_breaks_ties_by_the_lowest_index():
    """Fails when the sort is not stable."""
    assert rules.Primal(0.5).defer(torch.full((4,), 0.25)).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    "rule", [rules.Primal(0.0), rules.NearOptimal(0.0), rules.Exact(0.0), rules.Dual(1e-300)], ids=str
)
def test_impossible_tokens_are_deferred_at_no_cost(rule):
    """Fails when a token of probability 0 takes part in the budget, or is kept."""
    p = torch.tensor([0.0, 0.5, 0.0, 0.5])
    deferred = rule.defer(p)
    assert deferred.tolist() == [True, False, True, False]
    assert policy.deferral_mass(p, deferred) == 0


@pytest.mark.parametrize("rule", [rules.Primal(1.0), rules.NearOptimal(1.0), rules.Exact(1.0), rules.Always()], ids=str)
@given(p=laws((2, 6)))
def test_a_whole_budget_defers_everything(rule, p):
    """Fails when a float32 law that sums to more than 1 keeps its last token."""
    assert rule.defer(p).all()


@settings(max_examples=25)
@given(p=laws((3, 8)), budget=st.floats(0, 0.999))
def test_exact_defers_an_optimal_set_within_the_budget(p, budget):
    """Fails when rows are mixed up on the way to the solver and back."""
    for row, deferred in zip(p, rules.Exact(budget).defer(p).numpy(), strict=True):
        one = problem(row, budget)
        assert math.fsum([*one.weights[deferred], -budget]) <= 0
        best = knapsack.exact(one)
        assert one.values[deferred].sum() == pytest.approx(best.value, rel=1e-12, abs=1e-15)


@given(p=laws((4, 8)), alpha=st.floats(0, 1))
def test_nudging_defers_all_or_nothing(p, alpha):
    """Fails when the decision is taken for each token, or from the wrong end."""
    expected = np.repeat((p.double().numpy().max(-1) < alpha)[:, None], 8, axis=1)
    assert np.array_equal(rules.Nudging(alpha).defer(p).numpy(), expected)


@given(p=laws((4, 8), "float64"), alpha=st.floats(0, 1))
def test_a_truncation_is_the_base_on_the_kept_tokens_and_the_likeliest(p, alpha):
    """Fails when the truncated control may keep nothing, or forgets to normalise."""
    target = rules.Truncated(rules.Dual(alpha)).target(p, torch.full_like(p, 1 / 8))
    for row, mine in zip(p.numpy(), target.numpy(), strict=True):
        kept = row >= alpha
        kept[row.argmax()] = True
        np.testing.assert_allclose(mine, np.where(kept, row, 0) / row[kept].sum(), rtol=1e-12)


@pytest.mark.parametrize("name", rules.REGISTRY)
def test_a_rule_made_by_name_knows_its_name_and_parameters(name):
    """Fails when a registry name and a class's own name drift apart."""
    import inspect

    wanted = inspect.signature(rules.REGISTRY[name]).parameters
    parameters = {key: 1 if one.default is one.empty else one.default for key, one in wanted.items()}
    rule = rules.make(name, **parameters)
    assert rule.name == name
    assert rule.parameters() == parameters
    assert rules.make(rule.name, **rule.parameters()) == rule


def test_a_rule_reads_as_a_sentence_part():
    """Fails when messages and tables would show a dataclass's repr."""
    assert str(rules.Dual(alpha=0.4)) == "dual(alpha=0.4)"
    assert str(rules.make("truncated-primal", budget=0.9)) == "truncated-primal(budget=0.9)"
    assert str(rules.Never()) == "never()"


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, "0.4", None, True])
@pytest.mark.parametrize("make", [rules.Dual, rules.Primal, rules.Nudging, rules.NearOptimal, rules.Exact])
def test_a_parameter_outside_its_range_is_refused(make, value):
    """Fails when NaN, a truth value or text passes for a probability."""
    with pytest.raises(InputError, match=r"must be a number in \[0, 1\], got"):
        make(value)


def test_numbers_of_numpy_are_numbers():
    """Fails when a parameter taken from an array is refused."""
    assert rules.Dual(np.float32(0.5)) == rules.Dual(0.5)
    assert rules.TopK(np.int64(3)) == rules.TopK(3) == rules.TopK(3.0)


@pytest.mark.parametrize(
    ("name", "parameters", "told"),
    [
        ("duel", {"alpha": 0.4}, "name must be one of never, always, dual"),
        ("dual", {}, "dual takes alpha, got none"),
        ("dual", {"budget": 0.4}, "dual takes alpha, got budget"),
        ("never", {"alpha": 0.4}, "never takes no parameter, got alpha"),
        ("dual", {"alpha": 7.0}, r"alpha must be a number in \[0, 1\], got 7.0"),
    ],
)
def test_a_rule_that_does_not_exist_is_refused_with_what_does(name, parameters, told):
    """Fails when a wrong name or parameter ends in a KeyError or TypeError."""
    with pytest.raises(InputError, match=told):
        rules.make(name, **parameters)


def test_a_truncation_has_no_deferral_set():
    """Fails when a control without a proxy silently defers nothing."""
    with pytest.raises(InputError, match="defers nothing"):
        rules.Truncated(rules.Dual(0.3)).defer(torch.full((4,), 0.25))
    with pytest.raises(InputError, match="rule must be a deferral rule"):
        rules.Truncated("dual")
    with pytest.raises(InputError, match="reads one step of the base alone"):
        rules.Truncated(rules.Hybrid(0.1))
