"""What bounds the quick grid: every product of a pass is counted, and done again by itself."""

from collections import Counter
from itertools import count

import pytest
import torch
from tiny_models import llama
from torch import nn

from analysis.experiments.grid_bound import Watch, seconds_of


@torch.inference_mode()
def test_the_products_of_the_watched_passes_are_counted_and_their_time_is_part_of_the_passes():
    """Fails when a layer, a pass or a row is left out, or passes outside the context are counted."""
    model, watch = llama(10, 0, layers=2), Watch()
    with watch.on(model):
        model(input_ids=torch.tensor([[1, 2, 3], [4, 5, 6]]))
        model(input_ids=torch.tensor([[1]]))
    model(input_ids=torch.tensor([[1]]))
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    expected = Counter((n, layer.in_features, layer.out_features) for n in (6, 1) for layer in layers)
    assert watch.products == expected
    assert watch.seconds > 0


def test_each_product_counts_as_often_as_it_was_done(monkeypatch):
    """Fails when counts are left out of the time, or the repetitions are not."""
    clock = count()
    monkeypatch.setattr("time.process_time", lambda: next(clock))  # each product takes a second, however often
    assert seconds_of(Counter({(4, 8, 8): 40, (2, 8, 16): 80})) == pytest.approx(3)
