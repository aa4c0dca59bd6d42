"""What became of a window of drafts, for each sequence of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxyalign.decoding.cache import BoolArray, IntArray
from proxyalign.decoding.trace import BASE, DRAFT, PROXY, RESIDUAL, Counts


@dataclass
class Cycle:
    """One window's outcome, for each row (B,), on the host.

    n_passed: drafts accepted before the first rejection, an owed one included. rejected: whether there was one.
    is_open: the window was accepted whole and nothing follows it yet. is_owed: since the bonus was deferred.
    tokens, source, p_y, mass: (B, g + 1), the accepted drafts and the token after them, if any; then no meaning.
    """

    n_passed: IntArray
    rejected: BoolArray
    is_open: BoolArray
    is_owed: BoolArray
    tokens: IntArray
    source: npt.NDArray[np.uint8]
    p_y: npt.NDArray[np.floating]
    mass: npt.NDArray[np.floating]

    @classmethod
    def of(
        cls,
        tokens: npt.NDArray[np.number],
        n_passed: npt.NDArray[np.number],
        thrown: BoolArray,
        was_owed: BoolArray,
        p_y: npt.NDArray[np.floating],
        mass: npt.NDArray[np.floating],
        has_bonus: bool,
    ) -> "Cycle":
        """The outcome from what was fetched; tokens has the token after the accepted drafts in its place.

        thrown: where that token, were it a bonus, is deferred (B,). was_owed: rows whose first draft was emitted
        untested.
        """
        passed = n_passed.astype(np.int64, copy=False)
        rejected = passed < tokens.shape[1] - 1
        is_owed = ~rejected & thrown
        source = np.full(tokens.shape, DRAFT, dtype=np.uint8)
        source[was_owed, 0] = PROXY
        source[np.arange(len(passed)), passed] = np.where(rejected, RESIDUAL, BASE)
        is_open = is_owed if has_bonus else ~rejected
        return cls(passed, rejected, is_open, is_owed, tokens.astype(np.int64, copy=False), source, p_y, mass)

    @classmethod
    def joined(cls, parts: "Sequence[Cycle]") -> "Cycle":
        """The outcomes of parts of a batch, one after the other."""
        return cls(*map(np.concatenate, zip(*(vars(part).values() for part in parts), strict=True)))

    @property
    def n_new(self) -> IntArray:
        """How many tokens the cycle emits, before the text's end and the limit cut it (B,)."""
        return self.n_passed + ~self.is_open

    @property
    def final(self) -> IntArray:
        """The token after the accepted drafts (B,)."""
        final: IntArray = self.tokens[np.arange(len(self.n_passed)), self.n_passed]
        return final

    def count(self, counts: Counts, was_owed: BoolArray, n_emitted: IntArray) -> None:
        """Count drafts that were tested, up to the last token emitted; an owed draft is not tested, nor accepted."""
        accepted = np.minimum(self.n_passed, n_emitted) - was_owed
        counts.n_cycles += len(n_emitted)
        counts.n_accepted += int(accepted.sum())
        counts.n_tested += int((accepted + (self.rejected & (n_emitted > self.n_passed))).sum())

    def keep(self, rows: IntArray) -> None:
        """Go on with these rows (n,) of the batch alone."""
        for name, values in vars(self).items():
            setattr(self, name, values[rows])
