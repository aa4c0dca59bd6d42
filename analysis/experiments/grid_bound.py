"""What bounds the quick grid: how much of its processor time goes to the models' passes, and to their products alone.

Some of the profile's runs are decoded as the workflow decodes them, on one thread. Every linear layer's product is
then done again by itself, on as many rows, with weights that lie in the cache already: no engine that reads the same
tokens in the same batches in float32 takes less.

    python -m analysis.experiments.grid_bound --every 6 --out analysis/recorded/quick_grid_bound.json
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from analysis import jobs, pairs, profile
from analysis.experiments.decode_grid import settings_of
from analysis.product import describe
from proxyalign.evaluation import run_grid
from proxyalign.files import write_json

CONFIG = Path("analysis/config/quick.yaml")
_AGAIN = 40  # times that a product is done to know its time
Shape = tuple[int, int, int]  # rows, inputs and outputs of a product


class Watch:
    """Counts what a model's passes take: processor seconds, and their linear layers' products by shape."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.products: Counter[Shape] = Counter()

    @contextmanager
    def on(self, *models: nn.Module) -> Iterator[None]:
        """Watch these models for as long as the context lasts."""
        begun: list[float] = []
        handles = []
        for model in models:
            handles.append(model.register_forward_pre_hook(lambda *_: begun.append(time.process_time())))
            handles.append(model.register_forward_hook(lambda *_: self._end(begun.pop())))
            layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
            handles += [layer.register_forward_hook(self._note) for layer in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _end(self, begun: float) -> None:
        self.seconds += time.process_time() - begun

    def _note(self, layer: nn.Linear, given: tuple[torch.Tensor], _: torch.Tensor) -> None:
        (x,) = given
        self.products[x.numel() // layer.in_features, layer.in_features, layer.out_features] += 1


@torch.inference_mode()
def seconds_of(products: Counter[Shape]) -> float:
    """Processor seconds of these products in float32, each by itself."""
    total = 0.0
    for (n, n_in, n_out), count in products.items():
        x, weights = torch.randn(n, n_in), torch.randn(n_out, n_in)
        nn.functional.linear(x, weights)
        begun = time.process_time()
        for _ in range(_AGAIN):
            nn.functional.linear(x, weights)
        total += (time.process_time() - begun) / _AGAIN * count
    return total


def measure(pair: Any, run: jobs.Run, settings: dict[str, Any], batch_size: int) -> dict[str, Any]:
    """Decode one run of the profile, and say what it took in processor seconds."""
    asked = settings_of(settings["pair"], run.settings(settings))
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder, watch.on(pair.base, pair.proxy):
        begun = time.process_time()
        run_grid(pair, [asked], folder, batch_size=batch_size)
        whole = time.process_time() - begun
    n_products = sum(2 * n * n_in * n_out * count for (n, n_in, n_out), count in watch.products.items())
    return {
        "run": str(run),
        "seconds": whole,
        "seconds_of_passes": watch.seconds,
        "seconds_of_products": seconds_of(watch.products),
        "operations": n_products,
    }


def main() -> None:
    """Measure every n-th run, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=6, help="of the profile's runs, in their order")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    profile.check(settings)
    pair = pairs.load(settings["pair"], settings["dtype"])
    chosen = jobs.runs(settings)[:: arguments.every]
    measure(pair, chosen[0], settings, settings["batch_size"])  # what is compiled and read once
    measured = []
    for run in chosen:
        measured.append(measure(pair, run, settings, settings["batch_size"]))
        print(f"{run}: {measured[-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
    sums = {name: sum(one[name] for one in measured) for name in measured[0] if name != "run"}
    found = {
        "share_of_passes": sums["seconds_of_passes"] / sums["seconds"],
        "share_of_products": sums["seconds_of_products"] / sums["seconds"],
        "operations_a_second_in_products": sums["operations"] / sums["seconds_of_products"],
        "most_speedup_with_the_same_passes": sums["seconds"] / sums["seconds_of_passes"],
        "most_speedup_with_the_same_products": sums["seconds"] / sums["seconds_of_products"],
    }
    record = describe("analysis/experiments/grid_bound.py", [CONFIG], {"every": arguments.every})
    write_json(arguments.out, {**record, **sums, **found, "runs": measured})


if __name__ == "__main__":
    main()
