"""What may be asked of a generation beside its rule: truncation, bias, lengths, stop strings, ends and streaming."""

import math

import pytest
import torch
import transformers
from test_law import LEVEL, PROMPT, V, p_value
from tiny_models import gpt2, llama, tiny_pair

from proxyalign.decoding import generate
from proxyalign.deferral import policy, rules
from proxyalign.errors import InputError

MODES = ["autoregressive", "speculative"]
PROMPTS = [[1, 2, 3], [0, 1], [2, 3, 4, 4, 1, 0], [3]]


def truncated(logits, temperature, top_k, top_p):
    """transformers' own order: temperature, then top-k, then top-p."""
    scores = logits[None] / temperature
    for warper in (transformers.TopKLogitsWarper(top_k), transformers.TopPLogitsWarper(top_p)):
        scores = warper(None, scores)
    return scores[0] > -math.inf


@pytest.mark.parametrize("mode", MODES)
def test_truncation_comes_before_the_rule_and_is_transformers_own(mode):
    """Fails when the rule sees tokens that were cut off, or the sets are those of another order."""
    pair = tiny_pair(llama, 8, seed=3)
    with torch.no_grad():
        of_base, of_proxy = (model(torch.tensor([PROMPT])).logits[0, -1] for model in (pair.base, pair.proxy))
    temperature, rule = 0.7, rules.Dual(0.35)
    kept = truncated(of_base, temperature, 5, 0.8), truncated(of_proxy, temperature, 4, 0.9)
    assert 1 < kept[0].sum() < 8
    own, drawn = ((of_base / t).masked_fill(~kept[0], -math.inf).softmax(-1) for t in (1.0, temperature))
    q = (of_proxy / temperature).masked_fill(~kept[1], -math.inf).softmax(-1)
    pi = policy.cascade(drawn, q, rule.defer(own))
    settings = {"top_k": 5, "top_p": 0.8, "proxy_top_k": 4, "proxy_top_p": 0.9, "temperature": temperature}
    n = 20_000
    answers = generate(
        pair, [PROMPT], rule, mode=mode, max_new_tokens=1, num_return_sequences=n, batch_size=n, seed=4, **settings
    )
    assert p_value({(x,): float(pi[x]) for x in range(8)}, answers.token_ids) > LEVEL


@pytest.mark.parametrize("make", [llama, gpt2])
def test_all_options_together_give_the_same_tokens_in_all_ways(make):
    """Fails when an option reaches one mode, one row of a window or one batch size alone."""
    pair = tiny_pair(make, 12, eos_token_id=5)
    settings = {
        "top_p": 0.9,
        "proxy_top_k": 6,
        "logit_bias": {3: -math.inf, 7: 1.5},
        "min_new_tokens": 4,
        "stop": ["t7 t7", "t9"],
        "eos_token_ids": [5, 8],
        "max_new_tokens": 17,
        "temperature": 0,
    }
    ways = [("autoregressive", 1, 1), ("autoregressive", 1, 3), ("speculative", 1, 1), ("speculative", 4, 3)]
    answers = [
        generate(pair, PROMPTS, rules.Dual(0.3), mode=mode, window=window, batch_size=size, **settings).token_ids
        for mode, window, size in ways
    ]
    assert all(answer == answers[0] for answer in answers)
    assert not any(3 in ids for ids in answers[0])
    assert all(not {5, 8} & set(ids[:4]) for ids in answers[0])


@pytest.mark.parametrize("mode", MODES)
def test_lengths_and_ends_are_transformers_own(mode):
    """Fails when a text ends before its minimum, or at an end that was replaced."""
    pair = tiny_pair(llama, 12, eos_token_id=5)
    ids = torch.tensor([PROMPT])
    for ends, least in (([5], 9), ([2, 7], 0), ([], 0)):
        theirs = pair.base.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=25,
            min_new_tokens=least or None,
            do_sample=False,
            eos_token_id=ends or None,
            pad_token_id=0,
        )
        if not ends:
            pair.base.generation_config.eos_token_id = 5
        mine = generate(
            pair,
            [PROMPT],
            rules.Never(),
            mode=mode,
            temperature=0,
            max_new_tokens=25,
            min_new_tokens=least,
            eos_token_ids=ends,
        )
        if ends:
            assert mine.token_ids == [theirs[0, len(PROMPT) :].tolist()]
        else:
            assert len(mine.token_ids[0]) == 25


@pytest.mark.parametrize("mode", MODES)
def test_a_text_ends_with_the_first_stop_string(mode):
    """Fails when a stop string in the middle of a window, or across two of them, is overlooked, or cut off."""
    pair = tiny_pair(llama, 10)
    settings = {"mode": mode, "window": 4, "max_new_tokens": 40, "num_return_sequences": 20, "seed": 2, "batch_size": 7}
    whole = generate(pair, [PROMPT], rules.Dual(0.3), **settings)
    stopped = generate(pair, [PROMPT], rules.Dual(0.3), stop=["t4 t1", "t9"], **settings)
    cut = 0
    for text, full, ids, trace in zip(stopped.texts, whole.texts, stopped.token_ids, stopped.traces, strict=True):
        assert full.startswith(text)
        places = [full.find(string) + len(string) for string in ("t4 t1", "t9") if string in full]
        assert len(text) == min([*places, len(full)])
        assert len(trace) == len(ids)
        cut += text != full
    assert cut > 5


