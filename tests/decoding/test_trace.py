"""Who wrote each token, what the numbers of a run count, and how a trace looks in a notebook."""

import numpy as np
import pytest
from tiny_models import llama, tiny_pair

from proxyalign.decoding import generate
from proxyalign.decoding.trace import SOURCES, Trace
from proxyalign.deferral import rules

PROMPTS = [[1, 2, 3], [0, 1], [4]]


def run(rule, mode, **settings):
    return generate(tiny_pair(llama, 10), PROMPTS, rule, mode=mode, max_new_tokens=15, window=3, seed=3, **settings)


def test_an_autoregressive_token_is_the_bases_or_the_proxys():
    """Fails when a redrawn token passes for the base's: a kept token is one that the rule keeps."""
    answer = run(rules.Dual(0.4), "autoregressive", distributions=True)
    for trace in answer.traces:
        assert set(trace.source) == {"base", "proxy"}
        kept = trace.source == "base"
        assert (trace.p_y[kept] >= 0.4).all()
    assert answer.stats.acceptance_rate is None
    assert answer.stats.mean_accepted_length is None


def test_a_speculative_run_counts_what_its_traces_show():
    """Fails when an owed draft counts as tested, a bonus as accepted, or drafts after the end are counted."""
    answer = run(rules.Dual(0.4), "speculative", temperature=1.3)
    sources = np.concatenate([trace.source for trace in answer.traces])
    count = {source: int((sources == source).sum()) for source in SOURCES}
    assert min(count.values()) > 0
    stats = answer.stats
    assert stats.n_accepted == count["draft"]
    assert stats.n_tested == count["draft"] + count["residual"]
    assert stats.acceptance_rate == stats.n_accepted / stats.n_tested
    assert stats.mean_accepted_length == stats.n_accepted / stats.n_cycles
    assert stats.n_tokens == len(sources) == 45
    bonus_or_owed_or_end = count["base"] + count["proxy"] + len(PROMPTS)
    assert count["residual"] <= stats.n_cycles <= count["residual"] + bonus_or_owed_or_end


def test_passes_are_counted_by_their_positions():
    """Fails when a pass counts under another width than it had: added up, they are what each model had to read."""
    pair, settings = tiny_pair(llama, 10), {"max_new_tokens": 40, "seed": 3, "eos_token_ids": ()}
    plain = generate(pair, [[1, 2, 3]], rules.Never(), **settings).stats
    assert (plain.base_passes, plain.proxy_passes) == ({3: 1, 1: 39}, {})
    drafted = generate(pair, [[1, 2, 3]], rules.Dual(0.4), mode="speculative", window=3, temperature=1.3, **settings)
    stats, source = drafted.stats, drafted.traces[0].source
    n_owed, n_bonus = (source == "proxy").sum(), (source[:-1] == "base").sum()
    assert min(n_owed, n_bonus) > 0
    n_drafts = stats.n_proxy_passes
    read = [sum(n * times for n, times in passes.items()) for passes in (stats.base_passes, stats.proxy_passes)]
    assert read == [3 + n_drafts + stats.n_cycles - 1 - n_owed, 3 + n_drafts - 1 + n_bonus]


def test_the_deferral_rate_is_the_mean_mass():
    """Fails when the rate is a mean over sequences, or counts deferrals instead of mass."""
    answer = run(rules.Dual(0.4), "speculative")
    masses = np.concatenate([trace.deferral_mass for trace in answer.traces])
    assert answer.stats.deferral_rate == pytest.approx(masses.mean())
    assert answer.stats.tokens_per_second == pytest.approx(45 / answer.stats.seconds)
    assert run(rules.Never(), "speculative").stats.deferral_rate == 0
    assert run(rules.Truncated(rules.Dual(0.4)), "speculative").stats.deferral_rate == 0


def test_always_knows_no_p_y_and_hands_over_everything():
    """Fails when the base runs for a number that nobody needs, or D is not 1."""
    for mode in ("autoregressive", "speculative"):
        answer = run(rules.Always(), mode, distributions=True)
        assert answer.stats.deferral_rate == 1
        assert answer.stats.n_base_passes == 0
        for trace in answer.traces:
            assert set(trace.source) == {"proxy"}
            assert np.isnan(trace.p_y).all()
            assert trace.distributions is None


def test_a_notebook_shows_the_text_escaped_and_coloured_by_source():
    """Fails when a token could close the markup, or a tooltip lacks p_y or D."""

    class Tokenizer:
        def decode(self, ids):
            return "".join({0: "<b>", 1: "a\nb"}[i] for i in ids)

    trace = Trace(
        np.array([0, 1]), np.array(["base", "proxy"]), np.array([0.25, 0.5]), np.array([0.1, 0.2]), None, Tokenizer()
    )
    shown = trace._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "a↵<br>b" in shown
    assert "title='base: id 0, p_y 0.25, D 0.1'" in shown
    assert "title='proxy: id 1, p_y 0.5, D 0.2'" in shown
