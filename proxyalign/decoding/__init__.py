"""The engine: autoregressive and speculative decoding of a base and its proxy under any rule."""

from proxyalign.decoding.custom_generate import generate_kad
from proxyalign.decoding.generate import Generation, Interrupted, generate
from proxyalign.decoding.trace import Stats, Trace

__all__ = ["Generation", "Interrupted", "Stats", "Trace", "generate", "generate_kad"]
