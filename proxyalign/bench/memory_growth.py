"""What decoding holds on to as a text grows: the models' caches, and whatever else."""

import gc
import tracemalloc
from typing import Any

from torch import Tensor, strided
from torch.nn import Parameter
from transformers.cache_utils import Cache

from proxyalign.bench.decoding_speed import Contestant
from proxyalign.decoding.generate import generate
from proxyalign.models.pair import ModelPair


class _Watch:
    """A streamer that looks twice at what is held: when a quarter of the tokens are there, and three quarters."""

    def __init__(self, n_tokens: int) -> None:
        self.looks: list[tuple[int, int, int]] = []  # tokens so far, bytes of caches, of all else
        self.largest = 0  # bytes of a tensor that is neither a cache's nor was there before
        self._there = set(_bytes_by_place(_tensors(gc.get_objects())))
        self._due = [n_tokens // 4, 3 * n_tokens // 4]
        self._n = -1  # the first call brings the prompt

    def put(self, tokens: Tensor) -> None:
        self._n = 0 if self._n < 0 else self._n + len(tokens)
        if self._due and self._n >= self._due[0]:
            self._due.pop(0)
            self._look()

    def end(self) -> None:
        """Nothing is left to show."""

    def _look(self) -> None:
        gc.collect()
        objects = gc.get_objects()
        caches = [one for one in objects if issubclass(type(one), Cache)]  # to ask the objects would wake lazy ones
        layers = [layer for cache in caches for layer in cache.layers if layer.is_initialized]
        of_caches = _bytes_by_place([tensor for layer in layers for tensor in (layer.keys, layer.values)])
        others = {at: size for at, size in _bytes_by_place(_tensors(objects)).items() if at not in of_caches}
        self.largest = max(self.largest, *(size for at, size in others.items() if at not in self._there), 0)
        memory = sum(others.values()) + tracemalloc.get_traced_memory()[0]
        self.looks.append((self._n, sum(of_caches.values()), memory))


def growth(
    pair: ModelPair, prompt: str, one: Contestant, *, n_tokens: int, seed: int = 0, distributions: bool = False
) -> dict[str, Any]:
    """Bytes that decoding `n_tokens` after a prompt holds more with each of them, to the text's middle half.

    Answers name, cache_bytes (keys and values of all models), other_bytes (every other tensor, and Python's and NumPy's
    memory), law_bytes, what one float32 law takes and keeping laws would add, and largest_bytes, of the largest tensor
    that is neither a weight nor a cache. distributions: of `generate`.
    """
    watch = _Watch(n_tokens)
    tracemalloc.start()
    try:
        generate(
            pair,
            [prompt],
            one.rule,
            mode=one.mode,
            window=one.window or 1,
            max_new_tokens=n_tokens,
            seed=seed,
            eos_token_ids=(),
            distributions=distributions,
            streamer=watch,
        )
    finally:
        tracemalloc.stop()
    (n_before, *before), (n_after, *after) = watch.looks
    cache, other = ((late - early) / (n_after - n_before) for early, late in zip(before, after, strict=True))
    return {
        "name": str(one),
        "cache_bytes": cache,
        "other_bytes": other,
        "law_bytes": 4 * pair.vocab_size,
        "largest_bytes": watch.largest,
    }


def _tensors(objects: list[Any]) -> list[Tensor]:
    """The tensors among them, but for sparse ones, which have no one memory."""
    return [one for one in objects if (type(one) is Tensor or type(one) is Parameter) and one.layout is strided]


def _bytes_by_place(tensors: list[Tensor]) -> dict[int, int]:
    """The size of each memory that tensors share."""
    return {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
