"""Tiny random pairs of real architectures, made on the spot: any vocabulary size, any dtype, no files."""

from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedTokenizerFast,
)

from proxyalign.models import ModelPair


def word_tokenizer(n_tokens: int, **special: str) -> PreTrainedTokenizerFast:
    """Words t0, t1, ... separated by blanks, one token each."""
    vocabulary = {f"t{i}": i for i in range(n_tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="t0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def llama(n_tokens: int, seed: int, *, layers: int = 2, width: int = 16, context: int = 64, **settings: Any) -> Any:
    """A Llama with weights large enough that its laws differ from position to position; no end of text."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=n_tokens,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        max_position_embeddings=context,
        initializer_range=0.4,
        **{"num_attention_heads": 2, "num_key_value_heads": 1}
        | {"eos_token_id": None, "bos_token_id": None, "pad_token_id": None}
        | settings,
    )
    return LlamaForCausalLM(config).eval()


def gpt2(n_tokens: int, seed: int, *, layers: int = 2, width: int = 16, context: int = 64, **settings: Any) -> Any:
    """A GPT-2, with learned positions."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=n_tokens,
        n_embd=width,
        n_layer=layers,
        n_head=2,
        n_positions=context,
        initializer_range=0.4,
        **{"eos_token_id": None, "bos_token_id": None, "pad_token_id": None} | settings,
    )
    return GPT2LMHeadModel(config).eval()


def longrope(n_tokens: int, seed: int, *, layers: int = 2, context: int = 16, **settings: Any) -> Any:
    """A Phi-3 whose rotary angles change after `context` tokens, of which it reads eight times as many."""
    torch.manual_seed(seed)
    angles = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": context}
    config = Phi3Config(
        vocab_size=n_tokens,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=8 * context,
        original_max_position_embeddings=context,
        initializer_range=0.4,
        rope_parameters=angles | {"short_factor": [1.0] * 4, "long_factor": [1.0, 4.0, 8.0, 16.0]},
        **{"eos_token_id": None, "bos_token_id": None, "pad_token_id": None} | settings,
    )
    return Phi3ForCausalLM(config).eval()


def tiny_pair(make: Any, n_tokens: int, *, double: bool = True, seed: int = 0, **settings: Any) -> ModelPair:
    """A base of three layers and a proxy of one, over `n_tokens` words; float64 unless told otherwise."""
    kind = torch.float64 if double else torch.float32
    base = make(n_tokens, 2 * seed, layers=3, **settings).to(kind)
    proxy = make(n_tokens, 2 * seed + 1, layers=1, **settings).to(kind)
    return ModelPair(base=base, proxy=proxy, tokenizer=word_tokenizer(n_tokens))
