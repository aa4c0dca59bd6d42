"""Every rule of the table against its formula written in NumPy, its limits, and the samplers of transformers."""

import math

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch_laws import laws

from proxyalign import knapsack
from proxyalign.deferral import policy, rules
from proxyalign.deferral.law import Law
from proxyalign.errors import InputError

V = 9


def entropy(law):
    return -sum(x * math.log(x) for x in law if x > 0)


def distance(p, q):
    return np.abs(p - q).sum() / 2


# d_y for one row each, float64, from the published definitions; a is the parameter.
FORMULAS = {
    rules.Chow: lambda p, q, a: np.full(V, p.max() < 1 - a),
    rules.EntropyGate: lambda p, q, a: np.full(V, entropy(p) > a),
    rules.Diff: lambda p, q, a: np.full(V, p.max() < q.max() - a),
    rules.Opt: lambda p, q, a: np.full(V, p.max() < q.max() - a * distance(p, q)),
    rules.ConfidenceBet: lambda p, q, a: p < q.max() - a,
    rules.Gap: lambda p, q, a: p < p.max() - a,
    rules.ProxyDoubt: lambda p, q, a: q < p.max() + a,
    rules.ProxyFavour: lambda p, q, a: q > p.max() + a,
    rules.ProxyVeto: lambda p, q, a: q < q.max() - a,
    rules.ProxyMinP: lambda p, q, a: q < (1 - a) * q.max(),
    rules.MinP: lambda p, q, a: (p < a * p.max()) & (p < p.max()),
    rules.Epsilon: lambda p, q, a: (p < a) & (p < p.max()),
}


@pytest.mark.parametrize("rule", FORMULAS, ids=lambda rule: rule.name)
@given(p=laws((4, V), "float64"), q=laws((4, V), "float64"), alpha=st.floats(0.0, 1.0))
def test_a_rule_defers_what_its_formula_says(rule, p, q, alpha):
    """Fails for a comparison turned round, a maximum of the wrong law, or one over all rows."""
    deferred = rule(alpha).defer(p, q).numpy()
    for row in range(len(p)):
        expected = FORMULAS[rule](p[row].numpy(), q[row].numpy(), alpha)
        borderline = abs(entropy(p[row].tolist()) - alpha) < 1e-9 or rule is rules.Opt
        assert borderline or np.array_equal(deferred[row], expected)


@given(p=laws((3, V), "float64"), q=laws((3, V), "float64"), alpha=st.floats(-3.0, 3.0))
def test_the_optimal_gate_weighs_the_distance(p, q, alpha):
    """Fails when the distance is not halved, or is not taken row by row; near ties decide nothing."""
    deferred = rules.Opt(alpha).defer(p, q)
    for row in range(len(p)):
        lead = float(q[row].max() - p[row].max()) - alpha * distance(p[row].numpy(), q[row].numpy())
        if abs(lead) > 1e-12:
            assert deferred[row].tolist() == [lead > 0] * V


@given(p=laws((4, V)), q=laws((4, V)), alpha=st.floats(0.0, 1.0))
def test_float32_is_compared_as_real_numbers(p, q, alpha):
    """Fails when a threshold computed in float64 is rounded before float32 laws are compared with it."""
    for rule in (rules.ConfidenceBet(alpha), rules.Gap(alpha), rules.ProxyVeto(alpha), rules.MinP(alpha)):
        assert torch.equal(rule.defer(p, q), rule.defer(p.double(), q.double()))