def test_drafts_may_not_end_a_text_too_soon_either():
    """Fails when a window's drafts are all taken for the first token after the emitted ones."""
    for seed in range(6):
        pair = tiny_pair(llama, 10, seed=seed, eos_token_id=[2, 6, 7])
        settings = {"temperature": 0, "min_new_tokens": 3, "max_new_tokens": 12, "window": 4}
        plain = generate(pair, [PROMPT, [1], [4, 4]], rules.Dual(0.9), **settings)
        drafted = generate(pair, [PROMPT, [1], [4, 4]], rules.Dual(0.9), mode="speculative", **settings)
        assert drafted.token_ids == plain.token_ids


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_a_special_token_may_stop_a_text(mode):
    """Fails when special tokens are left out of the text in which stop strings are looked for."""
    pair = tiny_pair(llama, 10)
    settings = {"mode": mode, "window": 4, "max_new_tokens": 40, "seed": 2}
    whole = generate(pair, [PROMPT], rules.Dual(0.3), **settings).token_ids[0]
    pair.tokenizer.add_special_tokens({"additional_special_tokens": [f"t{whole[5]}"]})
    stopped = generate(pair, [PROMPT], rules.Dual(0.3), stop=[f"t{whole[5]}"], **settings).token_ids[0]
    assert stopped == whole[: whole.index(whole[5]) + 1]


class Collected:
    """A streamer that keeps what it is given."""

    def __init__(self):
        self.pieces, self.ended = [], False

    def put(self, value):
        self.pieces.append(value.tolist())

    def end(self):
        self.ended = True


@pytest.mark.parametrize("mode", MODES)
def test_a_streamer_gets_the_prompt_and_then_the_tokens_as_they_come(mode, capsys):
    """Fails when tokens come at the end, twice, or not at all; and for transformers' own streamer."""
    pair = tiny_pair(llama, 10)
    collected = Collected()
    settings = {"mode": mode, "window": 3, "max_new_tokens": 15, "seed": 1}
    answer = generate(pair, [PROMPT], rules.Dual(0.3), streamer=collected, **settings)
    assert collected.pieces[0] == PROMPT
    assert [token for piece in collected.pieces[1:] for token in piece] == answer.token_ids[0]
    assert len(collected.pieces) > 3
    assert collected.ended
    streamer = transformers.TextStreamer(pair.tokenizer, skip_prompt=True)
    generate(pair, [PROMPT], rules.Dual(0.3), streamer=streamer, **settings)
    assert capsys.readouterr().out.strip() == answer.texts[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 0}, "k must be a finite whole number of at least 1, got 0"),
        ({"top_p": 1.5}, r"mass must be a number in \[0, 1\], got 1.5"),
        ({"logit_bias": {V: 1.0}}, f"logit_bias must hold token ids from 0 to {V - 1}, got {V}"),
        ({"logit_bias": {0: math.inf}}, "logit_bias must be below infinity, got inf for token 0"),
        ({"logit_bias": {0: math.nan}}, "logit_bias must be below infinity, got nan for token 0"),
        ({"min_new_tokens": -1}, "min_new_tokens must be a whole number of at least 0"),
        ({"stop": "t1"}, "stop must be a list of strings"),
        ({"stop": [""]}, "stop must be a list of strings that are not empty"),
        ({"eos_token_ids": [-1]}, "eos_token_ids must hold token ids"),
        ({"streamer": Collected(), "num_return_sequences": 2}, "a streamer takes one sequence, got 2"),
        ({"rule_temperature": -1.0}, "rule_temperature must be a finite number"),
        ({"min_new_tokens": 9, "max_new_tokens": 8}, "min_new_tokens must be at most max_new_tokens, 8, got 9"),
    ],
)
def test_a_mistake_is_told_before_anything_is_decoded(settings, message):
    """Fails for a traceback from inside a step, or a value that is taken although it makes no sense."""
    with pytest.raises(InputError, match=message):
        generate(tiny_pair(llama, V), [PROMPT], rules.Dual(0.3), **{"max_new_tokens": 8} | settings)


@pytest.mark.parametrize("mode", MODES)
def test_a_temperature_beyond_float32_is_still_its_limit(mode):
    """Fails when a temperature that float32 rounds to 0 or to infinity makes numbers of nothing, or of one token."""
    pair = tiny_pair(llama, V, double=False)
    settings = {"mode": mode, "max_new_tokens": 12, "window": 3}
    greedy = generate(pair, [PROMPT], rules.Dual(0.3), temperature=0, **settings).token_ids
    for temperature in (1e-30, 1e-40, 1e-46, 5e-324):
        assert generate(pair, [PROMPT], rules.Dual(0.3), temperature=temperature, **settings).token_ids == greedy
    hot = {"temperature": 1e300, "top_k": 3, "num_return_sequences": 40}
    drawn = generate(pair, [PROMPT], rules.Never(), **settings | hot | {"max_new_tokens": 1}).token_ids
    assert len({ids[0] for ids in drawn}) == 3


def test_one_end_of_text_needs_no_list():
    """Fails when a single id is refused, or taken for several."""
    pair = tiny_pair(llama, V)
    whole = generate(pair, [PROMPT], rules.Never(), max_new_tokens=20, seed=1).token_ids[0]
    ended = generate(pair, [PROMPT], rules.Never(), max_new_tokens=20, seed=1, eos_token_ids=whole[4]).token_ids[0]
    assert ended == whole[: whole.index(whole[4]) + 1]


def test_a_refusal_ends_the_stream():
    """Fails when who reads a streamer waits for ever on a call that was refused."""
    pair = tiny_pair(llama, V)
    for mistake in ({"max_new_tokens": 10**6}, {"rule": "dual"}, {"prompts": []}, {"mode": "fast"}):
        collected = Collected()
        arguments = {"prompts": [PROMPT], "rule": rules.Never()} | mistake
        with pytest.raises(InputError):
            generate(pair, arguments.pop("prompts"), arguments.pop("rule"), streamer=collected, **arguments)
        assert collected.ended
