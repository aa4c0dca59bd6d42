"""Loading and holding models: the only place that names checkpoints."""

from proxyalign.models.loading import load_pair
from proxyalign.models.pair import ModelPair

__all__ = ["ModelPair", "load_pair"]
