"""Choosing a rule and its parameter on development questions: by search, or with a guarantee; extra [tune]."""

from proxyalign.evaluation.tuning.base_texts import TrustRegion, bound_distance
from proxyalign.evaluation.tuning.development import Development
from proxyalign.evaluation.tuning.guarantees import (
    FixedSequence,
    learn_then_test,
    needed_at_share,
    needed_questions,
    needed_texts,
    p_value,
    trust_region,
)
from proxyalign.evaluation.tuning.harm import Harm, bound_harm, harms
from proxyalign.evaluation.tuning.log_loss import LogLoss, LogLossTerms, log_loss_along, log_loss_terms
from proxyalign.evaluation.tuning.search import ranked, search
from proxyalign.evaluation.tuning.space import Setting, Space, spaced
from proxyalign.evaluation.tuning.under_guarantee import Guaranteed, Promises, guaranteed, promises

__all__ = [
    "Development", "FixedSequence", "Guaranteed", "Harm", "LogLoss", "LogLossTerms", "Promises", "Setting", "Space",
    "TrustRegion", "bound_distance", "bound_harm", "guaranteed", "harms", "learn_then_test", "log_loss_along",
    "log_loss_terms", "needed_at_share", "needed_questions", "needed_texts", "p_value", "promises", "ranked", "search",
    "spaced", "trust_region",
]  # fmt: skip
