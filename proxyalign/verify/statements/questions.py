"""What cases ask of backends on their way: windows of many cases are tested in one call, since their rows are apart."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from proxyalign.decoding.backends.reference import Backend
from proxyalign.decoding.cycle import Cycle
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.window_outcomes import Asked, Prescribed


@dataclass
class Question:
    """Windows, the backend that is asked what they come to, and the rule that gives it their sets."""

    asked: Asked
    backend: Backend
    rule: type[Prescribed] = Prescribed
    _cycle: Cycle | None = field(default=None, init=False)

    @property
    def cycle(self) -> Cycle:
        """The outcome: this question's part of it where it was put with others, else its own."""
        if self._cycle is None:
            self._cycle = self.asked.outcome(self.backend, self.rule)
        return self._cycle

    @property
    def kind(self) -> "Kind":
        """Questions of one kind can be put together: of one backend and rule, and of as many drafts and tokens."""
        return self.backend, self.rule, self.asked.q.shape[1:]


Kind = tuple[Backend, type[Prescribed], tuple[int, ...]]
Step = Claim | list[Question]  # what a case claims, or what it has to know before it goes on


def put_together(questions: Iterable[Question]) -> None:
    """Answer the questions, all of a kind in one call. Where that raises, each is left to be asked alone."""
    of_kind: dict[Kind, list[Question]] = {}
    for question in questions:
        of_kind.setdefault(question.kind, []).append(question)
    for (backend, rule, _), some in of_kind.items():
        columns = zip(*(vars(question.asked).values() for question in some), strict=True)
        try:
            cycle = Asked(*map(np.concatenate, columns)).outcome(backend, rule)
        except Exception:  # whose it is shows when they are asked alone
            continue
        end = 0
        for question in some:
            rows = slice(end, end := end + len(question.asked.row))
            question._cycle = Cycle(*(values[rows] for values in vars(cycle).values()))


def side_by_side(cases: Iterable[Iterator[Step]]) -> list[list[Claim]]:
    """The claims of each case; what they ask is put together, time after time, until all have come to their end."""
    found: list[list[Claim]] = []
    waiting: list[tuple[Iterator[Step], list[Claim]]] = []
    for steps in cases:
        found.append([])
        waiting.append((steps, found[-1]))
    while waiting:
        asked = [(case, _up_to_its_questions(*case)) for case in waiting]
        put_together(question for _, questions in asked for question in questions)
        waiting = [case for case, questions in asked if questions]
    return found


def _up_to_its_questions(steps: Iterator[Step], claims: list[Claim]) -> list[Question]:
    """What the case asks next, none at its end; what it claims before is kept."""
    for step in steps:
        if not isinstance(step, Claim):
            return step
        claims.append(step)
    return []
