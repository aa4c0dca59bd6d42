"""The adaptive window: it finds the window that statement 12 finds best, and changes neither law nor greedy text."""

import numpy as np
import pytest
from test_law import LENGTH, LEVEL, PROMPT, V, p_value, sequence_law
from tiny_models import llama, tiny_pair

from proxyalign.decoding import generate, window
from proxyalign.decoding.window import LONGEST, AdaptiveWindow, tokens_per_cycle
from proxyalign.deferral import rules
from proxyalign.errors import InputError


@pytest.mark.parametrize("acceptance", [0.1, 0.6, 0.9])
@pytest.mark.parametrize(("fixed", "each"), [(1.0, 0.1), (1.0, 0.9), (0.3, 0.01)])
def test_it_settles_on_the_best_window(acceptance, fixed, each):
    """Fails when cost or acceptance is estimated from the wrong cycles, or noise drives the window away."""
    rng = np.random.default_rng(3)
    adaptive, chosen = AdaptiveWindow(), []
    for _ in range(400):
        n = adaptive.next()
        chosen.append(n)
        passed = rng.random(n) < acceptance
        n_accepted = n if passed.all() else int(passed.argmin())
        seconds = (fixed + n * each) * rng.uniform(0.8, 1.2)
        adaptive.observe(n, min(n, n_accepted + 1), n_accepted, seconds)
    rate = [tokens_per_cycle(acceptance, n) / (fixed + n * each) for n in range(1, LONGEST + 1)]
    settled = [rate[n - 1] for n in chosen[200:]]
    assert np.mean(settled) > 0.93 * max(rate)


def test_the_first_cycle_which_reads_the_prompt_is_no_evidence():
    """Fails when its time counts: the window would grow to spread a cost that never comes again."""
    chosen = []
    for first in (1.0, 1000.0):
        adaptive = AdaptiveWindow()
        for at in range(20):
            n = adaptive.next()
            adaptive.observe(n, n, n - 1, first if at == 0 else 1.0 + 0.5 * n)
        chosen.append(adaptive.next())
    assert chosen[0] == chosen[1]


def test_the_engine_tells_the_window_what_became_of_its_drafts(monkeypatch):
    """Fails when acceptance is learnt from other numbers than the run's own, or a time is none."""
    seen = []
    monkeypatch.setattr(window.AdaptiveWindow, "observe", lambda self, *told: seen.append(told))
    pair = tiny_pair(llama, V)
    settings = {"mode": "speculative", "window": "auto", "max_new_tokens": 20, "num_return_sequences": 5}
    stats = generate(pair, [PROMPT], rules.Dual(0.3), batch_size=3, **settings).stats
    n_drafts, tested, accepted, seconds = zip(*seen, strict=True)
    assert (sum(tested), sum(accepted)) == (stats.n_tested, stats.n_accepted)
    assert min(n_drafts) >= 1
    assert min(seconds) > 0


def test_the_law_is_the_same_under_an_adaptive_window(monkeypatch):
    """Fails when the choice of a window depends on drafts that are yet to be tested. Clocks are replaced by noise."""
    rng = np.random.default_rng(5)
    monkeypatch.setattr(window.AdaptiveWindow, "next", lambda self: int(rng.integers(1, 5)))
    pair = tiny_pair(llama, V)
    for rule in (rules.Dual(0.3), rules.ConfidenceBet(0.2)):
        settings = {"mode": "speculative", "window": "auto", "max_new_tokens": LENGTH, "batch_size": 100, "seed": 1}
        answers = generate(pair, [PROMPT], rule, num_return_sequences=10_000, **settings)
        if rule.needs == "p":
            assert p_value(sequence_law(pair, rule, 1.0), answers.token_ids) > LEVEL
        greedy = [
            generate(pair, [PROMPT], rule, mode="speculative", window=n, temperature=0, max_new_tokens=30).token_ids
            for n in (3, "auto")
        ]
        assert greedy[0] == greedy[1]


def test_a_window_that_is_none_is_refused():
    """Fails when another word than auto is taken for it."""
    with pytest.raises(InputError, match="window must be a whole number of at least 1, got 'best'"):
        generate(tiny_pair(llama, V), [PROMPT], rules.Dual(0.3), window="best")


def test_a_window_longer_than_the_text_is_one_of_its_length():
    """Fails when a large number asks for memory that no draft will ever use."""
    pair, settings = tiny_pair(llama, V), {"mode": "speculative", "max_new_tokens": 6, "seed": 2}
    long, short = (generate(pair, [PROMPT], rules.Dual(0.3), window=n, **settings) for n in (10**9, 6))
    assert long.token_ids == short.token_ids
