"""What replies are like beside right or wrong; a measure is a pair (amount, weight), and a run's number their ratio.

`likelihoods` asks models, and is imported by itself.
"""

from proxyalign.evaluation.measures.replies import Measures, holds, of_record, of_run, reply_measures, text_measures
from proxyalign.evaluation.measures.tokens import KINDS, by_kind, kinds, of_budget

__all__ = [
    "KINDS",
    "Measures",
    "by_kind",
    "holds",
    "kinds",
    "of_budget",
    "of_record",
    "of_run",
    "reply_measures",
    "text_measures",
]
