"""One suite for all backends: what a window comes to is enumerated over the intervals of its uniform numbers.

Each test is asked on either side of where it turns, and the last number for both tokens that may follow: with owed
drafts, kept and deferred bonuses, windows that end without one, nothing and everything deferred, and laws with zeros.
"""

import itertools

import numpy as np
import pytest
import torch

from proxyalign.decoding.backends.cuda import CudaBackend
from proxyalign.decoding.backends.processor import ProcessorBackend
from proxyalign.decoding.backends.reference import Backend, DraftedWindow
from proxyalign.decoding.readers.contract import Both
from proxyalign.deferral import rules
from proxyalign.deferral.law import Law
from proxyalign.verify.statements import window_outcomes
from proxyalign.verify.statements.window_outcomes import Prescribed, PrescribedBeside, windows

# The base's and the proxy's laws after each context of two tokens: with zeros, equal ones, and ones far apart.
P = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0], [0.0, 1.0], [0.125, 0.875], [0.625, 0.375], [0.75, 0.25]])
Q = np.array([[0.25, 0.75], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.125, 0.875], [1.0, 0.0], [0.0, 1.0]])
ALL = tuple(range(len(P)))
SETS = {
    "nothing": np.zeros_like(P, dtype=bool),
    "everything": np.ones_like(P, dtype=bool),
    "the unlikely": P < 0.3,
    "the likely": P > 0.3,
    "the first": np.arange(2) == np.zeros((len(P), 1)),
}
THRESHOLDS = {"nothing": rules.Never(), "everything": rules.Always(), "the unlikely": rules.Dual(0.3)}


def asked(sets, g, starts=ALL):
    """Every window of g drafts from these contexts, owed and not, at both sides of each test."""
    pi = np.where(sets, 0.0, P) + np.where(sets, P, 0.0).sum(-1, keepdims=True) * Q
    paths = list(itertools.product(starts, (False, True), itertools.product(range(2), repeat=g)))
    contexts = np.array(
        [[(start + 2 * n + sum(drafts[:n])) % len(P) for n in range(g + 1)] for start, _, drafts in paths]
    )
    drafts, owed = np.array([path for *_, path in paths]), np.array([one for _, one, _ in paths])
    return windows(contexts, drafts, owed, P, Q, sets, pi), pi, contexts, drafts, owed


def expected(at, pi, sets, contexts, drafts, owed, g, has_bonus):
    """The measure of each outcome of a window: (tokens that are emitted, whether a draft is owed)."""
    outcomes, left = {}, 1.0
    for n in range(g):
        context, draft = contexts[at, n], drafts[at, n]
        passes = 1.0 if owed[at] and n == 0 else min(1.0, pi[context, draft] / Q[context, draft])
        excess = np.maximum(0.0, pi[context] - Q[context])
        for token in range(2):
            share = excess[token] / excess.sum() if excess.sum() > 0 else 0.0
            outcomes[*drafts[at, :n], token, False] = left * (1.0 - passes) * share
        left *= passes
    last, told = contexts[at, g], tuple(drafts[at])
    if not has_bonus:
        return outcomes | {(*told, False): left}
    outcomes[*told, True] = left * P[last][sets[last]].sum()
    for token in np.flatnonzero(~sets[last]):
        outcomes[*told, int(token), False] = left * P[last, token]
    return outcomes


def check(cycle, given, has_bonus, g, tolerance):
    """That the outcomes of each window have their measure."""
    windows_, pi, contexts, drafts, owed, sets = given
    found = [{} for _ in contexts]
    ends = zip(windows_.row, windows_.weight, cycle.n_new, cycle.tokens, cycle.is_owed, strict=True)
    for row, weight, n, tokens, is_owed in ends:
        outcome = (*tokens[:n].tolist(), bool(is_owed))
        found[row][outcome] = found[row].get(outcome, 0.0) + weight
    for at, measured in enumerate(found):
        if (Q[contexts[at, :-1], drafts[at]] == 0.0).any():
            continue  # a draft that is never made
        wanted = expected(at, pi, sets, contexts, drafts, owed, g, has_bonus)
        for outcome in measured.keys() | wanted.keys():
            assert measured.get(outcome, 0.0) == pytest.approx(wanted.get(outcome, 0.0), abs=tolerance), (at, outcome)


@pytest.mark.parametrize("g", [1, 2, 3])
@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("rule", [Prescribed, PrescribedBeside], ids=["with a bonus", "without"])
@pytest.mark.parametrize("backend", [Backend(), ProcessorBackend(), CudaBackend()], ids=lambda one: type(one).__name__)
def test_each_outcome_of_a_window_has_its_measure(backend, rule, kind, g):
    """Fails when a test, a residual, a bonus or what is owed is another place's, or another number's."""
    sets = SETS[kind]
    windows_, *others = asked(sets, g)
    check(windows_.outcome(backend, rule), (windows_, *others, sets), rule is Prescribed, g, 1e-6)


@pytest.mark.parametrize(("kind", "g"), [("nothing", 1), ("everything", 1), ("the unlikely", 2)])
def test_the_kernels_give_each_outcome_its_measure(kind, g, monkeypatch):
    """Fails where the kernels differ from that; they compute in float32, so that ends are kept further away."""
    pytest.importorskip("triton")
    device = "cuda" if torch.cuda.is_available() else "cpu"  # conftest chooses the interpreter
    for name, value in (("INSIDE", 1e-4), ("AT_END", 4e-5), ("SHORTEST", 4e-4)):
        monkeypatch.setattr(window_outcomes, name, value)
    sets = SETS[kind]
    windows_, *others = asked(sets, g, starts=[1])  # few, since the interpreter takes its time
    n = len(windows_.row)
    u = torch.full((n, 2 * g + 1), 0.5, dtype=torch.float64)
    u[:, 1 : 2 * g : 2], u[:, -1] = torch.from_numpy(windows_.tests), torch.from_numpy(windows_.final)
    q = torch.from_numpy(windows_.q).float().to(device)
    drafted = DraftedWindow(
        {},
        [Law(q, q)],
        None,
        torch.from_numpy(windows_.drafts).to(device),
        Both.of(windows_.owed, torch.device(device)),
        u.to(device),
        Both.zeros(n, torch.int64, torch.device(device)),
    )
    logits = torch.from_numpy(windows_.p).float().log().to(device)
    cycle = CudaBackend().examine_fused(THRESHOLDS[kind], logits, drafted)
    check(cycle, (windows_, *others, sets), True, g, 1e-6)
