"""What generate refuses, in one sentence that names the argument, what is allowed, what was given, and the remedy."""

import math

import numpy as np
import pytest
import torch
from tiny_models import gpt2, llama, longrope, tiny_pair, word_tokenizer

from proxyalign.decoding import generate
from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair


@pytest.fixture(scope="module")
def pair():
    return tiny_pair(llama, 10, context=16)


BAD = [
    ({"mode": "speculativ"}, "mode must be autoregressive or speculative, got 'speculativ'"),
    ({"window": 0}, "window must be a whole number of at least 1, got 0"),
    ({"window": 2.5}, "window must be a whole number of at least 1, got 2.5"),
    ({"max_new_tokens": 0}, "max_new_tokens must be a whole number of at least 1, got 0"),
    ({"num_return_sequences": 0}, "num_return_sequences must be a whole number of at least 1, got 0"),
    ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ({"first_index": -1}, "first_index must be a whole number of at least 0, got -1"),
    ({"temperature": -0.1}, "temperature must be a finite number of at least 0, got -0.1"),
    ({"temperature": math.nan}, "temperature must be a finite number of at least 0, got nan"),
    ({"temperature": math.inf}, "temperature must be a finite number of at least 0, got inf"),
    ({"rule": "dual"}, r"rule must be a rule, got 'dual'; pass one such as rules.Dual\(alpha=0.4\)"),
    ({"logit_bias": dict.fromkeys(range(10), -math.inf)}, "must leave a token that may come first"),
    (
        {"logit_bias": dict.fromkeys(range(9), -math.inf), "eos_token_ids": [9], "min_new_tokens": 1},
        "must leave a token that may come first",
    ),
    ({"prompts": []}, "prompts must be a list of one or more prompts"),
    ({"prompts": "t1 t2"}, "prompts must be a list of one or more prompts, got 't1 t2'; put a single text in a list"),
    ({"prompts": ["t1", ""]}, r"prompts\[1\] must hold at least one token, got ''"),
    ({"prompts": ["  "]}, r"prompts\[0\] must hold at least one token, got '  '"),
    ({"prompts": ["t1", None]}, r"prompts\[1\] must be a text or a list of token ids, got None"),
    ({"prompts": [3]}, r"prompts\[0\] must be a text or a list of token ids, got 3"),
    ({"prompts": [[1, 2.0]]}, r"prompts\[0\] must hold token ids from 0 to 9, got 2.0"),
    ({"prompts": [[True]]}, r"prompts\[0\] must hold token ids from 0 to 9, got True"),
    ({"prompts": None}, "prompts must be a list of one or more prompts, got None"),
    ({"stop": None}, "stop must be a list of strings that are not empty, got None"),
    ({"stop": ["a", None]}, "stop must be a list of strings"),
    ({"eos_token_ids": "2"}, "eos_token_ids must hold token ids from 0 to 9, got '2'"),
    ({"eos_token_ids": 10}, "eos_token_ids must hold token ids from 0 to 9, got 10"),
    ({"eos_token_ids": 2.0}, "eos_token_ids must be a list of token ids, got 2.0"),
    ({"logit_bias": [1]}, r"logit_bias must map token ids to nats, got \[1\]"),
    ({"logit_bias": {1: "x"}}, "logit_bias must be below infinity, got 'x' for token 1"),
    ({"temperature": "1"}, "temperature must be a finite number of at least 0, got '1'"),
    ({"temperature": None}, "temperature must be a finite number of at least 0, got None"),
    ({"window": "5"}, "window must be a whole number of at least 1, got '5'"),
    ({"max_new_tokens": None}, "max_new_tokens must be a whole number of at least 1, got None"),
    ({"seed": 1.0}, "seed must be a whole number of at least 0, got 1.0"),
    ({"streamer": "x"}, "streamer must have put and end, got 'x'"),
    ({"prompts": [[]]}, r"prompts\[0\] must hold at least one token, got \[\]"),
    ({"prompts": [[1, 10]]}, r"prompts\[0\] must hold token ids from 0 to 9, got 10"),
    ({"prompts": [[-1]]}, r"prompts\[0\] must hold token ids from 0 to 9, got -1"),
    ({"prompts": [[1] * 9]}, "must fit the models' context of 16 tokens, got 9 \\+ 8; shorten the prompt or lower"),
    ({"proxy_prompts": [[1], [2]]}, "proxy_prompts must be as many as prompts, 1, got 2"),
    ({"proxy_prompts": [[1] * 9]}, r"proxy_prompts\[0\] and max_new_tokens must fit"),
]


@pytest.mark.parametrize(("change", "told"), BAD)
def test_a_bad_argument_is_refused(pair, change, told):
    """Fails when a wrong value is passed on to where it breaks, or passes."""
    arguments = {"prompts": [[1, 2]], "rule": rules.Dual(0.4), "max_new_tokens": 8} | change
    with pytest.raises(InputError, match=told):
        generate(pair, arguments.pop("prompts"), arguments.pop("rule"), **arguments)


