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

from proxyalign.decoding import window as windows
from proxyalign.deferral import policy, rules
from proxyalign.verify import speculation
from proxyalign.verify.cases import Floats, Laws
from proxyalign.verify.claims import Claim

ROUNDING = 1e-13  # of sums of float64 probabilities, laws of full vocabularies included
STEPS, TOKENS = 3, 3  # of statement 8's sequences
CONTEXTS = 1 + TOKENS + TOKENS**2
LENGTH = 4  # of statement 11's sequences, over two tokens: a window, an owed draft and tests after it
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
    """Statement 10: a draft, tested, and replaced from the residual where it fails, has the law pi."""
    p, q, deferred = tensors(case)
    by_hand, mass = cascade_by_hand(case)
    pi = policy.cascade(p, q, deferred)
    residual, passes = policy.residual(pi, q), speculation.accept(pi, q)
    accepted = q * passes
    emitted = accepted + (1.0 - accepted.sum(-1, keepdim=True)) * residual
    yield equal("the emitted token has the law pi", emitted.numpy(), by_hand)
    yield equal("the residual is a law", residual.sum(-1).numpy(), np.ones(len(p)))
    yield equal("a draft passes with probability A", accepted.sum(-1).numpy(), policy.acceptance(pi, q).numpy())
    kept = np.maximum(0.0, np.where(case.deferred, 0.0, case.p) - (1.0 - mass)[:, None] * case.q)
    weight = kept.sum(-1, keepdims=True)
    often = weight[:, 0] > 1e-9  # else nothing is rejected but by rounding
    if often.any():
        expected = kept[often] / weight[often]
        yield equal("the residual is that of the kept part", residual.numpy()[often], expected, 1e-6)


def free_bonus(case: Laws) -> Iterator[Claim]:
    """Statement 11: with the bonus after a window accepted whole, every sequence keeps the cascade's probability.

    Rows are the contexts PREFIXES of two tokens. The measure of each state (what is emitted, is a draft owed) is
    passed on cycle by cycle, through every window of drafts, first rejection, residual token and bonus.
    """
    p, q, deferred = tensors(case)
    pi = policy.cascade(p, q, deferred)
    residual, passes = policy.residual(pi, q).tolist(), speculation.accept(pi, q)
    owed_passes = speculation.owed_accept(passes).tolist()
    open_law, owed_mass = (part.tolist() for part in speculation.bonus(p, deferred))
    drafts, tested = case.q.tolist(), passes.tolist()
    at = {prefix: row for row, prefix in enumerate(PREFIXES)}
    states: dict[tuple[tuple[int, ...], bool], float] = defaultdict(float, {((), False): 1.0})
    emitted: dict[tuple[int, ...], float] = defaultdict(float)

    def arrive(prefix: tuple[int, ...], owed: bool, weight: float) -> None:
        if len(prefix) == LENGTH:
            emitted[prefix] += weight
        elif weight:
            states[prefix, owed] += weight

    for start in PREFIXES:
        for owed in (False, True):
            window = {start: states.pop((start, owed), 0.0)}
            for place in range(min(case.window, LENGTH - len(start))):
                longer: dict[tuple[int, ...], float] = {}
                for prefix, weight in window.items():
                    row, rejected = at[prefix], 0.0
                    chances = owed_passes[row] if owed and place == 0 else tested[row]
                    for token in (0, 1):
                        drawn = weight * drafts[row][token]
                        longer[*prefix, token] = drawn * chances[token]
                        rejected += drawn * (1.0 - chances[token])
                    for token in (0, 1):
                        arrive((*prefix, token), False, rejected * residual[row][token])
                window = longer
            for prefix, weight in window.items():
                if len(prefix) == LENGTH:
                    emitted[prefix] += weight
                    continue
                row = at[prefix]
                for token in (0, 1):
                    arrive((*prefix, token), False, weight * open_law[row][token])
                arrive(prefix, True, weight * owed_mass[row])

    steps, _ = cascade_by_hand(case)
    sequences = list(itertools.product(range(2), repeat=LENGTH))
    expected = [math.prod(steps[at[s[:n]], s[n]] for n in range(LENGTH)) for s in sequences]
    found = np.array([emitted[s] for s in sequences])
    yield equal("every sequence has the cascade's probability", found, np.array(expected))


def tokens_per_cycle(case: Laws) -> Iterator[Claim]:
    """Statement 12: with i.i.d. acceptance A a cycle emits (1 - A^(g + 1)) / (1 - A) tokens, the bonus included."""
    p, q, deferred = tensors(case)
    pi = policy.cascade(p[:1], q[:1], deferred[:1])
    measured = min(1.0, float(policy.acceptance(pi, q[:1])))
    passing = float((q[:1] * speculation.accept(pi, q[:1])).sum())
    yield Claim("drafts pass with probability A", measured, passing, "==", ROUNDING)
    for acceptance in (case.acceptance, measured):
        for window in (case.window, 5 * case.window):
            rate = Fraction(acceptance)
            stopped = sum((k + 1) * rate**k * (1 - rate) for k in range(window))
            expected = stopped + (window + 1) * rate**window
            found = windows.tokens_per_cycle(acceptance, window)
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
