"""Checking many cases of a statement: what is counted for each claim, and which case is kept as the worst."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proxyalign.verify.cases import Case, Floats
from proxyalign.verify.claims import Claim, Number
from proxyalign.verify.implementation import Implementation
from proxyalign.verify.statements import Statement

FULL_ROWS = 12  # recorded rows that are checked with all their tokens; the others, and these too, with some tokens


@dataclass
class Tally:
    """What one claim came to: cases, violations, and the least margin with the number of its case.

    A violation of an inequality that must be strict can have a margin of 0, so the worst case is a violation if any.
    """

    claim: Claim
    n_cases: int = 0
    n_violations: int = 0
    margin: Number = 0.0
    case: int = -1
    worst: tuple[bool, Number] = field(default=(True, 0.0))

    def add(self, claim: Claim, case: int) -> None:
        """Count one claim of one case."""
        rank = (claim.holds, claim.margin)
        # A margin that is NaN is neither above nor below; it does not hold, which ranks it first all the same.
        if self.n_cases == 0 or rank < self.worst:
            self.claim, self.margin, self.case, self.worst = claim, claim.margin, case, rank
        self.n_cases += 1
        self.n_violations += not claim.holds

    def merge(self, other: "Tally") -> None:
        """Take in what another process counted."""
        if other.worst < self.worst:
            self.claim, self.margin, self.case, self.worst = other.claim, other.margin, other.case, other.worst
        self.n_cases += other.n_cases
        self.n_violations += other.n_violations


Tallies = dict[str, Tally]


def merge(into: Tallies, found: Tallies) -> None:
    """Add the counts of `found` to `into`."""
    for name, tally in found.items():
        if name in into:
            into[name].merge(tally)
        else:
            into[name] = tally


def n_real(statement: Statement, rows: Floats | None) -> int:
    """How many cases the recorded rows give: one of some tokens for each, and some of all tokens."""
    if rows is None:
        return 0
    return len(rows) + (min(FULL_ROWS, len(rows)) if statement.draw_row is not None else 0)


def make_case(statement: Statement, number: int, n_generated: int, seed: int, rows: Floats | None) -> Case:
    """Case `number` of a statement: generated below `n_generated`, then one of some tokens of each row, then full rows."""
    rng = np.random.default_rng([seed, statement.number, number])
    if number < n_generated or rows is None:
        return statement.draw(rng)
    index = number - n_generated
    if index < len(rows):
        return statement.draw_real(rng, np.roll(rows[: index + 3] if index else rows[:3], -index, axis=0)[:3])
    assert statement.draw_row is not None
    place = (index - len(rows)) * len(rows) // min(FULL_ROWS, len(rows))
    return statement.draw_row(rng, np.take(rows, range(place, place + 3), axis=0, mode="wrap"))


def check(
    statement: Statement,
    numbers: Iterable[int],
    n_generated: int,
    seed: int,
    rows: Floats | None,
    code: Implementation,
) -> Tallies:
    """Check these cases of a statement."""
    tallies: Tallies = {}
    for number in numbers:
        case = make_case(statement, number, n_generated, seed, rows)
        for claim in statement.claims(case, code):
            if claim.name not in tallies:
                tallies[claim.name] = Tally(claim)
            tallies[claim.name].add(claim, number)
    return tallies


def first_violation(statement: Statement, cases: Iterable[int], seed: int, code: Implementation) -> Any:
    """(claim, how many cases it took) of the first claim that does not hold, or None where all do."""
    for done, number in enumerate(cases, start=1):
        for claim in statement.claims(make_case(statement, number, number + 1, seed, None), code):
            if not claim.holds:
                return claim, done
    return None
