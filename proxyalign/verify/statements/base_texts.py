"""Statement 19: a threshold read off texts of the base alone keeps the cascade's texts within eps of the base's.

Both the texts and what n of them can make of the threshold are enumerated, so that the mean over calibrations is exact.
"""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from proxyalign.deferral import rules
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.token_laws import ROUNDING, STEPS, TOKENS, tensors, total_variation

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
    n = n_texts(case)
    k = math.floor(Fraction(case.budget) * (n + 1))
    by_base = steps_of(case.p).prod(1)
    least = steps_of(case.p).min(1)
    thresholds = np.unique(least[by_base > 0.0]) if k else np.zeros(1)
    up_to = [min(1.0, float(by_base[least <= threshold].sum())) for threshold in thresholds]
    chances = np.diff([_at_least(k, n, chance) for chance in up_to], prepend=0.0) if k else np.ones(1)
    moved, meant = 0.0, 0.0
    for alpha, chance in zip(thresholds.tolist(), chances.tolist(), strict=True):
        by_cascade = steps_of(rules.Dual(min(1.0, alpha)).target(p, q).numpy()).prod(1)
        shift, below = float(total_variation(by_cascade, by_base)), float(by_base[least < alpha].sum())
        yield Claim("TV of texts <= P(a token of the base's is below alpha)", shift, below, tolerance=ROUNDING)
        moved, meant = moved + chance * shift, meant + chance * below
    yield Claim("P(the next text has a token below alpha) <= k / (n + 1)", meant, k / (n + 1), tolerance=ROUNDING)
    yield Claim("E[TV of texts] <= eps", moved, case.budget, tolerance=ROUNDING)


def _at_least(k: int, n: int, chance: float) -> float:
    """P(Bin(n, chance) >= k)."""
    return sum(math.comb(n, i) * chance**i * (1.0 - chance) ** (n - i) for i in range(k, n + 1))
