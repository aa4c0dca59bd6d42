"""What goes wrong inside a run: numbers that are none, texts that end at once, contexts that run out, and no memory."""

import math

import pytest
import torch
from tiny_models import gpt2, llama, tiny_pair
from transformers import LlamaForCausalLM

from proxyalign.decoding import generate
from proxyalign.decoding.memory import enough_memory
from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.00 GB)."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
    MemoryError("Unable to allocate 3.00 GiB for an array"),
]
PROMPTS = [[1, 2, 3], [0, 1], [2, 3, 4, 4]]
MODES = ["autoregressive", "speculative"]


def say(model, change):
    """Change every answer of a model: `change` gets its logits, to be changed in place."""

    def hook(module, inputs, output):
        change(output.logits)

    model.register_forward_hook(hook)


def poisoned(role, poison):
    """A pair with a reference, one of whose models breaks at the sixth position of a text, and one that reads all."""
    pair = tiny_pair(gpt2, 10)
    whole = ModelPair(base=pair.base, proxy=pair.proxy, tokenizer=pair.tokenizer, reference=gpt2(10, 7).double())
    with torch.no_grad():
        getattr(whole, role).transformer.wpe.weight[5] = poison
    return whole


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("role", ["base", "proxy", "reference"])
def test_one_bad_row_of_a_batch_stops_the_run_with_the_models_name(role, poison, mode):
    """Fails when NaN in a row is drawn from, spreads to the others unseen, or is laid at another model's door."""
    pair = poisoned(role, poison)
    told = f"the {role} must give finite logits, got NaN or infinity in the step from new token"
    for batch_size in (1, 3):
        with pytest.raises(InputError, match=told):
            generate(pair, PROMPTS, rules.ImplicitReward(), mode=mode, max_new_tokens=8, batch_size=batch_size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (rules.Exact(0.5), {}),
        (rules.ConfidenceBet(0.2), {"rule_temperature": 0.0}),
        (rules.ConfidenceBet(0.2), {"rule_temperature": 0.0, "temperature": 0.0}),
    ],
)
def test_no_rule_or_temperature_hides_a_bad_row(rule, settings, poison, mode):
    """Fails when an argmax of NaN passes for a sure token, or a solver is the first to notice."""
    for role in ("base", "proxy"):
        if rule.reads("q") or role == "base":
            with pytest.raises(
                InputError, match=f"the {role} must give finite logits, got NaN or infinity in the step"
            ):
                generate(poisoned(role, poison), PROMPTS, rule, mode=mode, max_new_tokens=8, **settings)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("role", ["base", "proxy"])
