"""A real pair of two families: Gemma 3 270M, which was only pre-trained, and SmolLM2-135M-Instruct, aligned."""

import torch

from proxyalign.models.causal import load_causal
from proxyalign.models.pair import ModelPair


def gemma_smol_pair(device: torch.device, dtype: torch.dtype) -> ModelPair:
    """Gemma 3 270M (extra [real]) as the base, SmolLM2-135M-Instruct as the proxy, each with its own tokenizer.

    The proxy's chat template is the pair's. Both are files of 4 to 8 bits for inference, and of nearly one size: the
    base is no giant beside its proxy. Whoever uses the pair accepts Gemma's terms of use
    (https://ai.google.dev/gemma/terms). Raises InputError where the extra is not installed.
    """
    base, tokenizer, _ = load_causal("gemma")
    proxy, proxy_tokenizer, _ = load_causal("smol")
    models = [model.to(device, dtype).requires_grad_(False) for model in (base, proxy)]
    return ModelPair(base=models[0], proxy=models[1], tokenizer=tokenizer, proxy_tokenizer=proxy_tokenizer)
