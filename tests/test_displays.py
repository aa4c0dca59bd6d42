"""What the objects look like: a card in a notebook, and a line in a terminal."""

import html
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from clashing import clashing_pair
from tiny_models import llama, tiny_pair

import proxyalign as pa
from proxyalign.decoding.trace import Trace
from proxyalign.displays import as_card, as_line, as_text
from proxyalign.evaluation.comparison.results import Result, Results
from proxyalign.knapsack import Certificate, DeferralProblem, certificate, certify, dual, exact, primal

PROBLEM = DeferralProblem.from_probs(np.random.default_rng(0).dirichlet(np.ones(2000)), 0.3)


def cells(card):
    """The facts of a card by name, unescaped."""
    found = re.findall(r"<th [^>]*>(.*?)</th><td [^>]*>(.*?)</td>", card)
    return {html.unescape(name): html.unescape(fact) for name, fact in found}


def test_what_is_shown_is_escaped():
    """Fails when a name or a fact could close the markup; what comes below is markup already."""
    card = as_card("<b>", {"<i>": "<script>&"}, "<p>below</p>")
    assert "<b>" not in card
    assert "<script>" not in card
    assert cells(card) == {"<i>": "<script>&"}
    assert card.endswith("<p>below</p></div>")


def test_a_table_in_plain_text_has_straight_columns():
    """Fails when a column does not begin where its name does."""
    assert as_text([("a", "b"), ("long", "1")]) == "a     b\nlong  1"
    assert as_line("Thing", {"size": "2", "kind": "odd"}) == "<Thing: size 2; kind odd>"


@pytest.mark.parametrize("name", pa.rules.REGISTRY)
def test_every_rule_shows_its_formula(name):
    """Fails when a rule's display breaks, or shows another formula than the table of rules."""
    line = next(one for one in pa.rules.table() if one["name"] == name)
    highest = {key: high if high < math.inf else 1 for key, (_, high) in line["parameters"].items()}
    rule = pa.rules.make(name, **highest)
    card = rule._repr_html_()
    facts = cells(card)
    assert (facts["formula"], facts["source"]) == (line["formula"], line["source"])
    assert (facts["the base alone"], facts["the proxy alone"]) == (line["always_base"], line["always_proxy"])
    assert html.escape(str(rule)) in card


def test_a_rule_without_a_line_in_the_table_is_shown_too():
    """Fails when someone's own rule cannot be looked at."""

    class Own(pa.rules.Rule):
        name = "own"

        def parameters(self):
            return {}

    assert cells(Own()._repr_html_()) == {"reads": "p"}


@pytest.mark.parametrize("solve", [primal, exact, lambda problem: dual(problem, alpha=0.001)])
def test_a_solution_is_told_in_numbers_and_not_by_its_set(solve):
    """Fails when two thousand flags are printed, or a number is another than the solution's."""
    solution = solve(PROBLEM)
    facts = cells(solution._repr_html_())
    assert facts["deferred"] == f"{solution.n_deferred} of 2000"
    assert (float(facts["value"]), float(facts["mass"])) == pytest.approx((solution.value, solution.mass), rel=1e-5)
    assert facts["at most"].endswith(", proved optimal") == solution.is_optimal
    assert repr(solution).startswith(f"<Solution by {solution.method}: deferred {solution.n_deferred} of 2000; value ")
    assert len(repr(solution)) < 200


def test_a_certificate_is_told_without_its_rationals():
    """Fails when hundreds of digits are printed, or a multiplier beyond float64 cannot be shown."""
    proof = certify(PROBLEM, exact(PROBLEM))
    facts = cells(proof._repr_html_())
    assert facts["core"].startswith(f"{2000 - int(proof.fixed.sum())} items")
    assert float(facts["multiplier"]) == pytest.approx(float(proof.multiplier), rel=1e-5)
    assert len(repr(proof)) < 300
    weak = certificate(PROBLEM)
    bound = cells(weak._repr_html_())["no set is worth more than"]
    assert float(bound) == pytest.approx(weak.upper_bound, rel=1e-5)
    assert len(repr(weak)) < 120
    assert "inf" in repr(Certificate(Fraction(2) ** 2000, Fraction(2) ** 2000))


def test_a_pair_tells_its_models_and_what_they_share():
    """Fails when weights are printed, or pieces are called tokens."""
    pair = tiny_pair(llama, 30)
    n_parameters = sum(one.numel() for one in pair.base.parameters())
    facts = cells(pair._repr_html_())
    assert facts["base"] == f"llama, {n_parameters / 1000:.4g}k parameters in float64 on cpu"
    assert (facts["vocabulary"], facts["context"]) == ("30 tokens", "64 tokens")
    assert repr(pair).startswith("<ModelPair: base llama, ")
    assert "reference" not in facts
    two = clashing_pair("bytes")
    assert cells(two._repr_html_())["vocabulary"] == f"{two.vocab_size} pieces of two vocabularies"


@pytest.mark.parametrize("mode", ["autoregressive", "speculative"])
def test_a_generation_tells_its_run_and_shows_its_first_answers(mode):
    """Fails when a hundred answers fill a notebook, or the counts are another run's."""
    out = pa.generate(
        tiny_pair(llama, 30), ["t1"] * 7, pa.rules.Dual(0.1), mode=mode, window=2, max_new_tokens=4, temperature=0.5
    )
    card = out._repr_html_()
    assert card.count("line-height") == 5
    assert "and 2 more answers" in card
    facts = cells(card)
    assert facts["answers"] == "7"
    assert facts["tokens"].startswith("28 in ")
    assert ("drafts accepted" in facts) == (mode == "speculative")
    assert repr(out).startswith("<Generation: answers 7; tokens 28 in ")
    counts = dict(re.findall(r"(base|proxy|draft|residual) (\d+)", repr(out.traces[0])))
    assert {name: int(n) for name, n in counts.items()} == {
        name: list(out.traces[0].source).count(name) for name in set(out.traces[0].source)
    }
    assert repr(out.traces[0]).startswith("<Trace: tokens 4; ")


def test_a_trace_tells_what_would_not_be_seen():
    """Fails when a token of a trace turns the others round, or one that is not seen is passed over."""

    class Tokenizer:
        def decode(self, ids):
            return "".join(("a\u202e", "\0", "\ud83d", "\U0001f469\u200d\U0001f680", "\u2028<")[i] for i in ids)

    n = 5
    trace = Trace(np.arange(n), np.array(["base"] * n), np.ones(n), np.zeros(n), tokenizer=Tokenizer())
    spans = re.findall(r"<span [^>]*>(.*?)</span>", trace._repr_html_())[-n:]
    assert spans == ["a⟨202E⟩", "⟨0000⟩", "⟨D83D⟩", "\U0001f469\u200d\U0001f680", "⟨2028⟩&lt;"]


def test_a_table_of_accuracies_is_a_table_in_a_terminal_too():
    """Fails when a comparison prints its fields, or drops its notes."""
    row = Result("ours", "lab", "lab-facts", "dual", "accuracy", 0.5, (0.4, 0.6), 100)
    shown = repr(Results((row,), ("a note",))).split("\n")
    assert shown[0].split()[:2] == ["source", "pair"]
    assert "50.0 %" in shown[1]
    assert shown[-1] == "a note"
