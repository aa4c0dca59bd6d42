"""Defects that the statements must catch: edits of the package's own source, and the hunt for the claim that fails."""

from proxyalign.verify.mutants.registry import MUTANTS

__all__ = ["MUTANTS"]
