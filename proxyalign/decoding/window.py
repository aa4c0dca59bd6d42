"""How many drafts a cycle makes: a fixed number, or the one that pays best as statement 12 and the clock have it."""

from typing import Protocol

import numpy as np

LONGEST = 16  # drafts that an adaptive window may have
TRIED = (1, 4, 2, 8)  # the first windows, twice each: from them come the first estimates of cost and acceptance
MEMORY = 0.98  # weight that an observation keeps when the next one comes


class Window(Protocol):
    """What chooses the next window. longest: the most drafts that it may choose. sizes: the usual ones, rising."""

    longest: int
    sizes: tuple[int, ...]

    def next(self) -> int:
        """How many drafts the next cycle makes."""
        ...

    def observe(self, n_drafts: int, n_tested: int, n_accepted: int, seconds: float) -> None:
        """What became of a cycle of `n_drafts`, over all sequences of the batch, and how long it took."""
        ...


class FixedWindow:
    """Always the same number of drafts."""

    def __init__(self, n_drafts: int) -> None:
        self.longest = n_drafts
        self.sizes: tuple[int, ...] = (n_drafts,)

    def next(self) -> int:
        """The number given."""
        return self.longest

    def observe(self, n_drafts: int, n_tested: int, n_accepted: int, seconds: float) -> None:
        """Nothing is learnt."""


class AdaptiveWindow:
    """The window that promises most tokens a second, from the measured acceptance and the measured cost of a cycle.

    The cost of a cycle is taken to be linear in its drafts, and fitted by least squares in which old cycles fade. A
    choice depends on the past alone, so that the law of the text is the same; since it depends on clocks, a seed no
    longer fixes the text.
    """

    def __init__(self) -> None:
        self.longest = LONGEST
        self.sizes: tuple[int, ...] = tuple(sorted((*TRIED, LONGEST)))
        self._n_cycles = 0
        self._tested, self._accepted = 2.0, 1.0  # as if two drafts had been tested, and one had passed
        self._moments = np.zeros((2, 2))  # of (1, drafts), faded
        self._products = np.zeros(2)  # of these with the seconds

    def next(self) -> int:
        """One of the first windows, or the best one for what was observed."""
        if self._n_cycles < 2 * len(TRIED):
            return TRIED[self._n_cycles // 2]
        fixed, each = self._cost()
        acceptance = self._accepted / self._tested
        rates = [tokens_per_cycle(acceptance, n) / (fixed + n * each) for n in range(1, LONGEST + 1)]
        return 1 + int(np.argmax(rates))

    def observe(self, n_drafts: int, n_tested: int, n_accepted: int, seconds: float) -> None:
        """Let a cycle count, and those before it a little less."""
        self._n_cycles += 1
        if self._n_cycles == 1:  # it has read the prompt
            return
        self._tested = MEMORY * self._tested + n_tested
        self._accepted = MEMORY * self._accepted + n_accepted
        features = np.array([1.0, n_drafts])
        self._moments = MEMORY * self._moments + np.outer(features, features)
        self._products = MEMORY * self._products + features * seconds

    def _cost(self) -> tuple[float, float]:
        """Seconds of a cycle without drafts, and of each draft; neither below a hundredth of a mean cycle's."""
        fixed, each = np.linalg.lstsq(self._moments, self._products, rcond=1e-9)[0]
        least = 0.01 * self._products[0] / max(self._moments[0, 0], 1e-12)
        return max(float(fixed), least), max(float(each), least)


def tokens_per_cycle(acceptance: float, window: int) -> float:
    """Statement 12 for i.i.d. acceptance: (1 - A^(g + 1)) / (1 - A), as the sum of powers that it is.

    The quotient loses its digits near A = 1, and has no value there. Where a bonus may be deferred it bounds the
    long-run mean, not each cycle (statement 22).
    """
    return float(sum(acceptance**k for k in range(window + 1)))
