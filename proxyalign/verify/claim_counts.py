"""Checking many cases of a statement: what is counted for each claim, and which case is kept as the worst."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proxyalign.verify.cases import Case, Floats
from proxyalign.verify.statements import Statement
from proxyalign.verify.statements.claim import Claim, Number

SIDE_BY_SIDE = 40  # cases that are checked together
FULL_ROWS = 40  # recorded rows that are checked with all their tokens; the others, and these too, with some tokens


@dataclass
class ClaimCount:
    """What one claim came to: cases, violations, and the worst of them all: a violation if any, else the tightest."""

    claim: Claim
    case: int
    n_cases: int = 0
    n_violations: int = 0

    def add(self, claim: Claim, case: int) -> None:
        """Count one case."""
        margin = claim.margin
        holds = claim.holds_by(margin)
        self._keep_worse(claim, case, (holds, margin))
        self.n_cases += 1
        self.n_violations += not holds

    def merge(self, other: "ClaimCount") -> None:
        """Take in what another process counted."""
        self._keep_worse(other.claim, other.case, other.rank)
        self.n_cases += other.n_cases
        self.n_violations += other.n_violations

    @cached_property
    def rank(self) -> tuple[bool, Number]:
        """How bad the claim that is kept is: the least is the worst.

        A strict claim is violated at a margin of 0, so that a violation ranks before any margin; NaN is one too.
        """
        return self.claim.holds, self.claim.margin

    def _keep_worse(self, claim: Claim, case: int, rank: tuple[bool, Number]) -> None:
        if rank < self.rank:
            self.claim, self.case, self.rank = claim, case, rank


ClaimCounts = dict[str, ClaimCount]


def merge(into: ClaimCounts, found: ClaimCounts) -> None:
    """Add the counts of `found` to `into`."""
    for name, count in found.items():
        if name in into:
            into[name].merge(count)
        else:
            into[name] = count


def n_real(statement: Statement, rows: Floats | None) -> int:
    """How many cases the recorded rows give: one of some tokens for each, and some of all tokens."""
    if rows is None:
        return 0
    return len(rows) + (min(FULL_ROWS, len(rows)) if statement.draw_row is not None else 0)


def make_case(statement: Statement, number: int, n_generated: int, seed: int, rows: Floats | None) -> Case:
    """Case `number` of a statement: generated below `n_generated`, then some tokens of each row, then full rows."""
    rng = np.random.default_rng([seed, statement.number, number])
    if number < n_generated or rows is None:
        return statement.draw(rng)
    index = number - n_generated
    if index < len(rows):
        return statement.draw_real(rng, _three(rows, index))
    draw_row = statement.draw_row or statement.draw_real
    return draw_row(rng, _three(rows, (index - len(rows)) * len(rows) // min(FULL_ROWS, len(rows))))


def _three(rows: Floats, start: int) -> Floats:
    """Three rows in turn from this one on, the first ones after the last."""
    taken: Floats = np.take(rows, range(start, start + 3), axis=0, mode="wrap")
    return taken


def check(
    statement: Statement,
    numbers: Iterable[int],
    n_generated: int,
    seed: int,
    rows: Floats | None,
) -> ClaimCounts:
    """Check these cases of a statement."""
    counts: ClaimCounts = {}
    left = iter(numbers)
    while some := list(itertools.islice(left, SIDE_BY_SIDE)):
        cases = (make_case(statement, number, n_generated, seed, rows) for number in some)
        for number, claims in zip(some, statement.judged_together(cases), strict=True):
            for claim in claims:
                if claim.name not in counts:
                    counts[claim.name] = ClaimCount(claim, number)
                counts[claim.name].add(claim, number)
    return counts
