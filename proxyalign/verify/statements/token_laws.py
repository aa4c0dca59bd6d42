"""Statements 8 to 13, about the law of an emitted token, of a sequence and of a cycle of drafts.

The functions under test compute with torch, in float64. Expectations are added up from the definitions in NumPy or in
rationals, and laws are enumerated, not sampled: no claim can fail by bad luck.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from proxyalign.decoding import window as window_lengths
from proxyalign.decoding.cycle import Cycle
from proxyalign.deferral import policy, rules
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.statements import engine_runs, lossy_drafts
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.questions import Question, Step
from proxyalign.verify.statements.window_outcomes import (
    BACKENDS,
    Asked,
    Ids,
    Mask,
    Prescribed,
    PrescribedBeside,
    Windows,
    one_draft,
)

ROUNDING = 1e-13  # of sums of float64 probabilities, laws of full vocabularies included
STEPS, TOKENS = 3, 3  # of statement 8's sequences
CONTEXTS = 1 + TOKENS + TOKENS**2
LENGTH = 4  # of statement 11's sequences, over two tokens: a window, an owed draft and tests after it
NOBODYS = 1e-6  # what intervals too short to be asked may add up to
MOST_ENUMERATED = 16  # tokens of a law whose every draft is asked
PREFIXES = [prefix for n in range(LENGTH) for prefix in itertools.product(range(2), repeat=n)]


def tensors(case: Laws) -> tuple[Tensor, Tensor, Tensor]:
    """p, q and the sets, as torch has them."""
    return torch.from_numpy(case.p), torch.from_numpy(case.q), torch.from_numpy(case.deferred)


def cascade_by_hand(case: Laws) -> tuple[Floats, Floats]:
    """pi (rows, V) and D (rows,) from the definition."""
    kept = np.where(case.deferred, 0.0, case.p)
    mass = np.where(case.deferred, case.p, 0.0).sum(-1)
    return kept + mass[:, None] * case.q, mass


def total_variation(one: Floats, other: Floats) -> Floats:
    """Half the sum of absolute differences along the last axis."""
    distances: Floats = np.abs(one - other).sum(-1) / 2
    return distances


def at_most(name: str, left: Floats, right: Floats, tolerance: float = ROUNDING) -> Claim:
    """left <= right in every row, as the claim of the row where it is tightest."""
    row = int(np.argmin(right - left))
    return Claim(name, float(left[row]), float(right[row]), tolerance=tolerance)


def equal(name: str, left: Floats, right: Floats, tolerance: float = ROUNDING) -> Claim:
    """left = right in every entry, as the claim of the entry where they differ most."""
    entry = int(np.argmax(np.abs(left - right)))
    return Claim(name, float(left.flat[entry]), float(right.flat[entry]), "==", tolerance)


def trust_region(case: Laws) -> Iterator[Claim]:
    """Statement 8: TV(pi, p) <= D, D <= b under a budget, and TV <= P(some step defers) <= sum E[D_t] in sequence."""
    p, q, deferred = tensors(case)
    pi, mass = policy.cascade(p, q, deferred).numpy(), policy.deferral_mass(p, deferred).numpy()
    pi_by_hand, mass_by_hand = cascade_by_hand(case)
    yield equal("pi = (1 - d) p + D q", pi, pi_by_hand)
    yield equal("D = sum d p", mass, mass_by_hand)
    yield at_most("TV(pi, p) <= D", total_variation(pi, case.p), mass)
    chosen = rules.Primal(case.budget).defer(p).numpy()
    yield Claim("D <= b for the primal rule", _largest_mass(case.p, chosen), Fraction(case.budget))
    wrong = rules.Dual(case.alpha).defer(p).numpy() != (case.p < case.alpha)
    yield Claim("the dual rule is {p < alpha}", int(wrong.sum()), 0, "==")
    if case.p.shape == (CONTEXTS, TOKENS):
        shift = total_variation(_sequences(pi).ravel(), _sequences(case.p).ravel())
        untouched = _sequences(np.where(case.deferred, 0.0, case.p)).sum()
        some = 1.0 - float(untouched)
        expected = float((_reach(pi) * mass).sum())
        yield Claim("TV of sequences <= P(some step defers)", float(shift), some, tolerance=ROUNDING)
        yield Claim("P(some step defers) <= sum E[D_t]", some, expected, tolerance=ROUNDING)


def _largest_mass(p: Floats, deferred: Mask) -> Fraction:
    """The exact sum of the deferred probabilities (rows, V) of the row where it is largest.

    math.fsum rounds the exact sum once, so that no other row than those where it is largest needs a closer look; what
    it leaves of them is one number.
    """
    rows = [law[taken].tolist() for law, taken in zip(p, deferred, strict=True)]
    sums = [math.fsum(row) for row in rows]
    top = max(sums)
    return max(
        Fraction(top) + Fraction(math.fsum([*row, -top])) for row, one in zip(rows, sums, strict=True) if one == top
    )


def _sequences(steps: Floats) -> Floats:
    """The measure (V, V, V) of a sequence, from the rows of its contexts: none, one token, two tokens."""
    first, second, third = np.split(steps, [1, 1 + TOKENS])
    joint: Floats = first[0][:, None, None] * second[:, :, None] * third.reshape(TOKENS, TOKENS, TOKENS)
    return joint


def _reach(steps: Floats) -> Floats:
    """The probability (contexts,) that a sequence passes through each context."""
    first, second, _ = np.split(steps, [1, 1 + TOKENS])
    return np.concatenate([[1.0], first[0], (first[0][:, None] * second).ravel()])


def acceptance_floor(case: Laws) -> Iterator[Claim]:
    """Statement 9: A = sum min(pi, q) = 1 - TV(pi, q) = D + sum min((1 - d) p, (1 - D) q) >= D."""
    p, q, deferred = tensors(case)
    pi, mass = cascade_by_hand(case)
    accepted = policy.acceptance(policy.cascade(p, q, deferred), q).numpy()
    yield equal("A = sum min(pi, q)", accepted, np.minimum(pi, case.q).sum(-1))
    yield equal("A = 1 - TV(pi, q)", accepted, 1.0 - total_variation(pi, case.q), 2 * ROUNDING)
    kept = np.minimum(np.where(case.deferred, 0.0, case.p), (1.0 - mass)[:, None] * case.q).sum(-1)
    yield equal("A = D + sum min((1 - d) p, (1 - D) q)", accepted, mass + kept)
    yield at_most("D <= A", mass, accepted)


def speculative_exactness(case: Laws) -> Iterator[Step]:
    """Statement 10: a draft, tested, and replaced from the residual where it fails, has the law pi.

    So do the functions that say it of laws, and so does every backend, asked for each draft at both sides of its test
    and of every token that may replace it; and a run of the engine is the one that is written down from the definition.
    """
    p, q, deferred = tensors(case)
    by_hand, mass = cascade_by_hand(case)
    pi = policy.cascade(p, q, deferred)
    residual = policy.residual(pi, q)
    yield equal("the cascade has the law pi", pi.numpy(), by_hand)
    yield equal("the residual is a law", residual.sum(-1).numpy(), np.ones(len(p)))
    kept = np.maximum(0.0, np.where(case.deferred, 0.0, case.p) - (1.0 - mass)[:, None] * case.q)
    weight = kept.sum(-1, keepdims=True)
    often = weight[:, 0] > 1e-9  # else nothing is rejected but by rounding
    if often.any():
        expected = kept[often] / weight[often]
        yield equal("the residual is that of the kept part", residual.numpy()[often], expected, 1e-6)
    if case.p.shape[-1] <= MOST_ENUMERATED:
        yield from _of_backends(case, by_hand)
        if engine_runs.is_run(case):
            yield from engine_runs.beside(case)
            yield from engine_runs.tuned(case)
            yield from engine_runs.gated(case)
            yield from engine_runs.handed_over(case)
            yield from lossy_drafts.emitted(torch.from_numpy(by_hand), q, case.alpha)


def _of_backends(case: Laws, pi: Floats) -> Iterator[Step]:
    """That a draft which a backend tests, or the token that it puts in its place, has the law pi."""
    asked = one_draft(case.p, case.q, case.deferred, pi)
    rule = Prescribed if case.window > 1 else PrescribedBeside
    yield (questions := [Question(asked, backend, rule) for backend in BACKENDS])
    for question in questions:
        cycle, found = question.cycle, np.zeros_like(pi)
        token = np.where(cycle.rejected, cycle.final, asked.drafts[:, 0])
        np.add.at(found, (asked.row, token), asked.weight)
        yield equal(f"the law of an emitted token is pi: {type(question.backend).__name__}", found, pi, NOBODYS)


def free_bonus(case: Laws) -> Iterator[Step]:
    """Statement 11: with the bonus after a window accepted whole, every sequence keeps the cascade's probability.

    Rows are the contexts PREFIXES of two tokens. The measure of each state (what is emitted, is a draft owed) is
    passed on cycle by cycle, through every window of drafts, as each backend tests them and draws the token after them.
    """
    steps, _ = cascade_by_hand(case)
    expected = steps[_CONTEXTS_OF_SEQUENCES, SEQUENCES].prod(1)
    asked = [some.asked(case, steps) for some in _cycles(case.window)]
    questions = {backend: [Question(windows, backend) for windows, _, _ in asked] for backend in BACKENDS}
    yield [question for some in questions.values() for question in some]
    for backend, some in questions.items():
        moves = [(question.cycle, measure, before) for question, (_, measure, before) in zip(some, asked, strict=True)]
        name = f"every sequence has the cascade's probability: {type(backend).__name__}"
        yield equal(name, _emitted(moves), expected, NOBODYS)
    if engine_runs.is_run(case):
        yield from engine_runs.thresholds(case)


SEQUENCES = np.array(list(itertools.product(range(2), repeat=LENGTH)))
_ROW = {prefix: row for row, prefix in enumerate(PREFIXES)}
_CONTEXTS_OF_SEQUENCES = np.array([[_ROW[tuple(s[:n])] for n in range(LENGTH)] for s in SEQUENCES.tolist()])
# A state is what is emitted as binary digits after a leading 1, twice, and one more where a draft is owed.
_N_STATES = 4 << LENGTH


def _state(text: tuple[int, ...]) -> int:
    return 2 * functools.reduce(lambda state, token: 2 * state + token, text, 1)


class _Cycles:
    """All cycles of `n_drafts` from the states that begin with these prefixes."""

    def __init__(self, n_drafts: int, starts: list[tuple[int, ...]]) -> None:
        froms = [
            (start, owed, drafts)
            for start in starts
            for owed in (False, True)
            for drafts in itertools.product(range(2), repeat=n_drafts)
        ]
        # The row after a window that ends the text is nobody's: any will do.
        contexts = [[_ROW.get((*start, *drafts[:n]), 0) for n in range(n_drafts + 1)] for start, _, drafts in froms]
        self.contexts, self.drafts = np.array(contexts), np.array([drafts for *_, drafts in froms])
        self.froms = np.array([_state(start) + owed for start, owed, _ in froms])
        self.windows = Windows(self.contexts, self.drafts, self.froms % 2 == 1)

    def asked(self, case: Laws, pi: Floats) -> tuple[Asked, Floats, Ids]:
        """Their windows, with the measure (n,) of each and of its drafts, and the states (n,) before them."""
        asked = self.windows.asked(case.p, case.q, case.deferred, pi)
        of_drafts = np.prod(case.q[self.contexts[:, :-1], self.drafts], axis=1)
        return asked, asked.weight * of_drafts[asked.row], self.froms[asked.row]


@functools.cache
def _cycles(window: int) -> list[_Cycles]:
    """The cycles with windows of this length, shorter ones towards the end of a text."""
    of_length = itertools.groupby(PREFIXES, lambda prefix: min(window, LENGTH - len(prefix)))
    return [_Cycles(n_drafts, list(starts)) for n_drafts, starts in of_length]


def _emitted(outcomes: list[tuple[Cycle, Floats, Ids]]) -> Floats:
    """The measure of each of SEQUENCES, passed on from state to state by cycles, their measures and what is before."""
    moves = np.zeros((_N_STATES, _N_STATES))
    for cycle, measure, before in outcomes:
        texts = before // 2
        for place in range(cycle.tokens.shape[1]):
            goes_on = (place < cycle.n_new) & (texts < 1 << LENGTH)
            texts = np.where(goes_on, 2 * texts + cycle.tokens[:, place], texts)
        then = 2 * texts + (cycle.is_owed & (texts < 1 << LENGTH))
        moves += np.bincount(before * _N_STATES + then, measure, _N_STATES**2).reshape(moves.shape)
    states = np.zeros(_N_STATES)
    states[_state(())] = 1.0
    for n in range(LENGTH):
        here = slice(2 << n, 4 << n)
        measure, states[here] = states[here].copy(), 0.0
        states += measure @ moves[here]
    emitted: Floats = states[2 << LENGTH :].reshape(-1, 2).sum(1)
    return emitted


def tokens_per_cycle(case: Laws) -> Iterator[Step]:
    """Statement 12: with i.i.d. acceptance A a cycle emits (1 - A^(g + 1)) / (1 - A) tokens, the bonus included."""
    p, q, deferred = tensors(case)
    pi = policy.cascade(p[:1], q[:1], deferred[:1])
    measured = min(1.0, float(policy.acceptance(pi, q[:1])))
    if case.p.shape[-1] <= MOST_ENUMERATED:
        asked = one_draft(case.p[:1], case.q[:1], case.deferred[:1], pi.numpy())
        yield (questions := [Question(asked, backend) for backend in BACKENDS])
        for question in questions:
            passing = float(asked.weight[~question.cycle.rejected].sum())
            name = f"drafts pass with probability A: {type(question.backend).__name__}"
            yield Claim(name, measured, passing, "==", NOBODYS)
    for acceptance in (case.acceptance, measured):
        for window in (case.window, 5 * case.window):
            expected = _expected_tokens(acceptance, window)
            found = window_lengths.tokens_per_cycle(acceptance, window)
            yield Claim("tokens a cycle = their expectation", found, expected, "==", 1e-12 * expected)
            yield Claim("tokens a cycle <= window + 1", found, window + 1.0, tolerance=1e-12 * window)


def _expected_tokens(acceptance: float, window: int) -> float:
    """The mean of a cycle's tokens: k + 1 where k drafts pass and the next does not, in whole numbers until the end."""
    a, one = acceptance.as_integer_ratio()
    stopped = sum((k + 1) * a**k * (one - a) * one ** (window - 1 - k) for k in range(window))
    return float(Fraction(stopped + (window + 1) * a**window, one**window))


def plug_in(case: Laws) -> Iterator[Claim]:
    """Statement 13: under the true law P the deferral mass is within TV(P, p) of D."""
    p, _, deferred = tensors(case)
    estimated, true = policy.deferral_mass(p, deferred), policy.deferral_mass(torch.from_numpy(case.truth), deferred)
    error = np.abs(true.numpy() - estimated.numpy())
    by_hand = np.abs(np.where(case.deferred, case.truth - case.p, 0.0).sum(-1))
    yield equal("the error of D is what d moves", error, by_hand)
    yield at_most("|D under P - D| <= TV(P, p)", error, total_variation(case.truth, case.p))
