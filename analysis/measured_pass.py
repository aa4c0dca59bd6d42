"""How long a forward pass takes on this machine, for models that are not here: measured on two things that are.

A pass reads all weights once and multiplies them with the rows of its tokens; that part is measured on matrices larger
than a processor's caches, and grows with the bytes of the weights. What a layer costs beside its products (norms,
attention, calls) is measured on the shipped lab model, and grows with the number of layers. Keys and values are read
at the speed of weights for one row.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch.nn.functional import linear

from proxyalign.models.sizes import Size

_WIDTH = 2048
_WEIGHT_BYTES = 2**28  # of the matrices
_REPEATS = 3


@dataclass(frozen=True)
class Pace:
    """What was measured, by how many rows a pass has.

    device, dtype: where and in which. per_byte: seconds for each byte of weights. per_layer: seconds for each layer
    beside its products, at least 0.
    """

    device: str
    dtype: str
    per_byte: dict[int, float]
    per_layer: dict[int, float]

    def seconds(self, size: Size, n_rows: int, n_cached: int) -> float:
        """A pass of such a model over `n_rows` rows, with `n_cached` tokens of all texts in its cache."""
        products = size.weights(self.dtype) * self.per_byte[n_rows]
        return products + size.n_layers * self.per_layer[n_rows] + size.cache(n_cached, self.dtype) * self.per_byte[1]


def measure(rows: Iterable[int], device: str, dtype: str, lab: Size) -> Pace:
    """Time passes of these numbers of rows, on one thread, as a run of the workflow has it; seconds, the best of three.

    lab: the size of the shipped base, whose own passes say what a layer costs beside its products.
    """
    from proxyalign.models import load_pair

    kind, before = getattr(torch, dtype), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        matrices = [
            torch.randn(_WIDTH, _WIDTH, device=device, dtype=kind)
            for _ in range(int(_WEIGHT_BYTES / (_WIDTH * _WIDTH * kind.itemsize)))
        ]
        model = load_pair("lab", offline=True, device=device, dtype=kind).base
        per_byte, per_layer = {}, {}
        with torch.inference_mode():
            for n_rows in sorted({1, *rows}):
                x = torch.randn(n_rows, _WIDTH, device=device, dtype=kind)
                # Texts side by side read one token each; a window or a prompt costs no more than as many texts do.
                ids = torch.zeros(n_rows, 1, dtype=torch.int64, device=device)
                products = _best(lambda x=x: [linear(x, matrix) for matrix in matrices], device)
                per_byte[n_rows] = products / (len(matrices) * matrices[0].nbytes)
                whole = _best(lambda ids=ids: model(input_ids=ids, use_cache=False), device)
                per_layer[n_rows] = max(0.0, whole - lab.weights(dtype) * per_byte[n_rows]) / lab.n_layers
    finally:
        torch.set_num_threads(before)
    return Pace(device, dtype, per_byte, per_layer)


def _best(run: Callable[[], object], device: str) -> float:
    """Seconds of the fastest of some runs, after one that is not counted."""
    times = []
    for _ in range(1 + _REPEATS):
        began = time.perf_counter()
        run()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])
