"""The Python half of `explore`: the answer and its steps as JSON values, held against the decoder and the solvers."""

import json

import numpy as np
import pytest
from clashing import clashing_pair
from tiny_models import llama, tiny_pair

from proxyalign.decoding.generate import generate
from proxyalign.decoding.scoring import score
from proxyalign.deferral import rules
from proxyalign.errors import InputError
from proxyalign.exploring.exploration import Exploration
from proxyalign.exploring.laws import LawsAt
from proxyalign.exploring.step import step_view
from proxyalign.knapsack import DeferralProblem, exact, primal

PROMPT = "t3 t1 t4"
N = 30  # tokens of the vocabulary


@pytest.fixture(scope="module")
def pair():
    """A float64 pair, whose laws are those of the decoder to the last digits, however the text is read."""
    return tiny_pair(llama, N)


def settings(rule, temperature=1.0, seed=0):
    """What the controls say for a rule."""
    return {"rule": rule.name, "parameters": rule.parameters(), "temperature": temperature, "seed": seed}


RULES = [
    rules.Dual(0.1), rules.Primal(0.4), rules.Always(), rules.Never(), rules.Nudging(0.2), rules.Gap(0.3),
    rules.ConfidenceBet(0.0), rules.Hybrid(0.3), rules.WSD(0.05, window=2), rules.NudgingWords(0.2),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_step_shows_the_set_that_the_decoder_deferred(pair, rule):
    """Fails when a step is read at another place than the token's, or a rule with a state starts in the middle."""
    exploration = Exploration(pair, PROMPT, max_new_tokens=8)
    answer = exploration.write(settings(rule))
    assert len(answer["tokens"]) == 8
    for position, token in enumerate(answer["tokens"]):
        step = exploration.step(position)
        assert step["mass"] == pytest.approx(token["mass"], abs=1e-9)
        drawn = next(row for row in step["rows"] if row["is_drawn"])
        if token["p"] is not None:  # where the base ran
            assert drawn["p"] == pytest.approx(token["p"], abs=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize(
    "rule", [rules.Dual(0.1), rules.Gap(0.3), rules.StaticMixture(0.5), rules.Hybrid(0.3)], ids=str
)
def test_pi_is_the_law_that_the_text_was_drawn_from(pair, rule, temperature):
    """Fails when pi is made of laws at another temperature than the scorer's, or of another set."""
    from proxyalign.decoding.shaping import Shaping

    exploration = Exploration(pair, PROMPT, max_new_tokens=5)
    exploration.write(settings(rule, temperature))
    ids = exploration.trace.token_ids.tolist()
    shaping = Shaping(temperature, 1.0, bias=None, ends=(), min_new_tokens=0, truncations={})
    found = score(pair, rule, [pair.encode(PROMPT)], [ids], shaping=shaping)[0]
    for position in range(5):
        drawn = next(row for row in exploration.step(position)["rows"] if row["is_drawn"])
        assert drawn["pi"] == pytest.approx(np.exp(found.log_probs[position]), rel=1e-7)


def test_the_answer_is_the_one_that_generate_gives(pair):
    """Fails when a setting is dropped on the way."""
    exploration = Exploration(pair, PROMPT, max_new_tokens=10)
    for rule, temperature, seed in ((rules.Dual(0.1), 1.0, 0), (rules.Primal(0.3), 0.5, 7), (rules.Dual(0.1), 0.0, 1)):
        exploration.write(settings(rule, temperature, seed))
        expected = generate(pair, [PROMPT], rule, max_new_tokens=10, temperature=temperature, seed=seed)
        assert exploration.trace.token_ids.tolist() == expected.token_ids[0]


def test_what_the_proxy_reads_may_be_another_prompt(pair):
    """Fails when a step shows the proxy's law after the base's prompt."""
    exploration = Exploration(pair, PROMPT, proxy_prompt="t9", max_new_tokens=4)
    exploration.write(settings(rules.Always()))
    ids = exploration.trace.token_ids.tolist()
    assert ids == generate(pair, [PROMPT], rules.Always(), proxy_prompts=["t9"], max_new_tokens=4).token_ids[0]
    own = score(pair, rules.Always(), [pair.encode("t9")], [ids])[0]
    assert exploration.step(3)["rows"][0]["q"] > 0
    drawn = next(row for row in exploration.step(3)["rows"] if row["is_drawn"])
    assert drawn["q"] == pytest.approx(np.exp(own.log_probs[3]), rel=1e-7)


def test_over_two_vocabularies_a_step_is_a_piece_and_its_law_is_over_pieces():
    """Fails when ids of one model are read by the other, or rules that compare tokens are offered."""
    pair = clashing_pair("bytes")
    exploration = Exploration(pair, "ab a", max_new_tokens=6)
    names = {one["name"] for one in exploration.controls()["rules"]}
    assert "dual" in names
    assert "confidence-bet" not in names
    answer = exploration.write(settings(rules.Dual(0.2)))
    for position, token in enumerate(answer["tokens"]):
        step = exploration.step(position)
        assert step["n_tokens"] == pair.vocab_size
        assert step["mass"] == pytest.approx(token["mass"], abs=1e-9)
        drawn = next(row for row in step["rows"] if row["is_drawn"])
        assert drawn["p"] == pytest.approx(token["p"], abs=1e-9)


P = np.array([0.30, 0.25, 0.20, 0.15, 0.10])  # at a budget of 0.5 the prefix stops at 0.45, and 0.3 + 0.2 fills it
LAWS = LawsAt(p=P, q=np.full(5, 0.2), pi=P, deferred=P < 0.22)


def test_methods_are_the_solvers_own_at_the_rules_budget():
    """Fails when a method's set, value or mass is another than the solver's, or the budget is not the rule's."""
    step = step_view(rules.Primal(0.5), LAWS, 0, str)
    problem = DeferralProblem.from_probs(P, 0.5)
    by_name = {method["name"]: method for method in step["methods"]}
    assert list(by_name) == ["primal(budget=0.5)", "primal", "dual", "exact"]
    for name, solution in (("primal", primal(problem)), ("exact", exact(problem))):
        deferred = {row["id"] for row in step["rows"] if name in row["deferred_by"]}
        assert deferred == set(np.flatnonzero(solution.deferred))
        assert (by_name[name]["value"], by_name[name]["mass"]) == (solution.value, solution.mass)
    assert by_name["exact"]["value"] > by_name["primal"]["value"]
    assert (step["budget"], step["has_budget"], step["critical"]["id"], step["alpha"]) == (0.5, True, 1, 0.25)
    assert [row["id"] for row in step["rows"] if row["is_critical"]] == [1]
    assert [row["id"] for row in step["rows"]] == [0, 1, 2, 3, 4]


def test_without_a_budget_methods_get_the_mass_that_the_rule_spent():
    """Fails when the primal is given less than the dual's own mass, by a rounding, and so another set (statement 6)."""
    step = step_view(rules.Dual(0.22), LAWS, 0, str)
    assert not step["has_budget"]
    assert step["budget"] >= step["mass"]
    assert step["budget"] == pytest.approx(0.45)
    sets = [tuple(name in row["deferred_by"] for name in ("primal", "dual")) for row in step["rows"]]
    assert sets == [(row["is_deferred"],) * 2 for row in step["rows"]]
    assert step["alpha"] == 0.22


def test_a_box_lies_where_its_tokens_do():
    """Fails when boxes are out of the order by mass, or a token that is skipped leaves no gap."""
    exact_set = next(one for one in step_view(rules.Exact(0.5), LAWS, 0, str)["methods"] if one["name"] == "exact")
    deferred = exact(DeferralProblem.from_probs(P, 0.5)).deferred
    spans = [tuple(round(edge, 9) for edge in (left, left + width)) for left, width in exact_set["boxes"]]
    covered = {i for i, left in ((4, 0.0), (3, 0.1), (2, 0.25), (1, 0.45), (0, 0.7)) if any(
        a <= left < b for a, b in spans
    )}  # fmt: skip
    assert covered == set(np.flatnonzero(deferred))
    assert sum(width for _, width in exact_set["boxes"]) == pytest.approx(exact_set["mass"])


def test_what_no_row_shows_is_counted():
    """Fails when tokens are lost between the rows and the rest."""
    p = np.sort(np.random.default_rng(3).dirichlet(np.full(400, 0.3)))
    laws = LawsAt(p=p, q=p[::-1].copy(), pi=p, deferred=p < 0.01)
    step = step_view(rules.Dual(0.01), laws, 399, str)
    assert len(step["rows"]) + step["rest"]["n_kept"] + step["rest"]["n_deferred"] == 400
    mass = sum(row["p"] for row in step["rows"]) + step["rest"]["mass_kept"] + step["rest"]["mass_deferred"]
    assert mass == pytest.approx(1)
    assert {row["id"] for row in step["rows"]} >= {397, 398, 399, 0}  # the base's likeliest, and the proxy's


def test_a_mixture_shows_its_law_and_no_knapsack(pair):
    """Fails when a rule that hands no token over is shown as one that defers."""
    exploration = Exploration(pair, PROMPT, max_new_tokens=2)
    exploration.write(settings(rules.StaticMixture(0.5)))
    step = exploration.step(1)
    assert (step["budget"], step["critical"], step["methods"]) == (None, None, [])
    assert all(row["is_deferred"] is None for row in step["rows"])


def test_controls_offer_what_the_pair_can_take_and_begin_with_values_that_work(pair):
    """Fails when a rule that wants a reference is offered without one, or a first value is out of its domain."""
    exploration = Exploration(pair, PROMPT, max_new_tokens=2)
    controls = exploration.controls()
    names = {one["name"] for one in controls["rules"]}
    assert names == {line["name"] for line in rules.table() if "q0" not in line["needs"].split()}
    for one in controls["rules"]:
        rules.make(one["name"], **{parameter["name"]: parameter["first"] for parameter in one["parameters"]})
    by_name = {one["name"]: one["parameters"] for one in controls["rules"]}
    assert by_name["dual"] == [{"name": "alpha", "low": 0.0, "high": 1.0, "is_whole": False, "first": 0.4}]
    assert by_name["entropy-gate"][0]["high"] is None
    assert json.loads(json.dumps(controls, allow_nan=False)) == json.loads(json.dumps(controls))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"parameters": {"alpha": 7}}, r"alpha must be a number in \[0, 1\], got 7"),
        ({"temperature": -1}, "explore: temperature must be"),
        ({"seed": -1}, "explore: seed must be"),
        ({"seed": 0.5}, "explore: seed must be"),
        ({"rule": "primal"}, "primal takes budget, got alpha"),
    ],
)
def test_a_setting_that_is_refused_leaves_the_answer(pair, change, match):
    """Fails when a mistake is passed over, or takes the text away with it."""
    exploration = Exploration(pair, PROMPT, max_new_tokens=3)
    exploration.write(settings(rules.Dual(0.1)))
    before = exploration.generation
    with pytest.raises(InputError, match=match):
        exploration.write({**settings(rules.Dual(0.1)), **change})
    assert exploration.generation is before
    assert str(exploration.rule) == "dual(alpha=0.1)"


def test_a_position_outside_the_text_is_refused(pair):
    """Fails when a step is made up for a token that there is not."""
    exploration = Exploration(pair, PROMPT, max_new_tokens=3)
    with pytest.raises(InputError, match="there must be an answer"):
        exploration.step(0)
    exploration.write(settings(rules.Dual(0.1)))
    with pytest.raises(InputError, match="position must be below 3"):
        exploration.step(3)
    with pytest.raises(InputError, match="position must be a whole number of at least 0"):
        exploration.step(-1)
