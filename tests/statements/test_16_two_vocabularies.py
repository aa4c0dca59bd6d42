"""Statement 16 (stmt:two-vocabularies in paper/theory.tex): over pieces, p and q are laws as over one vocabulary."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from strategies import check

from proxyalign.verify.cases.clashing import RUNS, clash, is_permuted, tokens_of
from proxyalign.verify.statements import statement

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60)
@given(seed=SEEDS, alpha=st.floats(0.0, 1.0))
def test_pieces_their_readings_and_their_laws_are_those_of_the_definition(seed, alpha):
    """Fails when an id that spells a piece too is left out, a special token is spelt, or a piece is read as a text."""
    check(16, replace(clash(np.random.default_rng(seed)), alpha=alpha, run=""))


@pytest.mark.parametrize("run", RUNS)
@settings(max_examples=15)
@given(seed=SEEDS, window=st.sampled_from([1, 2, 4]))
def test_a_run_over_two_vocabularies_is_the_one_that_the_definition_writes(run, seed, window):
    """Fails when a context has a token too many or too few, or a state is not that of the pieces emitted."""
    check(16, replace(clash(np.random.default_rng(seed)), run=run, window=window))


def test_one_vocabulary_given_as_two_writes_what_it_does_as_one():
    """Fails when pieces with one id in each model are not drawn and tested as ids are."""
    made = (clash(np.random.default_rng(seed)) for seed in range(160))
    cases = [replace(case, run="dual") for case in made if is_permuted(case.tokenizers)]
    assert len(cases) > 10
    for case in cases:
        claims = {claim.name: claim for claim in statement(16).judged(case)}
        assert claims["one vocabulary in two orders: a run writes what one over ids does"].holds
        assert tokens_of(case.tokenizers)[0].ids != tokens_of(case.tokenizers)[1].ids
