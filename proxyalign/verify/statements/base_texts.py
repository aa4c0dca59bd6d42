"""Statement 19: a threshold read off texts of the base alone keeps the cascade's texts within eps of the base's.

Both the texts and what n of them can make of the threshold are enumerated, so that the mean over calibrations is exact.
"""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from proxyalign.deferral import rules
from proxyalign.evaluation.tuning.guarantees import trust_rank, trust_region
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.token_laws import ROUNDING, STEPS, TOKENS, tensors, total_variation

LEAST = 2.0**-20  # that is allowed as a distance, of which 0 and 1 are refused
TEXTS = np.array(list(itertools.product(range(TOKENS), repeat=STEPS)))
# The row of each step's context: none, then one token, then two.
ROWS = np.stack([np.zeros(len(TEXTS), dtype=int), 1 + TEXTS[:, 0], 1 + TOKENS + TOKENS * TEXTS[:, 0] + TEXTS[:, 1]], 1)


def steps_of(laws: Floats) -> Floats:
    """What laws (contexts, V) give to each token of each text: (texts, steps)."""
    given: Floats = laws[ROWS, TEXTS]
    return given


def n_texts(case: Laws) -> int:
    """How many texts calibrate: 3, 7 or 11."""
    return 4 * case.window - 1


def threshold_from_texts(case: Laws) -> Iterator[Claim]:
    """Statement 19: with alpha the k-th smallest M of n texts, k = floor(eps (n + 1)), E[TV] <= eps; eps is the budget.

    M is the probability of a text's least likely token. Rows are the contexts of texts of three tokens.
    """
    p, q, _ = tensors(case)
    n, eps = n_texts(case), min(max(case.budget, LEAST), 1.0 - LEAST)
    k = trust_rank(n, eps)
    by_base = steps_of(case.p).prod(1)
    least = np.minimum(steps_of(case.p).min(1), 1.0)
    yield Claim("eps is below the share of the next rank", Fraction(repr(eps)), Fraction(k + 1, n + 1), "<")
    drawn = np.resize(least[by_base > 0.0], n)
    kth = float(np.sort(drawn)[k - 1]) if k else 0.0
    yield Claim("the threshold is the k-th smallest", trust_region(drawn, eps), kth, "==")
    # How many of n numbers have to be small for the threshold to be: it is one of them, and only their order counts.
    is_small = [trust_region([0.25] * small + [0.5] * (n - small), eps) <= 0.25 for small in range(n + 1)]
    thresholds = np.unique(least[by_base > 0.0]) if k else np.zeros(1)
    up_to = [min(1.0, float(by_base[least <= threshold].sum())) for threshold in thresholds]
    chances = np.diff([_of_small(is_small, chance) for chance in up_to], prepend=0.0) if k else np.ones(1)
    moved, meant = 0.0, 0.0
    for alpha, chance in zip(thresholds.tolist(), chances.tolist(), strict=True):
        by_cascade = steps_of(rules.Dual(alpha).target(p, q).numpy()).prod(1)
        shift, below = float(total_variation(by_cascade, by_base)), float(by_base[least < alpha].sum())
        yield Claim("TV of texts <= P(a token of the base's is below alpha)", shift, below, tolerance=ROUNDING)
        moved, meant = moved + chance * shift, meant + chance * below
    yield Claim("P(the next text has a token below alpha) <= k / (n + 1)", meant, k / (n + 1), tolerance=ROUNDING)
    yield Claim("E[TV of texts] <= eps", moved, eps, tolerance=ROUNDING)


def _of_small(is_small: list[bool], chance: float) -> float:
    """How probable a threshold is that is small, where each of n numbers is with this chance."""
    n = len(is_small) - 1
    each = (math.comb(n, i) * chance**i * (1.0 - chance) ** (n - i) for i in range(n + 1))
    return math.fsum(one for one, small in zip(each, is_small, strict=True) if small)
