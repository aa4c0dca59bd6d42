"""Evaluation mode for the length of a call, after which every module is as it was."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from proxyalign.models.wrapped import layers_of


@contextmanager
def evaluating(models: Sequence[Any]) -> Iterator[None]:
    """Put the models in evaluation mode, and each of their modules back in its own mode at the end.

    Gradient checkpointing stays switched on and does nothing meanwhile: it drops the cache in training mode alone.
    """
    # The flags themselves: a train() of a model's own may do more than set them, such as merge and unmerge adapters,
    # and called on a parent it would wake the modules that were kept asleep.
    layers = [layer for model in models for layer in layers_of(model) if isinstance(layer, torch.nn.Module)]
    awake = [module for layer in layers for module in layer.modules() if module.training]
    try:
        for module in awake:
            module.training = False
        yield
    finally:
        for module in awake:
            module.training = True
