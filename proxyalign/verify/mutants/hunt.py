"""The hunt for a mutant: cases of the statements that may catch it, until a claim fails."""

from dataclasses import dataclass, replace

from proxyalign.verify.cases.extremes import Extreme
from proxyalign.verify.mutants.mutation import Mutant, mutated
from proxyalign.verify.statements import Statement, statement
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.tallies import make_case

MOST_CASES = 2000  # of each statement that may catch a mutant; most are caught within ten


@dataclass(frozen=True)
class Kill:
    """What caught a mutant: the statement's number, the claim that failed, and how many cases it took."""

    statement: int
    claim: Claim
    n_cases: int


def hunt(mutant: Mutant, seed: int = 0, n_cases: int = MOST_CASES) -> Kill | None:
    """The first claim that the mutant fails, or None where it survives `n_cases` of each of its statements."""
    with mutated(mutant):
        for number in mutant.statements:
            kill = _hunt_with(statement(number), seed, n_cases)
            if kill is not None:
                return kill
    return None


def _hunt_with(statement: Statement, seed: int, n_cases: int) -> Kill | None:
    for number in range(n_cases):
        case = make_case(statement, number, n_cases, seed, None)
        if isinstance(case, Extreme):  # few are looked at part by part, and it is there that a small defect shows
            case = replace(case, in_parts=True)
        for claim in statement.judged(case):
            if not claim.holds:
                return Kill(statement.number, claim, number + 1)
    return None
