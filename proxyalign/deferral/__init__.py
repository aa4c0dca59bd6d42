"""Deferral rules and the laws they make: torch, any leading shape; knows nothing of models or caches."""

from proxyalign.deferral import policy, rules, verifiers

__all__ = ["policy", "rules", "verifiers"]
