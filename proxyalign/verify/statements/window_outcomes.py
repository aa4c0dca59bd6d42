"""The engine's own test of a window as a law: each interval of its uniform numbers is asked at both of its ends.

What a window comes to is a step function of the numbers: where each test turns, and which token the last number draws.
The intervals come from the definitions, in NumPy; what happens inside each is what the backend that decodes says.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proxyalign.decoding.backends.processor import ProcessorBackend
from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.cycle import Cycle
from proxyalign.decoding.readers.contract import Both
from proxyalign.deferral.law import Law
from proxyalign.deferral.rule import About, Proposal, Rule
from proxyalign.verify.cases import Floats

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

BACKENDS = (Backend(), ProcessorBackend())  # those that run on every machine
LARGEST = 1.0 - 2.0**-52
AT_END = 4e-9  # a turn nearer to 0 or 1 is taken to lie there
INSIDE = 1e-8  # how far from its ends an interval is asked, beyond rounding and what is taken to lie at an end
SHORTEST = 4e-8  # intervals below it are nobody's
REJECTED, PASSES, ANY = range(3)  # what a test's number lies in
KINDS = 3


@dataclass(frozen=True)
class Prescribed(Rule):
    """Defers sets (B, n, V) that are given; with `needs` "p q" it has no bonus."""

    sets: Tensor
    name: ClassVar[str] = "prescribed"
    about: ClassVar[About] = About("given", "none", "none", "for the statements alone")

    def propose(self, p: Law, q: Law | None = None, q0: Law | None = None, state: Tensor | None = None) -> Proposal:
        """As for any rule."""
        return Proposal(p.drawn, self.sets[:, : p.drawn.shape[1]])


@dataclass(frozen=True)
class PrescribedBeside(Prescribed):
    """The same as a rule that reads the proxy."""

    needs: ClassVar[str] = "p q"


@dataclass(frozen=True)
class Asked:
    """Windows for each of which one point of every interval is chosen, and what the definitions make of them.

    p (B, g + 1, V), q (B, g, V), sets (B, g + 1, V) bool, drafts (B, g), owed (B,), tests (B, g), final (B,): the
    numbers of each test and of the last draw. weight (B,): the measure of the intervals that the numbers stand for.
    row (B,): of which law or window they are.
    """

    p: Floats
    q: Floats
    sets: Mask
    drafts: Ids
    owed: Mask
    tests: Floats
    final: Floats
    weight: Floats
    row: Ids

    def outcome(self, backend: Backend, rule: type[Prescribed] = Prescribed) -> Cycle:
        """What the backend makes of them."""
        n, g = self.drafts.shape
        u = torch.empty(n, 2 * g + 1, dtype=torch.float64)
        # The numbers that drew the drafts must not matter any more.
        u[:, 0 : 2 * g : 2] = torch.from_numpy(1.0 - 2.0**-52 - self.tests).clamp_min(0.0)
        u[:, 1 : 2 * g : 2], u[:, -1] = torch.from_numpy(self.tests), torch.from_numpy(self.final)
        p, q = torch.from_numpy(self.p), torch.from_numpy(self.q)
        prescribed = rule(torch.from_numpy(self.sets))
        drafts, owed = torch.from_numpy(self.drafts), Both.of(self.owed, p.device)
        nothing = Both.zeros(n, torch.int64, p.device)
        return backend.examine(prescribed, Law(p, p), Law(q, q), None, None, drafts, owed, u, nothing)[0]


def acceptance(pi: Floats, q: Floats) -> Floats:
    """min(1, pi / q), 1 where q is 0: below which numbers a draft passes; what is nobody's is given to the longer."""
    with np.errstate(over="ignore"):
        return snapped(np.minimum(1.0, np.divide(pi, q, out=np.ones_like(q), where=q > 0.0)))


def snapped(place: Floats) -> Floats:
    """A place in [0, 1], at an end where it is too near one; above 0 it stays above, since 0 itself is asked."""
    near_end: Floats = np.where(place > 1.0 - AT_END, 1.0, place)
    return np.where((place > 0.0) & (place < AT_END), np.finfo(float).tiny, near_end)


def residual_of(pi: Floats, q: Floats) -> Floats:
    """max(0, pi - q) (..., V), normalised; pi where that is nothing but rounding, which may leave any token a trace."""
    excess = np.maximum(0.0, pi - q) + np.where(pi > 0.0, np.finfo(float).tiny, 0.0)
    total = excess.sum(-1, keepdims=True)
    is_none = total < AT_END
    law: Floats = np.where(is_none, pi, excess) / np.where(is_none, 1.0, total)
    return law


