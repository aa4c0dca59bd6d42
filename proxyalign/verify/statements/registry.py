"""The statements by number: what each is called, how its cases are drawn, and which function checks it."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from proxyalign.errors import InputError
from proxyalign.verify.cases import Case
from proxyalign.verify.cases.clashing import clash, recorded_clash
from proxyalign.verify.cases.extremes import extreme
from proxyalign.verify.cases.generated import (
    Floats,
    Knapsack,
    Laws,
    any_knapsack,
    coarse,
    knapsack_of,
    law_knapsack,
    laws,
    laws_of,
)
from proxyalign.verify.statements import (
    base_texts,
    budget_price,
    learned,
    log_loss,
    many_steps,
    near_optimal,
    one_step,
    owed_drafts,
    token_laws,
    two_vocabularies,
)
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.questions import Step, side_by_side

UNION_SHAPES = ((2, 5), (3, 3), (2, 4), (5, 2), (4, 2))  # steps and tokens of statement 14
REAL_SIZE = 9  # tokens of a case made of some of a recorded row's tokens


@dataclass(frozen=True)
class Statement:
    """One statement: its number, its label in the paper, its title, and the functions that draw and check its cases.

    draw: a case from a generator. draw_real: a case of some tokens from a generator and recorded rows (n, V). draw_row:
    the same of all tokens, where the statement can be checked on a full vocabulary. check: a case -> its claims, and
    what it asks of backends before it can make them.
    """

    number: int
    label: str
    title: str
    check: Callable[[Any], Iterable[Step]]
    draw: Callable[[Generator], Case]
    draw_real: Callable[[Generator, Floats], Case]
    draw_row: Callable[[Generator, Floats], Case] | None = None

    def claims(self, case: Case) -> Iterator[Claim]:
        """The claims on a case."""
        return (step for step in self.check(case) if isinstance(step, Claim))

    def judged(self, case: Case) -> Iterator[Claim]:
        """The claims on a case, and one more, which fails, where the package raises an exception instead.

        The claim is named by the exception and the first words of its text, up to a number, which is the case's.
        """
        return (step for step in self._judged(case) if isinstance(step, Claim))

    def judged_together(self, cases: Iterable[Case]) -> list[list[Claim]]:
        """The same of each of several cases, whose windows backends test together."""
        return side_by_side([self._judged(case) for case in cases])

    def _judged(self, case: Case) -> Iterator[Step]:
        try:
            yield from self.check(case)
        except NameError:  # a mutant's edit that is no code of its place, which is not to pass for one that is caught
            raise
        except Exception as raised:
            words = re.split(r"\d", str(raised), maxsplit=1)[0].strip()
            yield Claim(f"nothing is raised, got {type(raised).__name__}: {words}", 1, 0, "==")


def _sandwiched(rng: Generator) -> Case:
    """One time in four a knapsack like those of the other statements, else a trial of `exact`."""
    return any_knapsack(rng) if rng.random() < 0.25 else extreme(rng)


def _some_tokens(rng: Generator, rows: Floats) -> Knapsack:
    """A knapsack on some tokens of a recorded row; the next row gives the proxy's law."""
    p, q = coarse(rng, rows[:2], REAL_SIZE)
    return knapsack_of(rng, p, q, "recorded, some tokens")


def _all_tokens(rng: Generator, rows: Floats) -> Knapsack:
    """A knapsack on a recorded row as it is, at a budget where both sides of it matter."""
    return knapsack_of(rng, rows[0], rows[1], "recorded", budget=float(rng.uniform(0.05, 0.9)))


