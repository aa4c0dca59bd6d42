"""A sequence's tokens depend on its prompt and its key alone: not on neighbours, batch size, or where a run was cut."""

import numpy as np
import pytest
import torch
from tiny_models import gpt2, llama, tiny_pair
from transformers import MistralConfig, MistralForCausalLM

from proxyalign.decoding import generate
from proxyalign.deferral import policy, rules

PROMPTS = [[1, 2, 3], [0, 1], [2, 3, 4, 4, 1, 0], [3], [4, 4, 4, 4], [7, 1]]
MODES = ["autoregressive", "speculative"]
RULES = [rules.Dual(0.25), rules.Primal(0.6), rules.Nudging(0.5), rules.Always(), rules.Truncated(rules.Dual(0.1))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_samples_do_not_depend_on_the_batch(make, rule, mode):
    """Fails when rows share a generator, a stale slot leaks, or a row ends early because a neighbour did."""
    pair = tiny_pair(make, 10, eos_token_id=[2, 6])
    settings = {"mode": mode, "window": 3, "max_new_tokens": 12, "num_return_sequences": 2, "seed": 4}
    alone = generate(pair, PROMPTS, rule, batch_size=1, **settings)
    lengths = {len(ids) for ids in alone.token_ids}
    assert len(lengths) > 1  # so that rows leave the batch at different times
    for batch_size in (5, 12):
        together = generate(pair, PROMPTS, rule, batch_size=batch_size, **settings)
        assert together.token_ids == alone.token_ids
        assert together.stats.n_accepted == alone.stats.n_accepted
        assert together.stats.n_tested == alone.stats.n_tested
        for mine, theirs in zip(together.traces, alone.traces, strict=True):
            assert mine.source.tolist() == theirs.source.tolist()
            np.testing.assert_allclose(mine.p_y, theirs.p_y, rtol=1e-9)
            np.testing.assert_allclose(mine.deferral_mass, theirs.deferral_mass, rtol=1e-9)


@pytest.mark.parametrize("rule", [rules.Dual(0.25), rules.Hybrid(0.3), rules.ConfidenceBet(0.2)], ids=str)
def test_a_window_is_tested_alike_whole_and_in_parts_of_the_batch(rule, monkeypatch):
    """Fails when a part of a batch is tested on the logits, states or owed drafts of another."""
    pair = tiny_pair(llama, 10, eos_token_id=[2, 6])
    settings = {"mode": "speculative", "window": 3, "max_new_tokens": 12, "num_return_sequences": 3, "seed": 4}
    settings |= {"batch_size": 9, "distributions": True}
    whole = generate(pair, PROMPTS, rule, **settings)
    for at_once in (1, 80):  # one row, and two of four places and ten tokens
        monkeypatch.setattr(policy, "AT_ONCE", at_once)
        parts = generate(pair, PROMPTS, rule, **settings)
        assert parts.token_ids == whole.token_ids
        for mine, theirs in zip(parts.traces, whole.traces, strict=True):
            assert mine.source.tolist() == theirs.source.tolist()
            np.testing.assert_allclose(mine.deferral_mass, theirs.deferral_mass, rtol=1e-9)
            np.testing.assert_allclose(mine.distributions, theirs.distributions, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_a_run_may_be_cut_in_parts(mode):
    """Fails when a prompt's samples depend on how many prompts came before it in the same call."""
    pair = tiny_pair(llama, 10)
    settings = {"mode": mode, "max_new_tokens": 8, "seed": 1, "num_return_sequences": 2}
    whole = generate(pair, PROMPTS, rules.Dual(0.3), **settings)
    rest = generate(pair, PROMPTS[4:], rules.Dual(0.3), first_index=4, **settings)
    assert rest.token_ids == whole.token_ids[8:]


def test_seeds_prompts_and_samples_have_streams_of_their_own():
    """Fails when two keys share a stream: ten answers of twenty tokens each would then repeat."""
    pair = tiny_pair(llama, 10)
    answers = [
        tuple(ids)
        for seed in (0, 1)
        for ids in generate(
            pair, [[1, 2], [1, 2]], rules.Dual(0.3), max_new_tokens=20, num_return_sequences=3, seed=seed
        ).token_ids
    ]
    assert len(set(answers)) == len(answers) == 12
    again = generate(pair, [[1, 2], [1, 2]], rules.Dual(0.3), max_new_tokens=20, num_return_sequences=3, seed=0)
    assert [tuple(ids) for ids in again.token_ids] == answers[:6]


def test_results_come_in_prompt_order_with_samples_in_a_row():
    """Fails when batches or samples are interleaved: greedy answers of one prompt are equal, of others are not."""
    pair = tiny_pair(llama, 10)
    settings = {"max_new_tokens": 9, "temperature": 0}
    one = [generate(pair, [prompt], rules.Never(), **settings).token_ids[0] for prompt in PROMPTS]
    both = generate(pair, PROMPTS, rules.Never(), num_return_sequences=2, batch_size=5, **settings)
    assert both.token_ids == [ids for ids in one for _ in range(2)]


@pytest.mark.parametrize("window", [1, 3, 7])
def test_the_limit_and_the_end_of_text_cut_a_window(window):
    """Fails when a window passes max_new_tokens, or goes on after an end of text."""
    pair = tiny_pair(llama, 10, eos_token_id=6)
    for limit in (1, 2, 5, 8):
        settings = {"mode": "speculative", "window": window, "num_return_sequences": 20, "seed": 2}
        answer = generate(pair, [[1, 2, 3]], rules.Dual(0.6), max_new_tokens=limit, **settings)
        for ids, trace in zip(answer.token_ids, answer.traces, strict=True):
            assert len(ids) == len(trace) <= limit
            assert 6 not in ids[:-1]
            assert len(ids) == limit or ids[-1] == 6
    assert any(ids[-1] == 6 for ids in answer.token_ids)


def test_a_window_may_run_to_the_last_position_of_the_context():
    """Fails when a row that is nearly done makes a model with learned positions look past its table."""
    pair = tiny_pair(gpt2, 10, context=16, eos_token_id=6)
    settings = {"max_new_tokens": 10, "temperature": 0, "window": 6}
    plain = generate(pair, PROMPTS, rules.Dual(0.4), **settings)
    drafted = generate(pair, PROMPTS, rules.Dual(0.4), mode="speculative", **settings)
    assert drafted.token_ids == plain.token_ids


@pytest.mark.parametrize("mode", MODES)
def test_the_proxy_may_read_another_prompt(mode):
    """Fails when both models read the base's prompt: the proxy's law is checked against a model run whole."""
    pair = tiny_pair(llama, 10)
    own = [[9, 8, 7, 6, 5], [0], [5, 5], [1, 2, 3], [4], [2, 2]]
    answer = generate(pair, PROMPTS, rules.Always(), proxy_prompts=own, max_new_tokens=6, temperature=0, mode=mode)
    plain = generate(pair, own, rules.Always(), max_new_tokens=6, temperature=0)
    assert answer.token_ids == plain.token_ids
    mixed = generate(pair, PROMPTS, rules.Dual(0.5), proxy_prompts=own, max_new_tokens=6, temperature=0, mode=mode)
    for prompt, proxy_prompt, ids in zip(PROMPTS, own, mixed.token_ids, strict=True):
        for n, token in enumerate(ids):
            with torch.no_grad():
                p = pair.base(torch.tensor([prompt + ids[:n]])).logits[0, -1].softmax(-1)
                q = pair.proxy(torch.tensor([proxy_prompt + ids[:n]])).logits[0, -1]
            assert token == int(q.argmax() if p.max() < 0.5 else p.argmax())


@pytest.mark.parametrize("mode", MODES)
def test_a_function_says_which_laws_are_kept(mode):
    """Fails when it is asked of another prompt or position, a law is another place's, or those of all are held."""
    pair = tiny_pair(llama, 10)
    asked = {"mode": mode, "window": 3, "max_new_tokens": 9, "batch_size": 2, "num_return_sequences": 2}
    every = generate(pair, PROMPTS, rules.Dual(0.3), **asked, distributions=True, first_index=2)
    some = generate(
        pair, PROMPTS, rules.Dual(0.3), **asked, distributions=lambda index, at: at % 3 == index - 2, first_index=2
    )
    for number, (all_laws, found) in enumerate(zip(every.traces, some.traces, strict=True)):
        kept = [at for at in range(9) if at % 3 == number // 2]
        assert found.law_positions.tolist() == kept
        np.testing.assert_array_equal(found.distributions, all_laws.distributions[kept].reshape(-1, 10))
        assert all_laws.law_positions.tolist() == list(range(9))


def test_traces_hold_the_bases_own_law_at_each_token():
    """Fails when p_y, D or the kept rows belong to a neighbouring position, or are tempered."""
    pair = tiny_pair(llama, 10)
    rule = rules.Dual(0.3)
    for mode in MODES:
        answer = generate(
            pair,
            PROMPTS,
            rule,
            mode=mode,
            window=3,
            max_new_tokens=9,
            temperature=0.5,
            distributions=True,
            batch_size=4,
        )
        for prompt, trace in zip(PROMPTS, answer.traces, strict=True):
            assert trace.distributions.shape == (9, 10)
            for n, token in enumerate(trace.token_ids):
                with torch.no_grad():
                    ids = prompt + trace.token_ids[:n].tolist()
                    p = pair.base(torch.tensor([ids])).logits[0, -1].softmax(-1)
                np.testing.assert_allclose(trace.distributions[n], p.numpy(), atol=1e-6)
                assert trace.p_y[n] == pytest.approx(float(p[token]), abs=1e-9)
                assert trace.deferral_mass[n] == pytest.approx(float((p * rule.defer(p)).sum()), abs=1e-9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", [rules.Dual(0.25), rules.Always()], ids=str)
def test_waiting_sequences_take_the_places_of_those_that_have_ended(mode, rule):
    """Fails when a batch runs as long as its slowest sequence before the next one starts."""
    pair = tiny_pair(llama, 10, eos_token_id=[2, 6])
    prompts = [[i % 10, (3 * i) % 10] if i % 3 else [i % 10] for i in range(24)]
    settings = {"mode": mode, "window": 2, "max_new_tokens": 30, "seed": 8}
    alone = generate(pair, prompts, rule, batch_size=1, **settings)
    together = generate(pair, prompts, rule, batch_size=4, **settings)
    assert together.token_ids == alone.token_ids
    lengths = [len(ids) for ids in alone.token_ids]
    in_turn = sum(max(lengths[at : at + 4]) for at in range(0, 24, 4))
    stats = together.stats
    passes = stats.n_proxy_passes if rule.constant else stats.n_base_passes
    if mode == "speculative" and not rule.constant:  # a batch of four at a time, none joining, for comparison
        parts = [generate(pair, prompts[at : at + 4], rule, first_index=at, **settings) for at in range(0, 24, 4)]
        in_turn = sum(part.stats.n_base_passes for part in parts)
    assert passes - len(prompts) < 0.75 * in_turn  # less the passes over the prompts that joined


def mistral(n_tokens, seed, *, window=4, layers=1, **settings):
    """As `llama`, with sliding windows."""
    torch.manual_seed(seed)
    config = MistralConfig(
        vocab_size=n_tokens, hidden_size=16, intermediate_size=32, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.4, sliding_window=window,
        **{"eos_token_id": None, "bos_token_id": None, "pad_token_id": None} | settings,
    )  # fmt: skip
    return MistralForCausalLM(config).double().eval()


@pytest.mark.parametrize("make", [llama, mistral])
def test_who_joins_changes_nothing_for_who_is_there_while_a_model_waits(make):
    """Fails when the new ones' prompts push a waiting token out of a window, or a cache that was emptied keeps rows."""
    pair = tiny_pair(make, 12)
    rng = np.random.default_rng(0)
    for seed in range(25):
        prompts = [rng.integers(12, size=n).tolist() for n in rng.choice([1, 1, 2, 3, 5, 7], 6)]
        settings = {"max_new_tokens": 9, "eos_token_ids": [3, 5, 8], "temperature": 0}
        for mode in MODES:
            together = generate(pair, prompts, rules.Nudging(0.25), mode=mode, batch_size=2, **settings)
            alone = [generate(pair, [one], rules.Nudging(0.25), mode=mode, **settings).token_ids[0] for one in prompts]
            assert together.token_ids == alone, (seed, mode)


@pytest.mark.parametrize("make", [llama, mistral])
def test_what_was_missed_is_read_in_one_pass(make):
    """Fails when a proxy catches up token by token, or a check of a window takes two passes."""
    pair = tiny_pair(make, 12, seed=3)
    settings = {"max_new_tokens": 40, "seed": 1}
    plain = generate(pair, [[1, 2, 3]], rules.Dual(0.1), **settings)
    assert 0 < plain.stats.n_proxy_passes == int((plain.traces[0].source == "proxy").sum())
    drafted = generate(pair, [[1, 2, 3]], rules.Dual(0.1), mode="speculative", window=3, **settings)
    assert drafted.stats.n_base_passes == drafted.stats.n_cycles


def test_a_prompt_of_one_token_may_join_before_anything_was_read():
    """Fails when a cache that lost its last slot to a neighbour's end keeps that neighbour's row."""
    pair = tiny_pair(llama, 12)
    prompts = [[1, 2, 3], [4], [4], [4]]
    settings = {"seed": 53, "max_new_tokens": 8, "eos_token_ids": [3, 5, 8]}
    one_by_one = generate(pair, prompts, rules.Dual(0.1), batch_size=1, **settings)
    assert generate(pair, prompts, rules.Dual(0.1), batch_size=2, **settings).token_ids == one_by_one.token_ids