def points(low: Floats, high: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Both ends of intervals [low, high), inside, and half the length of each; 0 is asked itself, which is an end."""
    half = np.where(high - low > SHORTEST, high - low, 0.0) / 2.0
    yield np.where(low == 0.0, 0.0, np.minimum(low + INSIDE, LARGEST)), half
    yield np.clip(high - INSIDE, 0.0, LARGEST), half


def one_draft(p: Floats, q: Floats, sets: Mask, pi: Floats) -> Asked:
    """Each draft x of each row of laws (R, V), at both sides of its test, and with every token in its place.

    The row after the draft is the next one's, so that a row of another window, or place, is another law. Which token
    follows a draft that passes is nothing to it: of the last number both ends are asked.
    """
    (n_rows, n_tokens), turns = p.shape, acceptance(pi, q)
    row, draft, token, end_of_test, end_of_draw = _one_draft(n_rows, n_tokens)
    tests, lengths = _ends(*_sides(turns))
    ends = np.cumsum(residual_of(pi, q), -1)
    ends[:, -1] = 1.0
    nothing, all_of_it = np.zeros((n_rows, 1)), np.ones((n_rows, 1))
    draws, lengths_of_draws = _ends(
        np.concatenate([nothing, ends[:, :-1], nothing], -1), np.concatenate([ends, all_of_it], -1)
    )
    of_test = KINDS * (n_tokens * row + draft) + np.where(token == n_tokens, PASSES, REJECTED)
    of_draw = (n_tokens + 1) * row + token
    weight = q[row, draft] * lengths[of_test] * lengths_of_draws[of_draw] / 4.0
    kept = np.flatnonzero(weight > 0.0)
    rows, drafts = row[kept], draft[kept]
    places = np.stack([rows, (rows + 1) % n_rows], 1)
    return Asked(
        p[places], q[rows][:, None], sets[places], drafts[:, None], np.zeros(len(rows), dtype=bool),
        tests[end_of_test[kept], of_test[kept]][:, None], draws[end_of_draw[kept], of_draw[kept]], weight[kept], rows,
    )  # fmt: skip


@functools.cache
def _one_draft(n_rows: int, n_tokens: int) -> list[Ids]:
    """The row, the draft, the token in its place or V where it passes, and the ends of both intervals (n,)."""
    return [at.ravel() for at in np.indices((n_rows, n_tokens, n_tokens + 1, 2, 2))]


def _sides(turns: Floats) -> tuple[Floats, Floats]:
    """From where to where (..., KINDS) a draft is rejected, passes, and whatever its test comes to."""
    nothing, all_of_it = np.zeros_like(turns), np.ones_like(turns)
    return np.stack([turns, nothing, nothing], -1), np.stack([all_of_it, turns, all_of_it], -1)


def _ends(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Both ends (2, n) of the intervals [low, high) of any shape, and their lengths (n,)."""
    (one, half), (other, _) = points(low.ravel(), high.ravel())
    return np.stack([one, other]), 2.0 * half


def windows(contexts: Ids, drafts: Ids, owed: Mask, p: Floats, q: Floats, sets: Mask, pi: Floats) -> Asked:
    """All intervals of windows that are asked once, as `Windows` has them."""
    return Windows(contexts, drafts, owed).asked(p, q, sets, pi)


class Windows:
    """All intervals of some windows of two tokens: where the first draft is rejected, and both tokens that may follow.

    contexts: (B, g + 1), the row of the laws (rows, 2) at each place and after the last one; drafts (B, g); owed (B,).
    What is drawn for tests that must not matter, those after a rejection and of an owed draft, is asked at its ends.
    Where each interval lies is a look-up in what `asked` makes of the laws.
    """

    def __init__(self, contexts: Ids, drafts: Ids, owed: Mask) -> None:
        n, g = drafts.shape
        every = np.indices((n, g + 1, 2, 2, 2)).reshape(5, -1)
        row, n_passed, token, end_of_test, end_of_draw = every[:, ~(owed[every[0]] & (every[1] == 0))]
        self.row, self.at, self.taken, self.was_owed = row, contexts[row], drafts[row], owed[row]
        place = np.arange(g) - n_passed[:, None]
        kinds = np.where(place < 0, PASSES, np.where(place == 0, REJECTED, ANY))
        kinds[self.was_owed, 0] = ANY
        self._of_test = KINDS * (2 * self.at[:, :-1] + self.taken) + kinds
        self._of_draw = 4 * self.at[np.arange(len(row)), n_passed] + 2 * (n_passed == g) + token
        self._end_of_test, self._end_of_draw = end_of_test, end_of_draw

    def asked(self, p: Floats, q: Floats, sets: Mask, pi: Floats) -> Asked:
        """The intervals for these laws (rows, 2). The weight is that of the numbers alone, given the drafts."""
        tests, lengths = _ends(*_sides(acceptance(pi, q)))
        first = snapped(np.stack([residual_of(pi, q)[:, 0], p[:, 0] / p.sum(-1)], 1))
        nothing, all_of_it = np.zeros_like(first), np.ones_like(first)
        draws, lengths_of_draws = _ends(np.stack([nothing, first], -1), np.stack([first, all_of_it], -1))
        # Both ends of all tests together, and each with both ends of the draw: halves of the lengths' products.
        weight = np.prod(lengths[self._of_test], axis=1) * lengths_of_draws[self._of_draw] / 4.0
        kept = np.flatnonzero(weight > 0.0)
        at, end_of_test = self.at[kept], self._end_of_test[kept]
        return Asked(
            p[at], q[at[:, :-1]], sets[at], self.taken[kept], self.was_owed[kept],
            tests[end_of_test[:, None], self._of_test[kept]], draws[self._end_of_draw[kept], self._of_draw[kept]],
            weight[kept], self.row[kept],
        )  # fmt: skip
