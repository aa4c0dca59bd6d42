"""The mutation check: every deliberately broken variant is caught, and every statement has one that it catches."""

import pytest

from proxyalign.verify.implementation import OURS
from proxyalign.verify.mutants import MUTANTS, hunt
from proxyalign.verify.statements import STATEMENTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant):
    """Fails when a defect of this kind would pass the statements' tests."""
    kill = hunt(mutant, n_cases=500)
    assert kill is not None
    assert kill.statement in mutant.statements
    assert not kill.claim.holds


def test_every_statement_is_the_first_to_be_asked_about_a_mutant():
    """Fails for a statement whose test no defect was ever seen to fail."""
    assert {mutant.statements[0] for mutant in MUTANTS} == {statement.number for statement in STATEMENTS}


def test_every_function_under_test_has_a_mutant():
    """Fails when a function joins the ones under test and nobody asks whether a defect would be noticed."""
    assert {name for mutant in MUTANTS for name in mutant.broken} == set(vars(OURS))


def test_names_are_told_apart():
    """Fails when a survivor could be taken for another."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
