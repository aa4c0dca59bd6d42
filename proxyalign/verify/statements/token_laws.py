"""Statements 8 to 13, about the law of an emitted token, of a sequence and of a cycle of drafts.

The functions under test compute with torch, in float64. Expectations are added up from the definitions in NumPy or in
rationals, and laws are enumerated, not sampled: no claim can fail by bad luck.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from proxyalign.decoding import window as window_lengths
from proxyalign.decoding.backends.reference import Backend
from proxyalign.deferral import policy, rules
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.statements import engine_runs
from proxyalign.verify.statements.claim import Claim
from proxyalign.verify.statements.window_outcomes import BACKENDS, Prescribed, PrescribedBeside, one_draft, windows

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
    spent = max(_exact_mass(row, taken) for row, taken in zip(case.p, chosen, strict=True))
    yield Claim("D <= b for the primal rule", spent, Fraction(case.budget))
    wrong = rules.Dual(case.alpha).defer(p).numpy() != (case.p < case.alpha)
    yield Claim("the dual rule is {p < alpha}", int(wrong.sum()), 0, "==")
    if case.p.shape == (CONTEXTS, TOKENS):
        shift = total_variation(_sequences(pi).ravel(), _sequences(case.p).ravel())
        untouched = _sequences(np.where(case.deferred, 0.0, case.p)).sum()
        some = 1.0 - float(untouched)
        expected = float((_reach(pi) * mass).sum())
        yield Claim("TV of sequences <= P(some step defers)", float(shift), some, tolerance=ROUNDING)
        yield Claim("P(some step defers) <= sum E[D_t]", some, expected, tolerance=ROUNDING)


def _exact_mass(p: Floats, deferred: Floats) -> Fraction:
    """The exact sum of the deferred probabilities: math.fsum is exact until it rounds, so two of them leave nothing."""
    chosen = p[deferred]
    total = math.fsum(chosen)
    return Fraction(total) + Fraction(math.fsum([*chosen.tolist(), -total]))


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


def speculative_exactness(case: Laws) -> Iterator[Claim]:
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


def _of_backends(case: Laws, pi: Floats) -> Iterator[Claim]:
    """That a draft which a backend tests, or the token that it puts in its place, has the law pi."""
    asked = one_draft(case.p, case.q, case.deferred, pi)
    for backend in BACKENDS:
        cycle, found = asked.outcome(backend, Prescribed if case.window > 1 else PrescribedBeside), np.zeros_like(pi)
        token = np.where(cycle.rejected, cycle.final, asked.drafts[:, 0])
        np.add.at(found, (asked.row, token), asked.weight)
        yield equal(f"the law of an emitted token is pi: {type(backend).__name__}", found, pi, NOBODYS)


def free_bonus(case: Laws) -> Iterator[Claim]:
    """Statement 11: with the bonus after a window accepted whole, every sequence keeps the cascade's probability.

    Rows are the contexts PREFIXES of two tokens. The measure of each state (what is emitted, is a draft owed) is
    passed on cycle by cycle, through every window of drafts, as each backend tests them and draws the token after them.
    """
    steps, _ = cascade_by_hand(case)
    at = {prefix: row for row, prefix in enumerate(PREFIXES)}
    sequences = list(itertools.product(range(2), repeat=LENGTH))
    expected = [math.prod(steps[at[s[:n]], s[n]] for n in range(LENGTH)) for s in sequences]
    for backend in BACKENDS:
        emitted = _emitted(case, steps, backend)
        found = np.array([emitted[s] for s in sequences])
        name = f"every sequence has the cascade's probability: {type(backend).__name__}"
        yield equal(name, found, np.array(expected), NOBODYS)
    if engine_runs.is_run(case):
        yield from engine_runs.thresholds(case)


State = tuple[tuple[int, ...], bool]  # what is emitted, and whether a draft is owed


def _emitted(case: Laws, pi: Floats, backend: Backend) -> dict[tuple[int, ...], float]:
    """The measure of each sequence, passed on from state to state."""
    moves: dict[State, dict[State, float]] = {}
    for n_drafts, starts in itertools.groupby(PREFIXES, lambda prefix: min(case.window, LENGTH - len(prefix))):
        moves |= _moves(case, pi, backend, list(starts), n_drafts)
    states: dict[State, float] = defaultdict(float, {((), False): 1.0})
    for state in itertools.product(PREFIXES, (False, True)):
        weight = states.pop(state, 0.0)
        for then, share in moves[state].items():
            states[then] += weight * share
    emitted: dict[tuple[int, ...], float] = defaultdict(float)
    for (prefix, _), weight in states.items():
        emitted[prefix] += weight
    return emitted


def _moves(
    case: Laws, pi: Floats, backend: Backend, starts: list[tuple[int, ...]], n_drafts: int
) -> dict[State, dict[State, float]]:
    """Where a cycle leads from each state that begins with these prefixes, and with which probability."""
    at = {prefix: row for row, prefix in enumerate(PREFIXES)}
    froms = [
        (start, owed, drafts)
        for start in starts
        for owed in (False, True)
        for drafts in itertools.product(range(2), repeat=n_drafts)
    ]
    # The row after a window that ends the text is nobody's: any will do.
    contexts = np.array([[at.get((*start, *drafts[:n]), 0) for n in range(n_drafts + 1)] for start, _, drafts in froms])
    paths = np.array([drafts for *_, drafts in froms])
    of_drafts = np.prod(case.q[contexts[:, :-1], paths], axis=1)
    asked = windows(contexts, paths, np.array([owed for _, owed, _ in froms]), case.p, case.q, case.deferred, pi)
    cycle = asked.outcome(backend)
    moves: dict[State, dict[State, float]] = {(start, owed): defaultdict(float) for start, owed, _ in froms}
    weights = asked.weight * of_drafts[asked.row]
    n_new, tokens, is_owed = cycle.n_new.tolist(), cycle.tokens.tolist(), cycle.is_owed.tolist()
    for row, weight, n, ids, owes in zip(asked.row.tolist(), weights.tolist(), n_new, tokens, is_owed, strict=True):
        start, owed, _ = froms[row]
        text = (*start, *ids[:n])[:LENGTH]
        moves[start, owed][text, owes and len(text) < LENGTH] += weight
    return moves


def tokens_per_cycle(case: Laws) -> Iterator[Claim]:
    """Statement 12: with i.i.d. acceptance A a cycle emits (1 - A^(g + 1)) / (1 - A) tokens, the bonus included."""
    p, q, deferred = tensors(case)
    pi = policy.cascade(p[:1], q[:1], deferred[:1])
    measured = min(1.0, float(policy.acceptance(pi, q[:1])))
    if case.p.shape[-1] <= MOST_ENUMERATED:
        asked = one_draft(case.p[:1], case.q[:1], case.deferred[:1], pi.numpy())
        for backend in BACKENDS:
            passing = float(asked.weight[~asked.outcome(backend).rejected].sum())
            yield Claim(f"drafts pass with probability A: {type(backend).__name__}", measured, passing, "==", NOBODYS)
    for acceptance in (case.acceptance, measured):
        for window in (case.window, 5 * case.window):
            rate = Fraction(acceptance)
            stopped = sum((k + 1) * rate**k * (1 - rate) for k in range(window))
            expected = stopped + (window + 1) * rate**window
            found = window_lengths.tokens_per_cycle(acceptance, window)
            yield Claim("tokens a cycle = their expectation", found, float(expected), "==", 1e-12 * float(expected))
            yield Claim("tokens a cycle <= window + 1", found, window + 1.0, tolerance=1e-12 * window)


def plug_in(case: Laws) -> Iterator[Claim]:
    """Statement 13: under the true law P the deferral mass is within TV(P, p) of D."""
    p, _, deferred = tensors(case)
    estimated, true = policy.deferral_mass(p, deferred), policy.deferral_mass(torch.from_numpy(case.truth), deferred)
    error = np.abs(true.numpy() - estimated.numpy())
    by_hand = np.abs(np.where(case.deferred, case.truth - case.p, 0.0).sum(-1))
    yield equal("the error of D is what d moves", error, by_hand)
    yield at_most("|D under P - D| <= TV(P, p)", error, total_variation(case.truth, case.p))