def test_only_a_pair_can_decode(pair):
    """Fails when a bare model is taken for a pair."""
    with pytest.raises(InputError, match="pair must be a ModelPair, got LlamaForCausalLM"):
        generate(pair.base, [[1]], rules.Never())


def test_a_prompt_may_fill_the_context_to_the_last_token(pair):
    """Fails when the check is off by one."""
    assert len(generate(pair, [[1] * 8], rules.Dual(0.4), max_new_tokens=8).token_ids[0]) == 8


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("role", ["base", "proxy"])
def test_logits_that_are_no_numbers_are_told_with_model_and_step(role, poison, temperature, mode):
    """Fails when NaN or infinity ends in a random token, or in an error from within torch."""
    pair = tiny_pair(gpt2, 10)
    with torch.no_grad():  # the position of the third new token, after which the fourth is drawn
        getattr(pair, role).transformer.wpe.weight[4] = poison
    step = "4" if mode == "autoregressive" else "[1-4]"  # a window holds the fourth token and begins before it
    told = f"the {role} must give finite logits, got NaN or infinity in the step from new token {step} on"
    with pytest.raises(InputError, match=told):
        generate(pair, [[1, 2]], rules.Dual(0.99), mode=mode, temperature=temperature, max_new_tokens=8, seed=1)


def test_texts_and_ids_are_the_same_prompts(pair):
    """Fails when a text is tokenised otherwise than by the tokenizer's default call, or the answer is not decoded."""
    of_text = generate(pair, ["t1 t2"], rules.Never(), max_new_tokens=5)
    of_ids = generate(pair, [[1, 2]], rules.Never(), max_new_tokens=5)
    assert of_text.token_ids == of_ids.token_ids
    assert of_text.texts == [" ".join(f"t{i}" for i in of_text.token_ids[0])]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_rule_that_reads_the_proxy_decodes_in_both_modes(batch_size):
    """Fails when such a rule is given no q, or a bonus that it cannot have."""
    pair = tiny_pair(llama, 10)
    prompts = [[1, 2, 3], [0, 1], [4]]
    settings = {"temperature": 0, "max_new_tokens": 12, "batch_size": batch_size}
    plain = generate(pair, prompts, rules.ConfidenceBet(0.2), **settings)
    drafted = generate(pair, prompts, rules.ConfidenceBet(0.2), mode="speculative", window=3, **settings)
    assert drafted.token_ids == plain.token_ids
    assert {source for trace in drafted.traces for source in trace.source} == {"draft", "residual"}


@pytest.mark.parametrize("kind", [np.array, torch.tensor, tuple])
def test_ids_may_come_as_arrays(pair, kind):
    """Fails when ids are refused for what holds them."""
    expected = generate(pair, [[1, 2]], rules.Never(), max_new_tokens=5).token_ids
    assert generate(pair, [kind([1, 2])], rules.Never(), max_new_tokens=5).token_ids == expected


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_texts_on_one_side_of_changing_rotary_angles_are_transformers_own(mode):
    """Fails when a text that crosses the change is written all the same, or one that does not is another one."""
    pair = ModelPair(longrope(24, 0).double(), longrope(24, 1).double(), word_tokenizer(24))
    settings = {"mode": mode, "window": 4, "temperature": 0}
    short, long = [list(range(8)), [5, 6, 7]], [[i % 24 for i in range(n)] for n in (18, 25)]
    for prompts, n_new in ((short, 4), (long, 20)):
        answers = generate(pair, prompts, rules.Never(), max_new_tokens=n_new, **settings).token_ids
        for prompt, ids in zip(prompts, answers, strict=True):
            one = torch.tensor([prompt])
            theirs = pair.base.generate(one, attention_mask=one > -1, max_new_tokens=n_new, do_sample=False)
            assert ids == theirs[0, len(prompt) :].tolist()
    for prompts, n_new in ((short, 20), ([short[0], long[0]], 4)):
        with pytest.raises(InputError, match=r"must stay within 16 tokens, where the base's rotary angles change"):
            generate(pair, prompts, rules.Never(), max_new_tokens=n_new, **settings)
    with pytest.raises(InputError, match="score: prompts and answers must stay within 16 tokens"):
        score(pair, rules.Never(), [[1, 2]], [[3] * 20])


def test_a_device_without_float64_is_refused(pair, monkeypatch):
    """Fails with an error of torch's, from within a draw."""
    monkeypatch.setattr(ModelPair, "device", torch.device("mps"))
    with pytest.raises(
        InputError, match=r"generate: the models must be on a device that has float64 numbers, .* got mps"
    ):
        generate(pair, [[1, 2]], rules.Dual(0.3))
    with pytest.raises(InputError, match="score: the models must be on a device that has float64 numbers"):
        score(pair, rules.Dual(0.3), [[1]], [[2]])
