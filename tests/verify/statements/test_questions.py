"""Cases side by side: what they ask of a backend is put together, and each gets its own outcome back."""

import numpy as np
import pytest

from proxyalign.verify.claim_counts import make_case
from proxyalign.verify.statements import questions, statement
from proxyalign.verify.statements.window_outcomes import Asked

ASKING = (10, 11, 12)  # the statements that ask backends about windows


def cases(number, n=24):
    """The first cases of a statement: of all windows, with rows of several numbers."""
    return [make_case(statement(number), one, n, 0, None) for one in range(n)]


def told(claims):
    """What claims say, as numbers."""
    return [(claim.name, float(claim.left), float(claim.right)) for claim in claims]


@pytest.mark.parametrize("number", ASKING)
def test_cases_side_by_side_claim_what_each_claims_alone(number):
    """Fails when a case gets another's rows, or the claims of two cases are mixed."""
    some = cases(number)
    together = statement(number).judged_together(some)
    assert len(together) == len(some)
    for case, claims in zip(some, together, strict=True):
        alone = told(statement(number).judged(case))
        assert [name for name, *_ in told(claims)] == [name for name, *_ in alone]
        assert [numbers for _, *numbers in told(claims)] == [pytest.approx(numbers, abs=1e-12) for _, *numbers in alone]


@pytest.mark.parametrize("number", ASKING)
def test_windows_of_many_cases_are_tested_in_a_few_calls(number, monkeypatch):
    """Fails when each case has a call of its own again."""
    rows, outcome = [], Asked.outcome

    def counted(asked, *given):
        rows.append(len(asked.row))
        return outcome(asked, *given)

    monkeypatch.setattr(Asked, "outcome", counted)
    statement(number).judged_together(cases(number))
    together = list(rows)
    rows.clear()
    for case in cases(number):
        list(statement(number).judged(case))
    assert sum(together) == sum(rows)
    assert len(together) <= len(rows) / 8


def test_only_the_case_that_a_backend_fails_on_is_told_of_it(monkeypatch):
    """Fails when one case's exception becomes that of all that were asked with it, or is lost."""
    some, outcome = cases(12), Asked.outcome
    wrong = some[3].q[0]

    def failing(asked, *given):
        if (asked.q[:, 0] == wrong).all(-1).any():
            raise RuntimeError("no outcome")
        return outcome(asked, *given)

    monkeypatch.setattr(Asked, "outcome", failing)
    together = statement(12).judged_together(some)
    raised = [at for at, claims in enumerate(together) if any("RuntimeError" in claim.name for claim in claims)]
    assert raised == [3]


def test_a_question_that_nobody_put_is_asked_alone():
    """Fails when a claim that is looked at by itself has no outcome to go by."""
    (step,) = [step for step in statement(12).check(cases(12, 1)[0]) if isinstance(step, list)]
    assert all(np.isfinite(question.cycle.p_y).all() for question in step)
    questions.put_together(step)
    assert step[0].cycle is not step[1].cycle
