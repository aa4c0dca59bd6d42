"""Tiny random models over byte-level vocabularies that clash, for laws that can be counted out."""

from typing import Any

import torch
from tiny_models import llama
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END = "<end>"


def byte_tokenizer(texts: list[str], n_merges: int) -> PreTrainedTokenizerFast:
    """All bytes, an end of text with id 0, and so many merges learnt from the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=257 + n_merges,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)


def byte_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Any:
    """A model whose laws have a few likely tokens and many unlikely ones."""
    model = llama(len(tokenizer), seed, layers=1, context=128, eos_token_id=0).to(torch.float64)
    with torch.no_grad():
        model.lm_head.weight.mul_(2.5)
    return model


def law(model: Any, ids: list[int], n_ids: int) -> torch.Tensor:
    """The model's law after these ids (V,), float64."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0, -1, :n_ids].double().softmax(-1)
