"""Deferral rules and the laws they make: torch, any leading shape; knows nothing of models or caches."""

from proxyalign.deferral import policy, rules

__all__ = ["policy", "rules"]
