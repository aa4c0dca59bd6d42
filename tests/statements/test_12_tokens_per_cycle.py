"""Statement 12 (stmt:tokens-per-cycle in paper/theory.tex): (1 - A^(g + 1)) / (1 - A) tokens a cycle."""

import math

import pytest
from hypothesis import given
from strategies import check, law_cases

from proxyalign.decoding.window import tokens_per_cycle


@given(case=law_cases(1, 6))
def test_a_cycle_emits_the_expected_number_of_tokens(case):
    """Fails when the bonus is not counted, or drafts pass with another probability than A."""
    check(12, case)


@pytest.mark.parametrize("acceptance", [math.nextafter(1.0, 0.0), 1.0 - 1e-12, 1.0])
def test_near_certain_acceptance_loses_no_digits(acceptance):
    """Fails for the quotient as it is written, which is off by a twelfth at the last number below 1."""
    assert tokens_per_cycle(acceptance, 5) == pytest.approx(6.0, rel=1e-11)
