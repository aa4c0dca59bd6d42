"""The engine: autoregressive and speculative decoding of a base and its proxy under any rule."""

from proxyalign.decoding.generate import Generation, generate
from proxyalign.decoding.trace import Stats, Trace

__all__ = ["Generation", "Stats", "Trace", "generate"]
