"""What became of a window of drafts, for each sequence of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from proxyalign.decoding.readers.contract import BoolArray, IntArray
from proxyalign.decoding.sampling import check_finite
from proxyalign.decoding.trace import BASE, DRAFT, PROXY, RESIDUAL


class Tested(NamedTuple):
    """What a test found, for each row (B,) of a batch, on the host.

    tokens: (B, g + 1), the drafts, and the token after the accepted ones in its place. n_passed: (B,). thrown: (B, 1),
    whether that token is a bonus and deferred; (B, 0) where none can be. p_y, mass: (B, g + 1) or fewer columns, the
    base's probabilities of the tokens and what is deferred of its laws; 0 where there is no column. q_y, q0_y: of the
    drafts (B, g); (B, 0) without a reference. distance: (B, g), how far from pi the law of each place is, None where
    it is pi. What comes after the last new token has no meaning.
    """

    tokens: npt.NDArray[np.number]
    n_passed: npt.NDArray[np.number]
    thrown: npt.NDArray[np.bool_ | np.number]
    p_y: npt.NDArray[np.floating]
    mass: npt.NDArray[np.floating]
    q_y: npt.NDArray[np.floating]
    q0_y: npt.NDArray[np.floating]
    distance: npt.NDArray[np.floating] | None = None


@dataclass
class Cycle:
    """One window's outcome, for each row (B,), on the host.

    n_passed: drafts accepted before the first rejection, an owed one included. rejected: whether there was one.
    is_open: the window was accepted whole and nothing follows it yet. is_owed: since the bonus was deferred.
    tokens, source, p_y, mass: (B, g + 1), the accepted drafts and the token after them, if any; then no meaning.
    distance: (B, g + 1), how far from pi the law of each of them is; (B, 0) where it is pi.
    """

    n_passed: IntArray
    rejected: BoolArray
    is_open: BoolArray
    is_owed: BoolArray
    tokens: IntArray
    source: npt.NDArray[np.uint8]
    p_y: npt.NDArray[np.floating]
    mass: npt.NDArray[np.floating]
    distance: npt.NDArray[np.floating]

    @classmethod
    def of(cls, tested: Tested, was_owed: BoolArray, n_before: IntArray, has_bonus: bool) -> "Cycle":
        """What follows from a test. was_owed: rows whose first draft was emitted untested.

        n_before: new tokens before these (B,), for the InputError raised where a model gave NaN or infinity.
        """
        for found, model in ((tested.q_y, "proxy"), (tested.q0_y, "reference"), (tested.p_y, "base")):
            check_finite(found, model, n_before)
        tokens, passed = (values.astype(np.int64, copy=False) for values in (tested.tokens, tested.n_passed))
        rows = np.arange(len(tokens))
        rejected = passed < tokens.shape[1] - 1
        is_owed = ~rejected & tested.thrown.any(1)
        source = np.full(tokens.shape, DRAFT, dtype=np.uint8)
        source[was_owed, 0] = PROXY
        source[rows, passed] = np.where(rejected, RESIDUAL, BASE)
        is_open = is_owed if has_bonus else ~rejected
        p_y, mass = (_widened(of_places, tokens.shape) for of_places in (tested.p_y, tested.mass))
        distance = p_y[:, :0] if tested.distance is None else _widened(tested.distance, tokens.shape)
        return cls(passed, rejected, is_open, is_owed, tokens, source, p_y, mass, distance)

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

    def drafts(self, was_owed: BoolArray, n_emitted: IntArray) -> tuple[IntArray, IntArray]:
        """How many drafts each row tested and accepted (B,), up to its last token emitted; an owed one is neither."""
        accepted = np.minimum(self.n_passed, n_emitted) - was_owed
        return accepted + (self.rejected & (n_emitted > self.n_passed)), accepted

    def keep(self, rows: IntArray) -> None:
        """Go on with these rows (n,) of the batch alone."""
        for name, values in vars(self).items():
            setattr(self, name, values[rows])


def _widened(of_places: npt.NDArray[np.floating], shape: tuple[int, ...]) -> npt.NDArray[np.floating]:
    """Numbers (B, n) with zeros on the right, up to the shape."""
    if of_places.shape == shape:
        return of_places
    widened = np.zeros(shape)
    widened[:, : of_places.shape[1]] = of_places
    return widened
