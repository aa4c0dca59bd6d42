"""Loading and holding models: the only place that names checkpoints."""

from proxyalign.models.pair import ModelPair, load_pair

__all__ = ["ModelPair", "load_pair"]
