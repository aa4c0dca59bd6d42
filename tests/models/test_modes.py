"""Evaluation for the length of a call: every module's mode comes back, and a cache is kept meanwhile."""

import pytest
import torch
from tiny_models import llama, word_tokenizer

from proxyalign.models import ModelPair


def modes(model):
    return {name: module.training for name, module in model.named_modules()}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_model_in_training_reads_as_in_evaluation_and_trains_on():
    """Fails when dropout acts, checkpointing drops the cache, a frozen part wakes up or a trained one stays asleep."""
    base = llama(12, 0, attention_dropout=0.9)
    pair = ModelPair(base, llama(12, 1), word_tokenizer(12), reference=llama(12, 2))
    ids = torch.tensor([[1, 2, 3]])
    expected = base(ids).logits
    base.gradient_checkpointing_enable()
    pair.reference.train()
    base.train()
    base.model.layers[0].eval()
    before = modes(base)
    assert len(set(before.values())) == 2
    with pair.evaluating(), torch.inference_mode():
        assert not any(modes(base).values())
        assert not any(modes(pair.reference).values())
        out = base(ids, use_cache=True)
        torch.testing.assert_close(out.logits, expected)
        assert out.past_key_values.get_seq_length() == 3
    assert modes(base) == before
    with pytest.raises(ZeroDivisionError), pair.evaluating():
        _ = 1 / 0
    assert modes(base) == before
    assert all(modes(pair.reference).values())
    assert not any(modes(pair.proxy).values())
    assert base.is_gradient_checkpointing


def test_no_method_of_the_model_is_called_to_change_its_mode():
    """Fails when train(), which merges adapters in some models, is called on one of its parts."""

    class Merging(torch.nn.Linear):
        def train(self, mode=True):
            raise AssertionError

    pair = ModelPair(llama(12, 0), llama(12, 1), word_tokenizer(12))
    pair.base.train()
    pair.base.lm_head = Merging(16, 12)
    with pair.evaluating():
        assert not pair.base.lm_head.training
    assert pair.base.lm_head.training
