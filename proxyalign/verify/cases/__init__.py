"""What the statements are checked on: generated knapsacks and laws, trials of a wide dynamic range, recorded laws."""

from proxyalign.verify.cases.generated import Case, Floats, Knapsack, Laws

__all__ = ["Case", "Floats", "Knapsack", "Laws"]
