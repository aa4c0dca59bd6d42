"""Ctrl-C and a full memory in the middle of a batch: what has ended is kept, and the remedy is told."""

import functools

import pytest
import torch
from tiny_models import llama, tiny_pair

from proxyalign.decoding import Interrupted, generate
from proxyalign.deferral import rules
from proxyalign.errors import InputError

SETTINGS = {"max_new_tokens": 30, "num_return_sequences": 8, "batch_size": 3, "seed": 1, "window": 2}


def failing(model, error, after):
    """Make a model raise at its pass number `after`."""
    forward, passes = model.forward, iter(range(after))

    @functools.wraps(forward)  # the engine asks what a model takes
    def stops(*arguments, **named):
        if next(passes, None) is None:
            raise error
        return forward(*arguments, **named)

    return stops


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_what_has_ended_is_kept(mode, monkeypatch):
    """Fails when Ctrl-C loses sequences that were whole, or hands out one that was not."""
    pair = tiny_pair(llama, 10, eos_token_id=[2, 6])
    whole = generate(pair, [[1, 2, 3]], rules.Dual(0.3), mode=mode, **SETTINGS)
    monkeypatch.setattr(pair.base, "forward", failing(pair.base, KeyboardInterrupt(), 8))
    with pytest.raises(Interrupted, match=r"stopped after \d of 8 sequences") as stopped:
        generate(pair, [[1, 2, 3]], rules.Dual(0.3), mode=mode, **SETTINGS)
    kept = stopped.value.traces
    assert 0 < len(kept) < 8
    assert all(trace.token_ids.tolist() == whole.token_ids[index] for index, trace in kept.items())


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_a_full_memory_says_what_to_lower(error, monkeypatch):
    """Fails for torch's own pages of text, or where other errors are taken for this one."""
    pair = tiny_pair(llama, 10)
    monkeypatch.setattr(pair.base, "forward", failing(pair.base, error, 3))
    with pytest.raises(InputError, match=r"a batch of 3 must fit in memory, .* lower batch_size"):
        generate(pair, [[1, 2, 3]], rules.Dual(0.3), **SETTINGS)
    monkeypatch.setattr(pair.base, "forward", failing(pair.base, RuntimeError("shapes differ"), 0))
    with pytest.raises(RuntimeError, match="shapes differ"):
        generate(pair, [[1, 2, 3]], rules.Dual(0.3), **SETTINGS)
