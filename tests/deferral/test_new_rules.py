"""The rules of 2025 and 2026 against their formulas written in NumPy: gates by divergence, BlendIn, and WSD's pen."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_laws import laws

from proxyalign.deferral import rules
from proxyalign.deferral.distances import jensen_shannon, kullback_leibler
from proxyalign.deferral.law import Law
from proxyalign.errors import InputError

V = 7
CLEAR = 1e-9  # two numbers as near as this may be ordered either way by rounding


def kl(p, q):
    """KL(p || q) in nats, from its definition."""
    return sum(math.inf if y == 0 else x * (math.log(x) - math.log(y)) for x, y in zip(p, q, strict=True) if x > 0)


def js(p, q):
    """The mean of both laws' KL from their mean."""
    between = (p + q) / 2
    return (kl(p, between) + kl(q, between)) / 2


@given(p=laws((4, V), "float64"), q=laws((4, V), "float64"))
def test_divergences_are_their_definitions(p, q):
    """Fails when the laws are exchanged, a zero becomes NaN, the mean is no mean, or the unit is bits."""
    for mine, formula in ((kullback_leibler, kl), (jensen_shannon, js)):
        expected = [formula(*rows) for rows in zip(p.numpy(), q.numpy(), strict=True)]
        np.testing.assert_allclose(mine(p, q).squeeze(-1).numpy(), expected, rtol=1e-9, atol=1e-12)
        assert torch.equal(mine(p, p), torch.zeros(4, 1, dtype=torch.float64))
    assert (jensen_shannon(p, q) <= math.log(2) + 1e-12).all()


@given(p=laws((4, V)), q=laws((4, V)), alpha=st.floats(0.0, 1.0), confidence=st.floats(0.0, 1.0))
def test_a_gate_hands_over_where_the_laws_are_close(p, q, alpha, confidence):
    """Fails for an inequality turned round, KL from the other side, or a confidence that lets sure steps go."""
    for rule, formula in ((rules.FSD(alpha), js), (rules.JuDi(alpha), kl), (rules.JuDi(alpha, confidence), kl)):
        deferred = rule.defer(p, q)
        for base, proxy, mine in zip(p.double().numpy(), q.double().numpy(), deferred.tolist(), strict=True):
            divergence = formula(base, proxy)
            if abs(divergence - alpha) < CLEAR:
                continue
            most = rule.parameters().get("confidence", 1.0)
            assert mine == [divergence < alpha and (most == 1.0 or base.max() <= most)] * V


def test_a_law_that_rounding_puts_above_one_is_handed_over_all_the_same():
    """Fails when a confidence of 1 spares a step whose float32 law has a top probability of a little more."""
    p = torch.tensor([[1.0 + 2.0**-23, 0.0]])
    assert rules.JuDi(0.1).defer(p, p).all()


@given(p=laws((4, V), "float64"), q=laws((4, V), "float64"), alpha=st.floats(0.0, 1.0))
def test_blendin_weighs_by_who_is_surer(p, q, alpha):
    """Fails when the weight is the base's, agreement is read from the proxy, or sure steps are blended too."""
    target = rules.BlendIn(alpha).target(p, q)
    for base, proxy, mine in zip(p.numpy(), q.numpy(), target.numpy(), strict=True):
        weight = min(1.0, proxy.max() / (base.max() + proxy.max()) + 0.1 * base[proxy.argmax()])
        expected = weight * proxy + (1 - weight) * base if base.max() < alpha else base
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-15)


def test_blendin_compares_as_real_numbers_and_is_greedy_in_its_limit():
    """Fails when float32(0.7) < 0.7, which is true, leaves the step to the base; or parts are tempered apart."""
    p = torch.tensor([[0.7, 0.2, 0.1]])
    q = torch.tensor([[0.0, 0.1, 0.9]])
    assert not torch.equal(rules.BlendIn(0.7).target(p, q), p)
    unsure, sure = torch.tensor([[[0.35, 0.33, 0.32]]]), torch.tensor([[[0.0, 0.45, 0.55]]])
    best = rules.BlendIn(0.4).target(unsure, sure).argmax(-1)
    drawn = rules.BlendIn(0.4).propose(Law(unsure, unsure, 0.0), Law(sure, sure, 0.0)).first
    assert best.tolist() == drawn.argmax(-1).tolist() == [[2]]
    assert drawn.amax() == 1.0


def pens(p, tokens, alpha, window):
    """Whether the proxy writes each place and the one after the last, from the published loop over positions."""
    by_proxy = []
    for place in range(len(tokens) + 1):
        known = [float(p[at, tokens[at]]) for at in range(place)]
        means = [math.prod(known[end - window : end]) ** (1 / window) for end in range(window, place + 1)]
        by_proxy.append(not any(mean >= alpha for mean in means))
    return by_proxy


def text_of(seed, n_places, spread=1.5):
    rng = np.random.default_rng(seed)
    p = torch.from_numpy(rng.normal(size=(3, n_places, V)) * spread).softmax(-1)
    return p, torch.from_numpy(rng.integers(V, size=(3, n_places)))


@pytest.mark.parametrize(("alpha", "window"), [(0.45, 1), (0.3, 2), (0.13, 6)])
def test_the_base_takes_over_for_good_once_the_window_is_sure_enough(alpha, window):
    """Fails when the mean is arithmetic, the pen goes back, a short beginning is enough, or rows meet."""
    n_handed = 0
    for seed in range(30):
        p, tokens = text_of(seed, 14)
        proposal = rules.WSD(alpha, window).propose_along(tokens[:, :13], Law(p, p))
        for row in range(3):
            expected = pens(p[row], tokens[row, :13].tolist(), alpha, window)
            assert proposal.deferred[row].any(-1).tolist() == proposal.deferred[row].all(-1).tolist() == expected
            n_handed += not expected[-1]
    assert 20 < n_handed < 70  # so that both kinds were seen


@pytest.mark.parametrize("window", [1, 3])
def test_a_state_goes_on_from_the_tokens_that_came(window):
    """Fails when a rejected draft leaves its probability in the state, or the token in its place does not count."""
    rule = rules.WSD(0.2, window)
    for seed in range(20):
        p, drafts = text_of(seed, 6)
        came = (drafts + 1) % V
        for n_passed in range(7):
            written = torch.where(torch.arange(6) == n_passed, came, drafts)
            proposal = rule.propose_along(drafts, Law(p, p))
            counts = torch.full((3,), n_passed)
            settled = rule.settled(proposal.states, proposal.deferred, written, counts, Law(p, p))
            again = rule.propose_along(written, Law(p, p))
            upto = min(n_passed + 1, 6)
            assert torch.equal(settled[:, : upto + 1], again.states[:, : upto + 1])


def test_wsd_ends_where_its_parameters_say():
    """Fails when 0 leaves the first tokens to the proxy, or a token that the base rules out counts for ever."""
    p, tokens = text_of(0, 8)
    assert not rules.WSD(0.0).propose_along(tokens, Law(p, p)).deferred.any()
    sure = torch.zeros(1, 8, V, dtype=torch.float64)
    sure[..., 0] = 1.0
    ids = torch.tensor([[0, 1, 0, 0, 0, 0, 0, 0]])  # the second one impossible
    deferred = rules.WSD(1.0, 3).propose_along(ids, Law(sure, sure)).deferred[0].any(-1)
    assert deferred.tolist() == [True] * 5 + [False] * 3
    for arguments, told in (((1.5,), "alpha must be a number"), ((0.5, 0), "window must be a finite whole number")):
        with pytest.raises(InputError, match=told):
            rules.WSD(*arguments)