def test_infinity_of_one_token_is_a_fault_and_minus_infinity_is_a_zero(role, mode):
    """Fails when a model that forbids tokens by minus infinity is refused or not obeyed, or plus infinity passes."""
    pair = tiny_pair(gpt2, 10)
    say(getattr(pair, role), lambda logits: logits[..., 5:].fill_(-math.inf))
    rule = rules.Never() if role == "base" else rules.Always()
    answer = generate(pair, PROMPTS, rule, mode=mode, max_new_tokens=8, num_return_sequences=4)
    assert {token for ids in answer.token_ids for token in ids} <= set(range(5))
    say(getattr(pair, role), lambda logits: logits[..., 2].fill_(math.inf))
    with pytest.raises(InputError, match=f"the {role} must give finite logits"):
        generate(pair, PROMPTS, rule, mode=mode, max_new_tokens=8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", [rules.Dual(0.4), rules.Always(), rules.ConfidenceBet(0.2)], ids=str)
def test_models_that_know_nothing_but_the_end_stop_at_once(rule, mode):
    """Fails when a window is emitted past the end of text, or a batch in which all have ended goes on."""
    pair = tiny_pair(gpt2, 10, eos_token_id=4)
    with torch.no_grad():
        for model in (pair.base, pair.proxy):
            model.lm_head.weight = torch.nn.Parameter(torch.zeros(10, 16, dtype=torch.float64))
            model.transformer.ln_f.weight.zero_()
            model.transformer.ln_f.bias.fill_(1.0)
            model.lm_head.weight[4] = 10.0
    answer = generate(pair, PROMPTS, rule, mode=mode, window=4, max_new_tokens=12, num_return_sequences=2, seed=1)
    assert answer.token_ids == [[4]] * 6
    assert answer.stats.n_tokens == 6


@pytest.mark.parametrize("n_new", [1, 2, 5])
def test_a_window_longer_than_what_remains_is_cut(n_new):
    """Fails when drafts are made that can never be emitted, or the limit is passed."""
    pair = tiny_pair(llama, 10)
    settings = {"max_new_tokens": n_new, "temperature": 0}
    drafted = generate(pair, PROMPTS, rules.Dual(0.4), mode="speculative", window=50, **settings)
    assert drafted.token_ids == generate(pair, PROMPTS, rules.Dual(0.4), **settings).token_ids
    assert drafted.stats.n_proxy_passes <= n_new * (n_new + 1) // 2


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("window", [3, 9])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_context_may_be_filled_to_its_last_position_from_within_a_window(make, window, batch_size):
    """Fails when a window that reaches past the context reads positions that a model has not: 12 = 4 + 8."""
    pair = tiny_pair(make, 10, context=12)
    settings = {"max_new_tokens": 8, "temperature": 0, "batch_size": batch_size}
    plain = generate(pair, PROMPTS, rules.Dual(0.5), **settings)
    drafted = generate(pair, PROMPTS, rules.Dual(0.5), mode="speculative", window=window, **settings)
    assert drafted.token_ids == plain.token_ids
    assert {len(ids) for ids in plain.token_ids} == {8}
    with pytest.raises(InputError, match=r"context of 12 tokens, got 4 \+ 9"):
        generate(pair, PROMPTS, rules.Dual(0.5), mode="speculative", max_new_tokens=9)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_no_memory_for_a_batch_is_told_with_the_remedy(error):
    """Fails when a batch too large for the machine ends in a traceback from within torch."""
    pair = tiny_pair(llama, 10)

    def fail(logits):
        raise error

    say(pair.proxy, fail)
    with pytest.raises(InputError, match="score: models and a batch of 2 must fit in memory, got no more of it; score"):
        score(pair, rules.Dual(0.4), [[1], [2]], [[1], [2]])


def test_any_other_error_of_a_model_keeps_its_name():
    """Fails when a defect is told as a lack of memory."""
    with pytest.raises(RuntimeError, match="shape"), enough_memory("generate", 2, "lower batch_size"):
        raise RuntimeError("shape mismatch")


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_a_model_that_is_being_trained_decodes_as_in_evaluation_and_goes_on_training(mode):
    """Fails when dropout, or a cache that gradient checkpointing drops, changes a text; or when training is ended."""
    pair = tiny_pair(llama, 10, attention_dropout=0.5)
    settings = {"mode": mode, "temperature": 0, "max_new_tokens": 8, "window": 3}
    expected = generate(pair, [[1, 2, 3], [4]], rules.Dual(0.3), **settings).token_ids
    scored = score(pair, rules.Dual(0.3), [[1, 2]], [[3, 4, 5]])[0].log_probs
    pair.base.gradient_checkpointing_enable()
    pair.base.train()
    pair.base.model.layers[0].eval()
    assert generate(pair, [[1, 2, 3], [4]], rules.Dual(0.3), **settings).token_ids == expected
    assert (score(pair, rules.Dual(0.3), [[1, 2]], [[3, 4, 5]])[0].log_probs == scored).all()
    assert pair.base.training
    assert pair.base.model.layers[1].training
    assert not pair.base.model.layers[0].training


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_a_forward_that_passes_everything_on_is_told_positions(mode):
    """Fails when a wrapped model is refused in a batch, or read there at wrong positions."""

    class Logged(LlamaForCausalLM):
        def forward(self, *args, **kwargs):
            return super().forward(*args, **kwargs)

    pair = tiny_pair(llama, 10)
    logged = Logged(pair.base.config).double().eval()
    logged.load_state_dict(pair.base.state_dict())
    settings = {"mode": mode, "max_new_tokens": 8, "window": 3, "seed": 1}
    prompts = [[1, 2, 3], [4]]
    expected = generate(pair, prompts, rules.Dual(0.3), **settings).token_ids
    wrapped = ModelPair(logged, pair.proxy, pair.tokenizer)
    assert generate(wrapped, prompts, rules.Dual(0.3), **settings).token_ids == expected
