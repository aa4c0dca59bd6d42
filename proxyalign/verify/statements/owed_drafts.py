"""Statement 22: how many tokens a cycle yields in the long run, where a deferred bonus leaves a draft owed.

The cycles are the engine's own, which counts what a test of a window came to; the chances of each outcome, and what a
long run makes of them, are added up in rationals.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from proxyalign.decoding import window as windows
from proxyalign.decoding.cycle import Cycle, Tested
from proxyalign.decoding.readers.contract import BoolArray
from proxyalign.deferral import policy
from proxyalign.verify.cases import Laws
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.token_laws import tensors

ROUNDING = 1e-12  # relative, of a sum of powers in float64


def cycles_with_owed_drafts(case: Laws) -> Iterator[Claim]:
    """Statement 22: the long-run mean is S_g - f A^g, of which f is the share of cycles that open with an owed draft.

    A and D are numbers with D <= A, and those of the case's first row; windows are short and long.
    """
    p, q, deferred = (part[:1] for part in tensors(case))
    measured = min(1.0, float(policy.acceptance(policy.cascade(p, q, deferred), q)))
    spent = min(measured, float(policy.deferral_mass(p, deferred)))
    for acceptance, mass in ((case.acceptance, case.acceptance * case.alpha), (measured, spent)):
        for window in (case.window, 5 * case.window):
            yield from _long_run(acceptance, mass, window)


def _long_run(acceptance: float, mass: float, window: int) -> Iterator[Claim]:
    rate, thrown = Fraction(acceptance), Fraction(mass)
    cycle, was_owed, chances = _outcomes(rate, thrown, window)
    yields, to_owed = [], []
    for owed in (False, True):
        from_here = [(chances[i], i) for i in np.flatnonzero(was_owed == owed).tolist()]
        yields.append(sum((chance * int(cycle.n_new[i]) for chance, i in from_here), Fraction(0)))
        to_owed.append(sum((chance * int(cycle.is_owed[i]) for chance, i in from_here), Fraction(0)))
    share = to_owed[0] / (1 - to_owed[1] + to_owed[0])
    mean = (1 - share) * yields[0] + share * yields[1]
    f = thrown * rate**window / (1 - thrown * rate ** (window - 1) * (1 - rate))
    powers = sum(rate**k for k in range(window + 1))
    yield Claim("share of cycles with an owed draft = f", share, f, "==")
    yield Claim("tokens a cycle in the long run = S_g - f A^g", mean, powers - f * rate**window, "==")
    most, after = (windows.tokens_per_cycle(acceptance, n) for n in (window, window - 1))
    yield Claim("tokens a cycle in the long run <= S_g", mean, most, tolerance=ROUNDING * most)
    yield Claim("tokens after an owed draft <= 1 + S_(g-1)", yields[1], 1.0 + after, tolerance=ROUNDING * most)


def _outcomes(rate: Fraction, thrown: Fraction, window: int) -> tuple[Cycle, BoolArray, list[Fraction]]:
    """Every outcome of a window as the engine counts it, whether its first draft was owed (B,), and the chances.

    Where a draft is rejected, what is said of the row after the window must not matter: it is said both ways.
    """
    asked = []
    for owed in (False, True):
        for n_passed in range(owed, window + 1):
            passes = rate ** (n_passed - owed)
            chance = passes if n_passed == window else passes * (1 - rate)
            asked += [(owed, n_passed, False, chance * (1 - thrown)), (owed, n_passed, True, chance * thrown)]
    was_owed, passed, is_thrown = (np.array(column) for column in list(zip(*asked, strict=True))[:3])
    places, drafts = np.zeros((len(asked), window + 1)), np.zeros((len(asked), window))
    tested = Tested(places, passed, is_thrown[:, None], places, places, drafts, drafts[:, :0])
    cycle = Cycle.of(tested, was_owed, np.zeros(len(asked), dtype=np.int64), has_bonus=True)
    return cycle, was_owed, [chance for *_, chance in asked]