def _shaped(n_rows: int, size: int) -> tuple[Callable[[Generator], Laws], Callable[[Generator, Floats], Laws]]:
    """How to draw (n_rows, size) laws: at random, and from recorded rows."""

    def draw(rng: Generator) -> Laws:
        return laws(rng, n_rows, size)

    def draw_real(rng: Generator, rows: Floats) -> Laws:
        taken = [coarse(rng, rows, size) for _ in range(-(-3 * n_rows // len(rows)))]
        p, q, truth = np.concatenate(taken)[: 3 * n_rows].reshape(3, n_rows, size)
        return laws_of(rng, p, q, truth, "recorded, some tokens")

    return draw, draw_real


def _full_laws(rng: Generator, rows: Floats) -> Laws:
    """One recorded row as the base's law, the next two as the proxy's and the true one, each normalised."""
    p, q, truth = (rows[:3] / rows[:3].sum(-1, keepdims=True))[:, None]
    return laws_of(rng, p, q, truth, "recorded")


def _union(rng: Generator) -> Laws:
    return laws(rng, *UNION_SHAPES[rng.integers(len(UNION_SHAPES))])


def _union_real(rng: Generator, rows: Floats) -> Laws:
    return _shaped(*UNION_SHAPES[rng.integers(len(UNION_SHAPES))])[1](rng, rows)


def _many_steps(rng: Generator) -> Laws:
    return laws(rng, int(rng.integers(1, 9)), int(rng.integers(1, 6)))


def _many_real_steps(rng: Generator, rows: Floats) -> Laws:
    return _shaped(8, 5)[1](rng, rows)


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        1, "stmt:lp-optimum", "LP optimum", one_step.lp_optimum, any_knapsack, _some_tokens, _all_tokens
    ),
    Statement(2, "stmt:sandwich", "Sandwich", one_step.sandwich, _sandwiched, _some_tokens, _all_tokens),
    Statement(
        3, "stmt:half", "Half", one_step.half_approximation, any_knapsack, _some_tokens, _all_tokens
    ),
    Statement(
        4, "stmt:weak-duality", "Weak duality", one_step.weak_duality, any_knapsack, _some_tokens,
        _all_tokens,
    ),
    Statement(5, "stmt:everett", "Everett", one_step.everett, any_knapsack, _some_tokens, _all_tokens),
    Statement(
        6, "stmt:correspondence", "Correspondence", one_step.correspondence, law_knapsack, _some_tokens,
        _all_tokens,
    ),
    Statement(
        7, "stmt:monotonicity", "Monotonicity", one_step.monotonicity, any_knapsack, _some_tokens,
        _all_tokens,
    ),
    Statement(
        8, "stmt:trust-region", "Trust region", token_laws.trust_region,
        *_shaped(token_laws.CONTEXTS, token_laws.TOKENS), _full_laws,
    ),
    Statement(
        9, "stmt:acceptance-floor", "Acceptance floor", token_laws.acceptance_floor, *_shaped(4, 8), _full_laws
    ),
    Statement(
        10, "stmt:speculative-exactness", "Speculative exactness", token_laws.speculative_exactness,
        *_shaped(4, 8), _full_laws,
    ),
    Statement(
        11, "stmt:free-bonus", "Free bonus", token_laws.free_bonus, *_shaped(len(token_laws.PREFIXES), 2)
    ),
    Statement(
        12, "stmt:tokens-per-cycle", "Tokens per cycle", token_laws.tokens_per_cycle, *_shaped(1, 6), _full_laws
    ),
    Statement(13, "stmt:plug-in", "Plug-in error", token_laws.plug_in, *_shaped(4, 8), _full_laws),
    Statement(14, "stmt:one-budget", "One budget", many_steps.one_budget, _union, _union_real),
    Statement(15, "stmt:hybrid", "Hybrid rule", many_steps.hybrid, _many_steps, _many_real_steps),
    Statement(
        16, "stmt:two-vocabularies", "Two vocabularies", two_vocabularies.two_vocabularies, clash, recorded_clash
    ),
    Statement(17, "stmt:learn-then-test", "Learn then test", learned.guaranteed, *_shaped(4, 8)),
    Statement(18, "stmt:log-loss", "Log loss", log_loss.log_loss, *_shaped(4, 8), _full_laws),
    Statement(
        19, "stmt:base-texts", "Threshold from texts", base_texts.threshold_from_texts,
        *_shaped(token_laws.CONTEXTS, token_laws.TOKENS),
    ),
    Statement(
        20, "stmt:budget-price", "Price of step budgets", budget_price.price_of_step_budgets, _union, _union_real
    ),
    Statement(
        21, "stmt:near-optimal", "Near-optimal sets", near_optimal.near_optimal_sets, _sandwiched, _some_tokens,
        _all_tokens,
    ),
    Statement(
        22, "stmt:owed-drafts", "Owed drafts", owed_drafts.cycles_with_owed_drafts, *_shaped(1, 6), _full_laws
    ),
)  # fmt: skip


def statement(number: int) -> Statement:
    """The statement of this number; raises InputError where there is none."""
    for one in STATEMENTS:
        if one.number == number:
            return one
    numbers = ", ".join(str(one.number) for one in STATEMENTS)
    raise InputError(f"verify: statement must be one of {numbers}, got {number}; leave it out for all of them")
