"""The hunt for a mutant: cases of the statements that may catch it, the most telling first, until a claim fails."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from proxyalign.verify.cases import Case
from proxyalign.verify.cases.extremes import Extreme
from proxyalign.verify.claim_counts import make_case
from proxyalign.verify.mutants.mutation import Mutant, mutated
from proxyalign.verify.statements import statement
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.tightness import INEQUALITIES

MOST_CASES = 2000  # of each statement that may catch a mutant; most are caught within ten
ROUNDS = 20, 200  # cases of each statement after which the next one has its turn


@dataclass(frozen=True)
class Kill:
    """What caught a mutant: the statement's number, the claim that failed, and how many cases it took."""

    statement: int
    claim: Claim
    n_cases: int


def hunt(mutant: Mutant, seed: int = 0, n_cases: int = MOST_CASES) -> Kill | None:
    """The first claim that the mutant fails, or None where it survives `n_cases` of each of its statements."""
    with mutated(mutant):
        for n_asked, (number, case) in enumerate(cases_of(mutant, seed, n_cases), 1):
            for claim in statement(number).judged(case):
                if not claim.holds:
                    return Kill(number, claim, n_asked)
    return None


def cases_of(mutant: Mutant, seed: int, n_cases: int) -> Iterator[tuple[int, Case]]:
    """The number of a statement and a case of it: where an inequality is an equality, of the mutant's kind, and all."""
    for number in mutant.statements:
        for inequality in INEQUALITIES:
            if inequality.statement == number and not inequality.n_free:
                yield number, inequality.build(np.zeros(0))
    first = mutant.statements[0]
    for case in (_case(first, one, seed, n_cases) for one in range(n_cases if mutant.kind else 0)):
        if case.kind == mutant.kind:
            yield first, case
    begin = 0
    for end in (*ROUNDS, n_cases):
        for number in mutant.statements:
            for one in range(begin, min(end, n_cases)):
                yield number, _case(number, one, seed, n_cases)
        begin = end


def _case(number: int, one: int, seed: int, n_cases: int) -> Case:
    case = make_case(statement(number), one, n_cases, seed, None)
    # Few are looked at part by part, and it is there that a small defect shows.
    return replace(case, in_parts=True) if isinstance(case, Extreme) else case
