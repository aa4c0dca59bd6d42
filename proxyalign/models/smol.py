"""A pair for measuring speed: SmolLM2-135M, large enough to be bound by memory, and a small proxy of random weights."""

import torch

from proxyalign.models.causal import load_causal
from proxyalign.models.pair import ModelPair

HIDDEN, LAYERS = 96, 4  # 5 million weights, nearly all of them the embedding of SmolLM2's vocabulary


def smol_pair(device: torch.device, dtype: torch.dtype) -> ModelPair:
    """SmolLM2-135M-Instruct (extra [smol]) as the base, and a Llama of random weights with its vocabulary as the proxy.

    Its acceptance is that of noise. Raises InputError where the extra is not installed.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    base, tokenizer, _ = load_causal("smol")
    config = LlamaConfig(
        vocab_size=base.config.vocab_size,
        hidden_size=HIDDEN,
        intermediate_size=4 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        max_position_embeddings=base.config.max_position_embeddings,
        tie_word_embeddings=True,
        bos_token_id=base.config.bos_token_id,
        eos_token_id=base.config.eos_token_id,
    )
    before = torch.random.get_rng_state()
    torch.manual_seed(0)
    proxy = LlamaForCausalLM(config)
    torch.random.set_rng_state(before)
    models = [model.to(device, dtype).requires_grad_(False) for model in (base, proxy)]
    return ModelPair(base=models[0], proxy=models[1], tokenizer=tokenizer)
