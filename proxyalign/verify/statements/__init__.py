"""The numbered statements: each makes claims on a case, of what the package answers and of what it should be."""

from proxyalign.verify.statements.registry import STATEMENTS, Statement, statement

__all__ = ["STATEMENTS", "Statement", "statement"]