@given(p=laws((3, V), "float64"), q=laws((3, V), "float64"), q0=laws((3, V), "float64"), alpha=st.floats(0.0, 1.0))
def test_the_mixtures_are_what_their_formulas_say(p, q, q0, alpha):
    """Fails when a zero becomes NaN, or the reference divides the wrong law."""
    np.testing.assert_allclose(rules.StaticMixture(alpha).target(p, q), alpha * p + (1 - alpha) * q, atol=1e-15)
    for rule, power in ((rules.ImplicitReward(), 1.0), (rules.ProxyTuning(alpha), alpha)):
        target = rule.target(p, q, q0).numpy()
        for row in range(len(p)):
            base, own, other = p[row].numpy(), q[row].numpy(), q0[row].numpy()
            possible = (base > 0) & (own > 0) & (other > 0)
            if power == 0 or not possible.any():
                assert np.array_equal(target[row], base)
                continue
            logs = np.full(V, -np.inf)
            logs[possible] = np.log(base[possible]) + power * (np.log(own[possible]) - np.log(other[possible]))
            weights = np.exp(logs - logs.max())
            np.testing.assert_allclose(target[row], weights / weights.sum(), rtol=1e-9, atol=1e-12)
    contrastive = rules.Contrastive(alpha).target(p, q, q0)
    np.testing.assert_allclose(contrastive.sum(-1), 1.0, atol=1e-12)
    likely = (p >= alpha * p.amax(-1, keepdim=True)) & (q0 > 0)
    rows = (likely & (p > 0)).any(-1)
    assert not contrastive[rows][~likely[rows]].any()


@pytest.mark.parametrize("criterion", rules.CRITERIA)
@given(p=laws((3, V), "float64"), q=laws((3, V), "float64"))
def test_a_published_cascade_is_its_mirror_with_the_models_exchanged(criterion, p, q):
    """Fails when the small model's part is read from the large one."""
    cascade = rules.SpeculativeCascade(criterion, 0.3)
    assert torch.equal(cascade.target(p, q), cascade.mirrored().target(q, p))


SAMPLERS = [
    (rules.TopK(3), transformers.TopKLogitsWarper(3)),
    (rules.TopK(50), transformers.TopKLogitsWarper(50)),
    (rules.TopP(0.7), transformers.TopPLogitsWarper(0.7)),
    (rules.MinP(0.2), transformers.MinPLogitsWarper(0.2)),
    (rules.Epsilon(0.1), transformers.EpsilonLogitsWarper(0.1)),
    (rules.Eta(0.1), transformers.EtaLogitsWarper(0.1)),
    (rules.Typical(0.6), transformers.TypicalLogitsWarper(0.6)),
    (rules.TopH(0.5), transformers.TopHLogitsWarper(0.5)),
]


@pytest.mark.parametrize(("rule", "sampler"), SAMPLERS, ids=[f"{rule}" for rule, _ in SAMPLERS])
def test_a_truncation_cuts_what_transformers_cuts(rule, sampler):
    """Fails when a tie, the crossing token or the likeliest one is treated otherwise; a wrapped sampler is the same."""
    generator = torch.Generator().manual_seed(1)
    for scale in (0.3, 1.0, 3.0, 10.0):
        logits = scale * torch.randn(200, 40, generator=generator, dtype=torch.float64)
        p = logits.softmax(-1)
        theirs = torch.isneginf(sampler(torch.empty(200, 0, dtype=torch.long), p.log()))
        assert torch.equal(rule.defer(p), theirs)
        assert torch.equal(rules.Processed(sampler).defer(p.view(4, 50, 40)), theirs.view(4, 50, 40))


