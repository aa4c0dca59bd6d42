"""Statement 22: how many tokens a cycle yields in the long run, where a deferred bonus leaves a draft owed.

The cycles are the engine's own, which counts what a test of a window came to; the chances of each outcome, and what a
long run makes of them, are added up in rationals.
"""

import functools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from proxyalign.decoding import window as windows
from proxyalign.decoding.cycle import Cycle, Tested
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
    # Float64 numbers are integers over powers of two: chances are integers too, over `all_of_it` each.
    a, of_rate = acceptance.as_integer_ratio()
    thrown, of_mass = mass.as_integer_ratio()
    all_of_it = of_rate**window * of_mass
    yields, to_owed = [0, 0], [0, 0]
    for was_owed, n_passed, is_thrown, n_new, is_owed in _outcomes(window):
        n_tested = n_passed - was_owed
        stops = 1 if n_passed == window else of_rate - a
        rest = window - n_tested - (n_passed < window)
        chance = a**n_tested * stops * of_rate**rest * (thrown if is_thrown else of_mass - thrown)
        yields[was_owed] += chance * n_new
        to_owed[was_owed] += chance * is_owed
    left = all_of_it - to_owed[1] + to_owed[0]
    share = Fraction(to_owed[0], left)
    f = Fraction(thrown * a**window, all_of_it - thrown * a ** (window - 1) * (of_rate - a))
    mean = Fraction((left - to_owed[0]) * yields[0] + to_owed[0] * yields[1], left * all_of_it)
    powers = Fraction(sum(a**k * of_rate ** (window - k) for k in range(window + 1)), of_rate**window)
    yield Claim("share of cycles with an owed draft = f", share, f, "==")
    yield Claim("tokens a cycle in the long run = S_g - f A^g", mean, powers - f * Fraction(a, of_rate) ** window, "==")
    most, after = (windows.tokens_per_cycle(acceptance, n) for n in (window, window - 1))
    yield Claim("tokens a cycle in the long run <= S_g", float(mean), most, tolerance=ROUNDING * most)
    then = yields[1] / all_of_it
    yield Claim("tokens after an owed draft <= 1 + S_(g-1)", then, 1.0 + after, tolerance=ROUNDING * most)


@functools.cache
def _outcomes(window: int) -> list[tuple[int, int, bool, int, bool]]:
    """Every outcome of a window as the engine counts it, which no law changes.

    (was the first draft owed, drafts that pass, is the next token a bonus that is deferred, tokens, is a draft owed)
    Where a draft is rejected, what is said of the row after the window must not matter: it is said both ways.
    """
    asked = [
        (owed, n_passed, is_thrown)
        for owed in (0, 1)
        for n_passed in range(owed, window + 1)
        for is_thrown in (False, True)
    ]
    was_owed, passed, is_thrown = (np.array(column) for column in zip(*asked, strict=True))
    places, drafts = np.zeros((len(asked), window + 1)), np.zeros((len(asked), window))
    tested = Tested(places, passed, is_thrown[:, None], places, places, drafts, drafts[:, :0])
    cycle = Cycle.of(tested, was_owed == 1, np.zeros(len(asked), dtype=np.int64), has_bonus=True)
    outcomes = zip(cycle.n_new.tolist(), cycle.is_owed.tolist(), strict=True)
    return [(*given, *found) for given, found in zip(asked, outcomes, strict=True)]
