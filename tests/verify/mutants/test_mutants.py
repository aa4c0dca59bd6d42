"""The mutation check: an edit of the source is what runs, everything is put back, and each defect is caught."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from proxyalign import knapsack
from proxyalign.deferral import likely, policy, rule, rules
from proxyalign.errors import InputError
from proxyalign.knapsack import DeferralProblem, rationals
from proxyalign.verify.mutants import MUTANTS
from proxyalign.verify.mutants import hunt as hunting
from proxyalign.verify.mutants.hunt import hunt
from proxyalign.verify.mutants.mutation import Mutant, mutated
from proxyalign.verify.statements import STATEMENTS
from proxyalign.verify.tightness import INEQUALITIES

LAW = np.array([0.5, 0.25, 0.125, 0.125])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant):
    """Fails when a defect of this kind would pass the statements' tests."""
    kill = hunt(mutant)
    assert kill is not None
    assert kill.statement in mutant.statements
    assert not kill.claim.holds


def test_every_statement_is_the_first_to_be_asked_about_a_mutant():
    """Fails for a statement whose test no defect was ever seen to fail."""
    assert {mutant.statements[0] for mutant in MUTANTS} == {statement.number for statement in STATEMENTS}


def test_each_statement_that_may_catch_a_mutant_has_its_turn_and_all_its_cases():
    """Fails when a hunt goes through all cases of one statement before the next one's first, or leaves some out."""
    asked = [number for number, _ in hunting.cases_of(Mutant("an edit", (10, 13), "", "", ""), 0, 300)]
    made = [sum(one.statement == number and not one.n_free for one in INEQUALITIES) for number in (10, 13)]
    assert [asked.count(number) for number in (10, 13)] == [300 + made[0], 300 + made[1]]
    assert {10, 13} == set(asked[sum(made) : sum(made) + 2 * hunting.ROUNDS[0]])


def test_a_kind_that_is_looked_at_first_is_one_that_is_drawn():
    """Fails when a kind was renamed, and the mutant that named it takes hundreds of cases."""
    for mutant in MUTANTS:
        if mutant.kind:
            kinds = [case.kind for _, case in itertools.islice(hunting.cases_of(mutant, 0, 2000), 5)]
            assert mutant.kind in kinds