def test_top_n_sigma_keeps_one_set_at_all_temperatures():
    """Fails when impossible tokens make the deviation infinite, or the set moves with the temperature."""
    logits = 2.0 * torch.randn(50, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    logits[:, 5] = -math.inf
    rule = rules.TopNSigma(1.0)
    kept = ~rule.defer(logits.softmax(-1))
    finite = logits[:, torch.arange(30) != 5]
    expected = logits >= logits.amax(-1, keepdim=True) - finite.std(-1, keepdim=True)
    assert torch.equal(kept, expected)
    assert torch.equal(~rule.defer((logits / 3.0).softmax(-1)), kept)


@pytest.mark.parametrize("make", [rules.TopP, rules.TopH, rules.Typical])
@given(p=laws((4, V), "float64"), share=st.floats(0.0, 1.0))
def test_min_keep_keeps_one_token_of_samplers_that_go_by_order(make, p, share):
    """Fails when all tied tokens are kept where the sampler keeps one of them, or none is."""
    floored, free = make(share, min_keep=1).defer(p), make(share, min_keep=0).defer(p)
    for law, cut, would_cut in zip(p, floored, free, strict=True):
        if would_cut.all():
            assert law[~cut].tolist() == [law.max()]
        else:
            assert torch.equal(cut, would_cut)


@given(p=laws((4, V)), mass=st.sampled_from([0.1, 0.25, 0.5, 0.6, 0.9]))
def test_of_tied_tokens_top_p_keeps_as_many_as_the_sampler(p, mass):
    """Fails when ties are kept together: in half precision the two likeliest tokens are often tied."""
    sums = p.double().sort(-1).values.cumsum(-1)
    if ((sums - (1.0 - mass)).abs() > 1e-6).all():  # else the sampler's float32 sums decide
        theirs = rules.Processed(transformers.TopPLogitsWarper(mass)).defer(p)
        assert torch.equal(rules.TopP(mass).defer(p).sum(-1), theirs.sum(-1))


@pytest.mark.parametrize("make", [rules.TopK, rules.MinP, rules.Epsilon, rules.Eta])
@given(p=laws((4, V), "float64"), share=st.floats(0.0, 1.0))
def test_min_keep_saves_the_likeliest_token(make, p, share):
    """Fails when the samplers' floor is missing, or stays where it was asked to go."""
    parameter = 1 if make is rules.TopK else share
    best = p == p.amax(-1, keepdim=True)
    floored, free = make(parameter, min_keep=1).defer(p), make(parameter, min_keep=0).defer(p)
    assert not (floored & best).any()
    assert torch.equal(floored, free & ~best)


def test_without_the_floor_epsilon_is_the_dual_and_top_p_the_primal():
    """Fails when the deferral set of a truncation is not what statement 5 says of it."""
    p = torch.randn(50, 30, generator=torch.Generator().manual_seed(3), dtype=torch.float64).softmax(-1)
    assert torch.equal(rules.Epsilon(0.2, min_keep=0).defer(p), rules.Dual(0.2).defer(p))
    assert torch.equal(rules.TopP(0.25, min_keep=0).defer(p), rules.Primal(0.75).defer(p))


@given(p=laws((V,), "float64"), q=laws((V,), "float64"), budget=st.floats(0.01, 0.99))
def test_advantage_is_the_primal_of_its_knapsack(p, q, budget):
    """Fails when tokens are ordered by value for density, or one that the proxy dislikes is deferred."""
    problem = knapsack.DeferralProblem.from_probs(p.numpy(), budget, value_model="advantage", q=q.numpy())
    mine = rules.Advantage(budget).defer(p, q).numpy()
    assert p.numpy()[mine].sum() <= budget + 1e-12
    assert not mine[(q <= p).numpy()].any()
    ratios = np.sort((q / p).nan_to_num(nan=0.0).numpy())
    if (np.diff(ratios) > 1e-9).all():  # else rounded densities may order near ties otherwise
        theirs = knapsack.primal(problem).deferred & (problem.values > 0)
        assert abs(problem.values[mine].sum() - problem.values[theirs].sum()) < 1e-9


def test_the_pooled_primal_has_one_budget_for_the_window():
    """Fails when each position has a budget of its own, which is what the rule is there to show."""
    p = torch.randn(2, 5, V, generator=torch.Generator().manual_seed(4), dtype=torch.float64).softmax(-1)
    pooled = rules.PrimalPooled(0.9)
    spent = (p * pooled.defer(p)).sum((-1, -2))
    assert (spent <= 0.9).all()
    assert ((p * rules.Primal(0.9).defer(p)).sum((-1, -2)) > 0.9).all()
    assert torch.equal(pooled.defer(p[:, :1]), rules.Primal(0.9).defer(p[:, :1]))
    assert not pooled.has_bonus
    whole = (p * rules.PrimalPooled(1.0).defer(p)).sum((-1, -2))
    assert (whole <= 1.0).all()
    assert (whole > 0.9).all()


LIMITS = [
    (rules.Chow(1.0), "p"), (rules.EntropyGate(math.log(V) + 1e-9), "p"), (rules.Diff(1.0), "p"), (rules.Opt(1e9), "p"),
    (rules.Diff(-1.0), "q"),
    (rules.Opt(-1e9), "q"), (rules.ConfidenceBet(1.0), "p"), (rules.ConfidenceBet(-1.0), "q"), (rules.Gap(1.0), "p"),
    (rules.ProxyDoubt(-1.0), "p"), (rules.ProxyDoubt(1.0), "q"), (rules.ProxyFavour(1.0), "p"),
    (rules.ProxyVeto(1.0), "p"), (rules.ProxyMinP(1.0), "p"), (rules.TopK(V), "p"), (rules.TopP(1.0), "p"),
    (rules.TopP(0.0, min_keep=0), "q"), (rules.MinP(0.0), "p"), (rules.Epsilon(0.0), "p"), (rules.Eta(0.0), "p"),
    (rules.Typical(1.0), "p"), (rules.TopNSigma(1e9), "p"), (rules.StaticMixture(1.0), "p"),
    (rules.StaticMixture(0.0), "q"), (rules.ProxyTuning(0.0), "p"), (rules.PrimalPooled(0.0), "p"),
    (rules.Advantage(0.0), "p"), (rules.Dual(0.0), "p"), (rules.Nudging(0.0), "p"), (rules.Primal(0.0), "p"),
    (rules.Primal(1.0), "q"),
    (rules.NearOptimal(0.0), "p"), (rules.NearOptimal(1.0), "q"), (rules.Exact(0.0), "p"), (rules.Exact(1.0), "q"),
    (rules.FSD(0.0), "p"), (rules.FSD(math.log(2.0)), "q"), (rules.JuDi(0.0), "p"), (rules.BlendIn(0.0), "p"),
    (rules.WSD(0.0), "p"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "ends_at"), LIMITS, ids=lambda value: str(value))
def test_the_ends_of_a_rule_are_the_models_alone(rule, ends_at):
    """Fails when the table promises an end that the rule does not reach."""
    laws_of = torch.randn(3, 20, V, generator=torch.Generator().manual_seed(5), dtype=torch.float64).softmax(-1)
    p, q, q0 = laws_of
    torch.testing.assert_close(rule.target(p, q, q0), p if ends_at == "p" else q, rtol=0, atol=1e-12)


def test_the_table_and_the_limits_agree():
    """Fails when the table names an end that no test reaches."""
    tested = {(rule.name, end) for rule, end in LIMITS}
    for line in rules.table():
        for end, key in (("p", "always_base"), ("q", "always_proxy")):
            if line[key] not in ("none", "always") and not line["name"].startswith(
                ("cascade-", "truncated-", "hybrid")
            ):
                assert (line["name"], end) in tested, line["name"]


def test_hybrid_follows_the_mass_that_was_spent():
    """Fails when the multiplier moves the wrong way, below zero, or by another row's mass."""
    p = 2.0 * torch.randn(3, 12, V, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    p = p.softmax(-1)
    rule = rules.Hybrid(budget=0.2, step=0.8, first=0.3)
    _, deferred, states = rule.propose(Law(p, p))
    for row in range(3):
        multiplier = 0.3
        for place in range(12):
            assert float(states[row, place]) == pytest.approx(multiplier, abs=1e-14)
            expected = p[row, place].numpy() < np.exp(-multiplier)
            assert np.array_equal(deferred[row, place].numpy(), expected)
            spent = float(policy.deferral_mass(p[row, place], deferred[row, place]))
            multiplier = max(0.0, multiplier + 0.8 * (spent - 0.2))
    again = rule.propose(Law(p[:, 5:], p[:, 5:]), state=states[:, 5])
    assert torch.equal(again.deferred, deferred[:, 5:])


def test_nudging_by_words_writes_whole_words():
    """Fails when the base may interrupt a word, the first token is the base's, or the base may end the text."""

    class Spelled:
        def get_vocab(self):
            return {"Ġa": 0, "b": 1, "Ġc": 2, "<end>": 4}  # and no token 3

        def convert_ids_to_tokens(self, ids):
            return [["Ġa", "b", "Ġc", None, "<end>"][i] for i in ids]

    rule = rules.NudgingWords(0.6).bound(Spelled(), [4])
    sure, unsure = [0.02, 0.02, 0.9, 0.03, 0.03], [0.3, 0.2, 0.2, 0.2, 0.1]
    goes_on = [0.1, 0.6, 0.1, 0.1, 0.1]
    begins = [0.6, 0.1, 0.1, 0.1, 0.1]
    steps = [  # the base's law, the proxy's, and whether the token is the proxy's
        (sure, begins, True),  # the first one, whatever the base says
        (sure, goes_on, True),  # inside the word that it began
        (sure, begins, False),  # the word is whole and the base is sure
        (unsure, begins, True),  # in a run of its own the base must be sure, whether they agree or not
        (unsure, begins, False),  # the word is whole, and both have the same likeliest token
        (unsure, goes_on, True),
        (unsure, goes_on, True),
        (sure, begins, False),
        (sure, goes_on, False),  # no word of the proxy is open
    ]
    p = torch.tensor([[p for p, _, _ in steps]], dtype=torch.float64)
    q = torch.tensor([[q for _, q, _ in steps]], dtype=torch.float64)
    deferred = rule.propose(Law(p, p), Law(q, q)).deferred[0]
    assert deferred[:, 0].tolist() == [by_proxy for _, _, by_proxy in steps]
    assert deferred[:, 4].all()


def test_a_new_line_that_is_a_byte_token_begins_a_word():
    """Fails when the proxy goes on over the end of a line, which many tokenizers have as a byte alone."""
    names = ["▁a", "b", "<0x0A>", "<0x41>"]

    class Spelled:
        def get_vocab(self):
            return {name: i for i, name in enumerate(names)}

        def convert_ids_to_tokens(self, ids):
            return [names[i] for i in ids]

    rule = rules.NudgingWords(0.5).bound(Spelled(), [])
    p = torch.tensor([0.7, 0.1, 0.1, 0.1], dtype=torch.float64).expand(1, 2, 4)
    for likeliest in range(4):
        q = torch.full((1, 2, 4), 0.1, dtype=torch.float64)
        q[..., likeliest] = 0.7
        by_proxy = rule.propose(Law(p, p), Law(q, q)).deferred[0, 1, 0]
        assert bool(by_proxy) == (names[likeliest] in ("b", "<0x41>"))


def test_a_rule_without_what_it_needs_says_so():
    """Fails for a traceback of torch, or a rule that decodes without having looked."""
    p = torch.full((4,), 0.25)
    with pytest.raises(InputError, match="needs the reference's q0"):
        rules.ImplicitReward().target(p, p)
    with pytest.raises(InputError, match="reads the proxy's q"):
        rules.ConfidenceBet(0.3).defer(p)
    with pytest.raises(InputError, match="decides from the words before"):
        rules.NudgingWords(0.3).defer(p, p)
    with pytest.raises(InputError, match="criterion must be one of chow"):
        rules.SpeculativeCascade("best", 0.1)
    with pytest.raises(InputError, match="processor must be a LogitsProcessor"):
        rules.Processed(0.9)
    with pytest.raises(InputError, match=r"alpha must be a number in \[-1, 1\], got 1.5"):
        rules.ConfidenceBet(1.5)
    for k in (0, 2.5, math.inf):
        with pytest.raises(InputError, match=f"k must be a finite whole number of at least 1, got {k}"):
            rules.TopK(k)
    with pytest.raises(InputError, match=r"min_keep must be a whole number in \[0, 1\], got 0.5"):
        rules.MinP(0.1, min_keep=0.5)
    with pytest.raises(InputError, match=r"cascade-chow: alpha must be a number in \[0, 1\], got 2"):
        rules.SpeculativeCascade("chow", 2)
    with pytest.raises(InputError, match=r"shape that it got, \(1, 4\), got None; return the scores"):
        rules.Processed(lambda ids, scores: None).defer(p)
