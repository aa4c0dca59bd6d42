"""A half of a character that is drawn here has the law that it had on the server, however few tokens were asked for."""

import numpy as np
import pytest

from proxyalign.serving.halves import _drawn, _unseen


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 2.0])
def test_what_few_tokens_decide_all_tokens_decide_alike(temperature):
    """Fails when halves that are not shown are taken for none, or weighed at another temperature."""
    generator, n_decided = np.random.default_rng(0), 0
    for _ in range(2000):
        logs = np.sort(np.log(generator.dirichlet(np.full(60, 0.2))))[::-1]
        is_half, number = generator.random(60) < 0.3, generator.random()
        of_all = _drawn(logs, is_half, 0.0, temperature, number)
        of_few = _drawn(logs[:10], is_half[:10], _unseen(logs[:10], 60, temperature), temperature, number)
        assert of_few in (None, of_all)
        n_decided += of_few is not None
    assert n_decided > 100


def test_a_law_without_halves_decides_nothing():
    """Fails when a whole token is written in place of the half that was drawn."""
    assert _drawn(np.log([0.7, 0.3]), np.array([False, False]), 0.0, 1.0, 0.5) is None
