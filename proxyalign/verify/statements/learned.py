"""Statement 17: a parameter that Learn then Test chooses breaks its promise with probability at most delta.

Questions, and with them the losses that a calibration counts, are enumerated, so that every probability is exact.
"""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proxyalign.evaluation.tuning.guarantees import learn_then_test, p_value
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.statements.claim import Claim

ROUNDING = 1e-12  # of sums of up to some hundred probabilities
LEAST = 2.0**-10  # of a mean loss that is allowed, and of one that is not
PARAMETERS = 3
VALUES = 3  # that a loss in [0, 1] takes


def guaranteed(case: Laws) -> Iterator[Claim]:
    """Statement 17: P(p <= delta) <= delta at a mean loss of eps, and P(what is passed breaks its promise) <= delta.

    A question is drawn from the first true law; parameter j has a loss of 1 on the tokens of the j-th set. eps is the
    mean loss of one of them, delta what some number of losses is worth at it, so that both are met exactly.
    """
    truth, sets = case.truth[0], case.deferred[:PARAMETERS]
    n = 2 * case.window + 1
    risks = np.where(sets, truth, 0.0).sum(1)
    eps = min(max(float(risks[case.window - 1]), LEAST), 1.0 - LEAST)
    k = min(int(case.alpha * n), n - 1)
    delta = _at_most(k, n, eps) * (1.0 + ROUNDING)
    for n_losses in range(n + 1):
        worth, chance = p_value(np.arange(n) < n_losses, eps), _at_most(n_losses, n, eps)
        yield Claim("the p-value of losses is P(no more of them) at a mean loss of eps", worth, chance, "==", ROUNDING)
    if delta < 1.0:
        breaks = _breaks(risks, n, eps, delta)
        for name, law in (("apart", _apart(risks, n)), ("on the same questions", _together(truth, sets, n))):
            broken = float(law[breaks].sum())
            yield Claim(f"P(a promise is broken) <= delta, losses {name}", broken, delta, tolerance=ROUNDING)
    yield from _between(case, n)


def _breaks(risks: Floats, n: int, eps: float, delta: float) -> NDArray[np.bool_]:
    """For numbers of losses (n + 1, n + 1, n + 1), whether a parameter is passed whose mean loss is eps or more."""
    breaks, known = (np.zeros((n + 1,) * PARAMETERS, dtype=np.bool_) for _ in range(2))
    rows = [np.arange(n) < n_losses for n_losses in range(n + 1)]
    above = risks >= eps
    for counts in np.ndindex(breaks.shape):
        if not known[counts]:
            found = learn_then_test((rows[n_losses] for n_losses in counts), eps, delta)
            alike = counts[: len(found.p_values)]  # what was not read can be anything
            breaks[alike] = found.chosen is not None and bool(above[: found.chosen + 1].any())
            known[alike] = True
    return breaks


def _apart(risks: Floats, n: int) -> Floats:
    """The law of the numbers of losses where each parameter has n questions of its own."""
    one, two, three = ([_just(k, n, risk) for k in range(n + 1)] for risk in np.minimum(risks, 1.0).tolist())
    law: Floats = np.einsum("i,j,k->ijk", one, two, three)
    return law


def _together(truth: Floats, sets: NDArray[np.bool_], n: int) -> Floats:
    """The same where all have the same n questions, one after the other."""
    law = np.zeros((n + 1,) * PARAMETERS)
    law[0, 0, 0] = 1.0
    chances: dict[tuple[int, ...], float] = {}
    for losses, chance in zip(sets.T.astype(int).tolist(), truth.tolist(), strict=True):
        chances[tuple(losses)] = chances.get(tuple(losses), 0.0) + chance
    for _ in range(n):
        before, law = law, np.zeros_like(law)
        for losses, chance in chances.items():
            to = tuple(slice(loss, None) for loss in losses)
            law[to] += chance * before[tuple(slice(None, n + 1 - loss) for loss in losses)]
    return law


def _between(case: Laws, n: int) -> Iterator[Claim]:
    """The same of one parameter whose loss takes a few values in [0, 1], each with its probability."""
    values = case.q[0, :VALUES]
    total = float(case.truth[1, :VALUES].sum())
    if total < LEAST:
        return
    law = case.truth[1, :VALUES] / total
    eps = min(max(float(values @ law), LEAST), 1.0 - LEAST)
    if float(values @ law) < eps:
        return
    found = []
    for counts in itertools.product(range(n + 1), repeat=VALUES):
        if sum(counts) == n:
            ways = math.factorial(n) / math.prod(map(math.factorial, counts))
            found.append((p_value(np.repeat(values, counts), eps), ways * float(np.prod(law ** np.array(counts)))))
    reached = 0.0
    for worth, together in itertools.groupby(sorted(found), key=lambda one: one[0]):
        reached += math.fsum(chance for _, chance in together)
        yield Claim("P(p <= delta) <= delta, losses in [0, 1]", reached, worth, tolerance=ROUNDING)


def _just(k: int, n: int, chance: float) -> float:
    """P(Bin(n, chance) = k)."""
    return math.comb(n, k) * chance**k * (1.0 - chance) ** (n - k)


def _at_most(k: int, n: int, chance: float) -> float:
    """P(Bin(n, chance) <= k), in rationals."""
    one = Fraction(chance)
    return float(sum(math.comb(n, i) * one**i * (1 - one) ** (n - i) for i in range(k + 1)))
