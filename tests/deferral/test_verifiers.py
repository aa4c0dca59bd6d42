"""Lossy verifiers: the law of the emitted token added up over all drafts, its distance from pi, and the optimum."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_laws import laws

import proxyalign as pa
from proxyalign.deferral import policy, verifiers
from proxyalign.errors import InputError

V = 6
BOTH = [verifiers.Cactus, verifiers.Mentored]
deltas = st.sampled_from([0.0, 1e-6, 0.01, 0.2, 1.0, 30.0])


def added_up(verifier, pi, q):
    """The law of the emitted token: each draft passes, or is replaced from what its target has more of than q."""
    law = np.zeros(len(pi))
    for draft in range(len(pi)):
        target = verifier.target(pi, q, torch.tensor(draft)).numpy()
        excess = np.maximum(0.0, target - q.numpy())
        law[draft] += min(float(q[draft]), target[draft])
        rejected = max(0.0, float(q[draft]) - target[draft])
        law += rejected * excess / excess.sum() if rejected > 1e-15 else 0.0
    return law


@pytest.mark.parametrize("make", BOTH, ids=lambda make: make.name)
@settings(max_examples=40)
@given(pi=laws((3, V), "float64"), q=laws((3, V), "float64"), delta=deltas)
def test_the_law_is_what_the_drafts_add_up_to(make, pi, q, delta):
    """Fails when a draft is lost, a replacement has another draft's target, or one is no law."""
    verifier = make(delta)
    drafts = torch.arange(V).expand(3, V)
    targets = verifier.target(*(law.unsqueeze(1).expand(3, V, V) for law in (pi, q)), drafts)  # of each draft
    np.testing.assert_allclose(targets.sum(-1), 1.0, rtol=0, atol=1e-12)
    law = verifier.law(pi, q)
    for row in range(3):
        np.testing.assert_allclose(law[row], added_up(verifier, pi[row], q[row]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", BOTH, ids=lambda make: make.name)
@given(pi=laws((2, V)), q=laws((2, V)), delta=deltas)
def test_each_row_has_a_law_of_its_own_in_either_precision(make, pi, q, delta):
    """Fails when rows meet, a float32 law stays short of its sum, or a zero makes a NaN."""
    law = make(delta).law(pi, q)
    np.testing.assert_allclose(law.sum(-1), 1.0, rtol=0, atol=1e-12)
    assert (law >= 0).all()
    for row in range(2):
        np.testing.assert_allclose(law[row], make(delta).law(pi[row], q[row]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", BOTH, ids=lambda make: make.name)
@given(pi=laws((2, V), "float64"), q=laws((2, V), "float64"))
def test_a_delta_of_nothing_changes_nothing_and_equal_laws_stay(make, pi, q):
    """Fails when the exact law is not the limit."""
    np.testing.assert_allclose(make(0.0).law(pi, q), pi, rtol=0, atol=1e-12)
    np.testing.assert_allclose(make(0.7).law(pi, pi), pi, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", BOTH, ids=lambda make: make.name)
def test_a_certain_law_is_left_alone(make):
    """Fails when greedy decoding, where laws are certain, could write another token."""
    certain = torch.eye(V, dtype=torch.float64)
    for q in (certain.roll(1, 0), torch.full((V, V), 1 / V, dtype=torch.float64)):
        np.testing.assert_allclose(make(3.0).law(certain, q), certain, rtol=0, atol=1e-12)


@given(pi=laws((V,), "float64"), q=laws((V,), "float64"), delta=deltas)
def test_the_distance_is_that_of_the_law(pi, q, delta):
    """Fails when the distance is of the target, doubled, or taken from q."""
    for verifier in (verifiers.Cactus(delta), verifiers.Mentored(delta)):
        law, found = verifier.law(pi, q).numpy(), verifier.distance(pi, q)
        assert float(found.total_variation) == pytest.approx(np.abs(law - pi.numpy()).sum() / 2, abs=1e-12)
        reached = law > 0
        expected = (law[reached] * (np.log(law[reached]) - np.log(pi.numpy()[reached]))).sum()
        assert float(found.kl) == pytest.approx(expected, abs=1e-9)


@given(pi=laws((V,), "float64"), draft=st.integers(0, V - 1), delta=st.floats(0.0, 2.0))
def test_cactus_raises_the_draft_and_scales_the_others(pi, draft, delta):
    """Fails when the others keep their share, so that the target sums to more than 1, or the bonus is another."""
    target = verifiers.Cactus(delta).target(pi, pi, torch.tensor(draft)).numpy()
    share = float(pi[draft])
    raised = min(1.0, share + math.sqrt(2 * delta * share * (1 - share)))
    expected = pi.numpy() * ((1 - raised) / (1 - share) if share < 1 else 0.0)
    expected[draft] = raised
    np.testing.assert_allclose(target, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9])
def test_the_targets_of_cactus_are_delta_away_to_second_order(share):
    """Fails when the bonus lacks the factor 2, or the variance: KL(h || pi) / delta goes to 1."""
    pi = torch.tensor([share, 1.0 - share], dtype=torch.float64)
    for delta, tolerance in ((1e-4, 0.1), (1e-8, 0.001)):
        target = verifiers.Cactus(delta).target(pi, pi, torch.tensor(0))
        divergence = float((target * (target / pi).log()).sum())
        assert divergence / delta == pytest.approx(1.0, abs=tolerance)


@settings(max_examples=100)
@given(pi=laws((V,), "float64"), q=laws((V,), "float64"), delta=st.floats(0.0, 3.0))
def test_mentored_meets_the_conditions_of_the_optimum(pi, q, delta):
    """Fails when the law is none of clip(q, b pi, a pi), or leaves some of delta unused while drafts are rejected.

    The problem is convex, so that these conditions (proved in the module) are sufficient.
    """
    law = verifiers.Mentored(delta).law(pi, q).numpy()
    p, drafts = pi.numpy(), q.numpy()
    divergence = float(verifiers.Mentored(delta).distance(pi, q).kl)
    assert divergence <= delta + 1e-9
    assert not law[p == 0].any()
    reached = p > 1e-12
    ratio = np.divide(law, p, where=reached, out=np.ones(V))
    short, long = reached & (law < drafts - 1e-9), reached & (law > drafts + 1e-9)
    for kind in (short, long):
        assert np.ptp(ratio[kind]) <= 1e-6 * (1 + ratio[kind].max()) if kind.any() else True
    if short.any():
        upper = ratio[short].max()
        assert (ratio[reached] <= upper * (1 + 1e-6)).all()
        assert delta == pytest.approx(divergence, rel=1e-6, abs=1e-7)
    if long.any():
        assert (ratio[reached] >= ratio[long].min() * (1 - 1e-6)).all()


def test_mentored_accepts_as_much_as_the_solver_finds_possible():
    """Fails when another law within delta lets more drafts pass: cvxpy solves the problem as it is stated."""
    cvxpy = pytest.importorskip("cvxpy", reason="the oracle is an extra")
    rng = np.random.default_rng(0)
    for case in range(25):
        p, q = (rng.dirichlet(np.full(V, rng.choice([0.3, 1.0, 5.0]))) for _ in range(2))
        p, q = (np.maximum(law, 1e-4) / np.maximum(law, 1e-4).sum() for law in (p, q))
        delta = float(rng.choice([0.003, 0.05, 0.3]))
        r = cvxpy.Variable(V, nonneg=True)
        within = [cvxpy.sum(r) == 1, cvxpy.sum(cvxpy.kl_div(r, p)) <= delta]
        best = cvxpy.Problem(cvxpy.Maximize(cvxpy.sum(cvxpy.minimum(r, q))), within).solve(solver=cvxpy.CLARABEL)
        law = verifiers.Mentored(delta).law(torch.from_numpy(p), torch.from_numpy(q))
        assert float(policy.acceptance(law, torch.from_numpy(q))) == pytest.approx(best, abs=1e-6), case


@given(pi=laws((V,), "float64"), q=laws((V,), "float64"))
def test_more_delta_lets_more_drafts_pass(pi, q):
    """Fails when the family is walked the wrong way."""
    passing = [
        float(policy.acceptance(verifiers.Mentored(delta).law(pi, q), q)) for delta in (0.0, 0.01, 0.1, 1.0, 9.0)
    ]
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(passing))
    assert passing[0] == pytest.approx(float(policy.acceptance(pi, q)), abs=1e-12)


def test_verifiers_are_public_and_name_themselves():
    """Fails when a message or a table would show a dataclass's repr."""
    assert pa.verifiers is verifiers
    assert str(verifiers.Cactus(0.25)) == "cactus(delta=0.25)"


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "1", None])
@pytest.mark.parametrize("make", BOTH, ids=lambda make: make.name)
def test_a_delta_that_is_no_divergence_is_refused(make, value):
    """Fails when a root of something negative becomes a law of NaN."""
    with pytest.raises(InputError, match="delta must be a finite number of at least 0, got"):
        make(value)
