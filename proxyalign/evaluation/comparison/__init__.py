"""Runs beside each other on the same questions, and beside what others report."""

from proxyalign.evaluation.comparison.against import Compared, Comparison, compare
from proxyalign.evaluation.comparison.external import table
from proxyalign.evaluation.comparison.pairing import Difference
from proxyalign.evaluation.comparison.results import Result, Results

__all__ = ["Compared", "Comparison", "Difference", "Result", "Results", "compare", "table"]
