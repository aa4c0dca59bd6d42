"""Look into a text that a pair wrote, step by step: `pa.explore` and what it shows."""

from proxyalign.exploring.entry import explore

__all__ = ["explore"]
