"""What the statements are checked on: generated knapsacks and laws, trials of a wide dynamic range, recorded laws."""

from proxyalign.verify.cases.clashing import Clash
from proxyalign.verify.cases.extremes import Extreme
from proxyalign.verify.cases.generated import Floats, Knapsack, Laws

Case = Knapsack | Laws | Extreme | Clash

__all__ = ["Case", "Clash", "Floats", "Knapsack", "Laws"]
