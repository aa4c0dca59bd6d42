"""Memory: nothing of the size of the new tokens times the vocabulary is held, unless its laws were asked for."""

import gc
import tracemalloc

import pytest
import torch
from tiny_models import llama, tiny_pair

from proxyalign.decoding import generate
from proxyalign.deferral import rules

V, N_NEW = 30_000, 40


class Watch:
    """A streamer that looks at what is held whenever a token comes: elements of the largest tensor, bytes of arrays."""

    def __init__(self):
        self.largest_tensor = self.arrays = self.n_looks = 0

    def put(self, value):
        self.n_looks += 1
        if self.n_looks % 8 == 0:  # a look at all objects takes its time
            tensors = (x for x in gc.get_objects() if type(x) is torch.Tensor)
            self.largest_tensor = max([self.largest_tensor, *(x.numel() for x in tensors)])
        self.arrays = max(self.arrays, tracemalloc.get_traced_memory()[0])

    def end(self):
        pass


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
@pytest.mark.parametrize("distributions", [False, True])
def test_laws_are_not_kept(mode, distributions):
    """Fails when the laws of all steps are kept; and, with laws asked for, when this test could not notice."""
    pair = tiny_pair(llama, V, double=False, width=8)
    settings = {"mode": mode, "window": 3, "max_new_tokens": N_NEW, "distributions": distributions}
    generate(pair, [[1, 2]], rules.Dual(0.3), **settings)  # what is loaded at a first call
    watch = Watch()
    tracemalloc.start()
    try:
        generate(pair, [[1, 2]], rules.Dual(0.3), streamer=watch, **settings)
    finally:
        tracemalloc.stop()
    assert V <= watch.largest_tensor < N_NEW * V / 2
    assert (watch.arrays > N_NEW * V * 4 / 2) == distributions
