"""Decoders of transformers in either role: greedy answers are theirs, and drafts, batches and windows keep them."""

import numpy as np
import pytest
import torch
import transformers
from tiny_models import word_tokenizer

from proxyalign.decoding import generate
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.models import ModelPair

N_TOKENS, N_NEW = 12, 10
PROMPTS = [[1, 2, 3], [0, 1], [2, 3, 4, 4, 1, 0], [3], [4, 4, 4, 4]]  # longer, with the answer, than any window below
_WINDOW = {"sliding_window": 4}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}

# Settings beside the common ones, which each configuration knows under these names or maps to its own. Experts and
# Gemma 2 (eager attention, whose softmax is float32) cannot read padded float64 in transformers: these run in float32.
DOUBLE = {
    "Llama": {},
    "Qwen3": {"head_dim": 8},
    "Olmo2": {},
    "Gemma3": {"head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]} | _WINDOW,
    "GPT2": {},
    "GPTNeoX": {},
    "Mistral": _WINDOW,
    "Phi": {"num_key_value_heads": 2, "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
    "Cohere2": {"layer_types": ["sliding_attention", "full_attention"]} | _WINDOW,
    "OPT": {"ffn_dim": 32, "word_embed_proj_dim": 16, "init_std": 0.4},
}
SINGLE = {
    "Gemma2": {"head_dim": 8} | _WINDOW,
    "Qwen3Moe": {"head_dim": 8} | _EXPERTS,
    "GptOss": {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "rope_parameters": None} | _WINDOW,
}
MIXED = [("Llama", "GPT2"), ("GPT2", "Gemma3"), ("Mistral", "GPTNeoX"), ("Phi", "Qwen3"), ("OPT", "Olmo2")]
RECURRENT = ["Mamba", "Mamba2", "Jamba", "Qwen3Next", "RecurrentGemma", "Lfm2", "Bamba", "FalconH1", "Zamba2", "Rwkv"]


def tiny(name, seed, n_tokens=N_TOKENS):
    """A random model of two layers, the second of full attention where they differ, and without an end of text."""
    torch.manual_seed(seed)
    settings = {
        "vocab_size": n_tokens,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "initializer_range": 0.4,
        "eos_token_id": None,
        "bos_token_id": None,
        "pad_token_id": None,
    } | (DOUBLE | SINGLE)[name]
    config = getattr(transformers, "Gemma3TextConfig" if name == "Gemma3" else f"{name}Config")(**settings)
    model = getattr(transformers, "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")(config)
    return model.to(torch.float64 if name in DOUBLE else torch.float32).eval()


def tiny_pair(base, proxy):
    return ModelPair(base=tiny(base, 0), proxy=tiny(proxy, 1), tokenizer=word_tokenizer(N_TOKENS))


def greedy_of_transformers(model, prompt, n_new):
    ids = torch.tensor([prompt])
    settings = {"max_new_tokens": n_new, "do_sample": False, "pad_token_id": 0}
    return model.generate(ids, attention_mask=torch.ones_like(ids), **settings)[0, len(prompt) :].tolist()


PAIRS = [(name, name) for name in DOUBLE | SINGLE] + MIXED


@pytest.mark.parametrize(("base", "proxy"), PAIRS)
def test_each_architecture_decodes_as_transformers_does_and_drafts_the_same(base, proxy):
    """Fails when positions, masks, windows or crops are not what the architecture means by them."""
    pair = tiny_pair(base, proxy)
    for rule, model in ((rules.Never(), pair.base), (rules.Always(), pair.proxy)):
        theirs = [greedy_of_transformers(model, prompt, N_NEW) for prompt in PROMPTS]
        for mode in ("autoregressive", "speculative"):
            mine = generate(pair, PROMPTS, rule, mode=mode, temperature=0, max_new_tokens=N_NEW, batch_size=3)
            assert mine.token_ids == theirs, (rule, mode)
    settings = {"temperature": 0, "max_new_tokens": N_NEW}
    of_base = generate(pair, PROMPTS, rules.Never(), **settings)
    rule = rules.Dual(float(np.median(np.concatenate([trace.p_y for trace in of_base.traces]))))
    plain = generate(pair, PROMPTS, rule, batch_size=1, **settings)
    assert {source for trace in plain.traces for source in trace.source} == {"base", "proxy"}
    for window, batch_size in ((1, 1), (4, 1), (1, 3), (4, 3)):
        drafted = generate(pair, PROMPTS, rule, mode="speculative", window=window, batch_size=batch_size, **settings)
        assert drafted.token_ids == plain.token_ids, (window, batch_size)


@pytest.mark.parametrize("role", ["base", "proxy"])
@pytest.mark.parametrize("name", RECURRENT)
def test_a_recurrent_or_hybrid_model_is_refused_when_the_pair_is_made(name, role):
    """Fails when a state that no crop takes back gets as far as decoding, where it would corrupt text silently."""
    layers = {"layer_types": ["conv", "full_attention"] * 16} if name == "Lfm2" else {}  # by default all attend
    config = getattr(transformers, f"{name}Config")(**layers)
    kind = getattr(transformers, f"{name}ForCausalLM")
    with torch.device("meta"):  # no memory for weights of full size: nothing is to be run
        model = kind(config)
    other = tiny("Llama", 0)
    models = {"base": model, "proxy": other} if role == "base" else {"base": other, "proxy": model}
    with pytest.raises(InputError, match=f"ModelPair: {role} must be a decoder of full or sliding attention"):
        ModelPair(**models, tokenizer=word_tokenizer(N_TOKENS))


def without_positions(kind, **settings):
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(vocab_size=N_TOKENS, **settings)
    return getattr(transformers, f"{kind}ForCausalLM")(config).double().eval()


SLOT_BY_SLOT = {
    "mpt": lambda: without_positions("Mpt", d_model=16, n_heads=2, n_layers=1, expansion_ratio=2, max_seq_len=64),
    "bart": lambda: without_positions(
        "Bart", d_model=16, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32, max_position_embeddings=64,
        is_encoder_decoder=False,
    ),
    "roberta": lambda: without_positions(
        "Roberta", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, is_decoder=True,
        max_position_embeddings=64, pad_token_id=11,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SLOT_BY_SLOT)
def test_a_model_that_counts_slots_is_decoded_alone_and_refused_in_a_batch(kind):
    """Fails when rows of unequal lengths silently get the positions of their padding."""
    pair = ModelPair(base=SLOT_BY_SLOT[kind](), proxy=tiny("Llama", 0), tokenizer=word_tokenizer(N_TOKENS))
    settings = {"temperature": 0, "max_new_tokens": 5, "eos_token_ids": ()}
    for mode in ("autoregressive", "speculative"):
        alone = generate(pair, PROMPTS[:2], rules.Never(), mode=mode, batch_size=1, **settings)
        for prompt, ids in zip(PROMPTS, alone.token_ids, strict=False):
            for n, token in enumerate(ids):
                with torch.no_grad():
                    assert token == int(pair.base(torch.tensor([prompt + ids[:n]])).logits[0, -1].argmax())
        with pytest.raises(InputError, match=f"got a {kind} model and 2 texts at once; pass batch_size=1"):
            generate(pair, PROMPTS[:2], rules.Never(), mode=mode, **settings)


def test_a_model_without_a_cache_is_refused_when_the_pair_is_made():
    """Fails when it gets as far as an internal error of the cache."""
    config = transformers.OpenAIGPTConfig(vocab_size=N_TOKENS, n_embd=16, n_layer=1, n_head=2)
    model = transformers.OpenAIGPTLMHeadModel(config)
    other = tiny("Llama", 0)
    with pytest.raises(InputError, match="whose cache can be cut back, got openai-gpt"):
        ModelPair(base=model, proxy=other, tokenizer=word_tokenizer(N_TOKENS))


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
@pytest.mark.parametrize("temperature", [0, 1])
def test_padding_ids_of_either_model_are_never_drawn(temperature, mode):
    """Fails when a column past the tokenizer's last token keeps its mass, is drawn, or is left in the total."""
    base, proxy = tiny("Llama", 0, N_TOKENS + 5), tiny("GPT2", 1, N_TOKENS + 9)
    pair = ModelPair(base=base, proxy=proxy, tokenizer=word_tokenizer(N_TOKENS))
    assert pair.vocab_size == N_TOKENS
    settings = {"max_new_tokens": N_NEW, "num_return_sequences": 4, "temperature": temperature}
    answer = generate(pair, PROMPTS, rules.Dual(0.6), mode=mode, distributions=True, **settings)
    assert max(max(ids) for ids in answer.token_ids) < N_TOKENS
    for trace in answer.traces:
        assert trace.distributions.shape == (N_NEW, N_TOKENS)
        assert trace.distributions.sum(1) == pytest.approx(1.0, abs=1e-6)
    with torch.no_grad():
        theirs = base(torch.tensor([PROMPTS[0]])).logits[0, -1]
    assert int(theirs.argmax()) >= N_TOKENS or float(theirs.softmax(-1)[N_TOKENS:].sum()) > 0.01  # so that it matters
    expected = theirs[:N_TOKENS].softmax(-1).numpy()
    assert answer.traces[0].distributions[0] == pytest.approx(expected, abs=1e-6)