def test_names_are_told_apart():
    """Fails when a survivor could be taken for another."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def an_edit(target, old, new):
    """A mutant that no statement is asked about."""
    return Mutant("an edit", (), target, old, new)


def test_an_edited_function_is_reached_by_whoever_named_it_and_put_back():
    """Fails when a module that imported the function goes on calling the original, or ends with the edit."""
    problem = DeferralProblem.from_probs(LAW, budget=0.25)
    before = knapsack.primal, rationals.prefix_that_fits
    with mutated(an_edit("knapsack.rationals:prefix_that_fits", "return surely", "return 0")):
        assert rationals.prefix_that_fits is not before[1]
        assert knapsack.prefix_that_fits is rationals.prefix_that_fits
        assert not knapsack.primal(DeferralProblem.from_probs(LAW, budget=0.2)).deferred.any()
    assert (knapsack.primal, rationals.prefix_that_fits) == before
    assert knapsack.primal(problem).deferred.tolist() == [False, False, True, True]


def test_an_edited_method_is_its_class_s():
    """Fails when a rule that was made before the edit, or is made by name, keeps the original."""
    made, p = rules.Dual(0.3), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    with mutated(an_edit("deferral.budgets:Dual.defer", "widen(p) < ", "widen(p) <= ")):
        for one in (made, rules.make("dual", alpha=0.3)):
            assert one.defer(p).tolist() == [False, True, True]
    assert made.defer(p).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("target", "old", "new", "kind"),
    [
        ("knapsack.problem:DeferralProblem.order", "rising(self.weights)", "rising(-self.weights)", "cached_property"),
        ("knapsack.bounds:Certificate.upper_bound", "round_up(self.bound)", "7.0", "property"),
        ("knapsack.problem:DeferralProblem.from_probs", "budget=mass", "budget=0.0", "classmethod"),
    ],
)
def test_properties_and_class_methods_stay_what_they_are(target, old, new, kind):
    """Fails when an edited property has to be called, or a class method loses its class."""

    def seen():
        problem = DeferralProblem.from_probs(LAW, budget=0.25)
        return problem.order.tolist(), knapsack.certificate(problem).upper_bound, problem.budget

    before = seen()
    with mutated(an_edit(target, old, new)):
        after = seen()
    changed = [one != other for one, other in zip(before, after, strict=True)]
    assert changed[["cached_property", "property", "classmethod"].index(kind)]
    assert seen() == before


def test_a_method_that_calls_super_can_be_edited():
    """Fails when the class that super() looks for is lost with the closure."""
    with (
        mutated(an_edit("deferral.truncations:Processed.__post_init__", "callable(self.processor)", "self.min_keep")),
        pytest.raises(InputError, match="min_keep"),
    ):
        rules.Processed(print, min_keep=2)


def test_compiled_code_runs_the_edit_down_to_its_callers():
    """Fails when what numba compiled against the original goes on running it."""
    numbers = np.array([0.1, 0.2, 0.3])
    summed = rationals.exact_sum(numbers)
    with mutated(an_edit("knapsack.rationals:_sums_by_exponent", "mantissa & 0x7FFFFFF", "0")):
        assert rationals.exact_sum(numbers) < summed
    assert rationals.exact_sum(numbers) == summed
    assert hasattr(rationals._sums_by_exponent, "signatures")


def test_functions_that_call_a_compiled_one_run_as_python(monkeypatch):
    """Fails when a compiled caller, or the caller of one, keeps the compiled original within it."""
    from numba import njit

    leaf = njit(_leaf)
    for name, function in (("_leaf", leaf), ("_middle", njit(_middle)), ("_root", njit(_root))):
        monkeypatch.setattr(rule, name, function, raising=False)
        monkeypatch.setitem(globals(), name, function)
    assert _root(1) == 4
    original = rule._root
    # The functions are of this module: the package's own names for them are what is exchanged.
    with mutated(an_edit("deferral.rule:_leaf", "x + 1", "x + 10")):
        assert rule._root is not original
        assert not hasattr(rule._root, "signatures")
    assert rule._root is original


def _leaf(x):
    return x + 1


def _middle(x):
    return 2 * _leaf(x)


def _root(x):
    return _middle(x)


def test_a_rule_s_compiled_loop_can_be_edited():
    """Fails when the rule calls the compiled loop all the same."""
    p = torch.tensor([[0.25, 0.25, 0.5]], dtype=torch.float64)
    assert rules.Primal(0.3).defer(p).tolist() == [[True, False, False]]
    compiled = likely.prefix_among_likely
    with mutated(an_edit("deferral.likely:prefix_among_likely", "is_deferred[place[i]] = True", "pass")):
        assert not rules.Primal(0.3).defer(p).any()
    assert likely.prefix_among_likely is compiled


def test_what_a_cache_held_is_forgotten():
    """Fails when an answer of the original hides the edit, or one of the edit outlives it."""
    right = rule.smallest_not_below(0.7, torch.float32)
    with mutated(an_edit("deferral.rule:smallest_not_below", "return float(rounded)", "return 2.0")):
        assert rules.Dual(0.7).defer(torch.tensor([0.9])).tolist() == [True]
    assert rule.smallest_not_below(0.7, torch.float32) == right
    assert isinstance(rule.smallest_not_below, functools._lru_cache_wrapper)


def test_a_defect_that_raises_leaves_nothing_behind():
    """Fails when only a clean end restores."""
    original = policy.residual
    with pytest.raises(ZeroDivisionError), mutated(an_edit("deferral.policy:residual", "(pi - q)", "(pi - q / 0)")):
        policy.residual(torch.ones(1), 1)
    assert policy.residual is original


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"old": "no such text"}, "got 0 times"),
        ({"old": "pi"}, "once"),
        ({"target": "deferral.policy:no_such_function"}, "no_such_function"),
        ({"target": "deferral.hybrid:Hybrid.no_such_method"}, "no_such_method"),
    ],
)
def test_a_mutant_that_no_longer_applies_fails(change, fragment):
    """Fails when code that has moved on makes of a mutant one that is caught, or survives, for nothing."""
    gone = replace(an_edit("deferral.policy:residual", "(pi - q)", "(q - pi)"), **change)
    with pytest.raises(InputError, match="mend the mutant") as refused, mutated(gone):
        pass
    assert fragment in str(refused.value)
