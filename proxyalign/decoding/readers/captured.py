"""Steps of fixed shapes: inputs that keep their place, and the graph that a CUDA device replays them as."""

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from proxyalign.models.wrapped import layers_of, text_config_of

_AS_THEY_ARE = frozenset((bool, int, float, str, torch.dtype))
_IN_PARTS = frozenset((list, tuple, set))


class Step:
    """One shape of step: `n_rows` rows of `width` tokens, of which some may hold none.

    forward: tokens (n_rows, width) and where they go (2, n_rows, width), positions beside slots, to logits. spare: the
    slot of a token that is not there.
    """

    def __init__(
        self, n_rows: int, width: int, spare: int, device: torch.device, forward: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        self._tokens = torch.zeros(n_rows, width, dtype=torch.int64, device=device)
        self._where = torch.zeros(2, n_rows, width, dtype=torch.int64, device=device)
        self._where[1] = spare
        self._spare = spare
        self._forward = forward
        self._recorded: tuple[Any, Tensor] | None = None  # a graph, and where its logits lie

    def fill(self, tokens: Tensor, where: Tensor, rows: Tensor) -> None:
        """Put tokens (n, k), which go `where` (2, n, k), on the right of these rows (n,); elsewhere there is none."""
        k = tokens.shape[1]
        self._where[0].zero_()
        self._where[1].fill_(self._spare)
        self._where[:, :, -k:].index_copy_(1, rows, where)
        self._tokens[:, -k:].index_copy_(0, rows, tokens)

    def run(self) -> Tensor:
        """The logits of the inputs as they are now; the next run overwrites them."""
        if self._recorded is None:
            return self._forward(self._tokens, self._where)
        graph, logits = self._recorded
        graph.replay()
        return logits

    def capture(self) -> float:
        """Run from now on as a graph; the seconds that this took.

        Nothing is there to be read yet, so that all that is written goes to the spare slot.
        """
        began = time.perf_counter()
        self._recorded = recorded(lambda: self._forward(self._tokens, self._where), self._tokens.device)
        return time.perf_counter() - began


def recorded(run: Callable[[], Tensor], device: torch.device) -> tuple[Any, Tensor]:
    """Run once aside, so that kernels are chosen and memory is there, then record: the graph, and where its result is.

    All graphs of a device share one pool of memory: none runs beside another, and results have places of their own.
    """
    current, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(current)
    with torch.cuda.stream(aside):
        run()
    current.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=_pool(device)):
        result = run()
    torch.cuda.synchronize(device)
    return graph, result


@cache
def _pool(device: torch.device) -> Any:
    """The memory of all graphs on this device."""
    return torch.cuda.graph_pool_handle()


def burnt_in(model: Any) -> list[Any]:
    """What a graph of the model holds for good: where its weights lie, and settings such as the adapters in use.

    A model of which this has changed must be captured anew; new numbers in the same weights are read as they are. Asked
    at each call, so that it is one loop.
    """
    found: list[Any] = [text_config_of(model)._attn_implementation, *map(id, layers_of(model))]
    for module in layers_of(model)[-1].modules():
        values = list(vars(module).values())
        while values:
            value = values.pop()
            kind = type(value)
            if value is None or kind in _AS_THEY_ARE:
                found.append(value)
            elif isinstance(value, Tensor):
                found.append((value.data_ptr(), value.dtype))
            elif isinstance(value, Mapping):
                found += value
                values += value.values()
            elif kind in _IN_PARTS:
                values += value
            else:
                found.append(id(value))
    return found
