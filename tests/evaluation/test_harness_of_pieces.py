"""A pair of two vocabularies as a model of lm-evaluation-harness."""

from types import SimpleNamespace

import numpy as np
import pytest
from clashing import Definition, clashing_pair

from proxyalign.decoding import generate
from proxyalign.deferral import rules

RULE = rules.StaticMixture(0.5)  # under which every piece may come

pytest.importorskip("lm_eval", reason="lm-eval is not installed (extra [lm-eval])")


def model_of(pair):
    from proxyalign.evaluation.harness import ProxyAlignLM

    return ProxyAlignLM(pair=pair, rule="static-mixture", weight=0.5, batch_size=2, max_gen_toks=8)


def requests(*arguments):
    return [SimpleNamespace(args=one) for one in arguments]


def log_pi(definition, base_context, proxy_context, pieces):
    total, index = 0.0, definition.pair.vocabulary.pieces.index
    for n, piece in enumerate(pieces):
        p, q = definition.law("base", base_context, pieces[:n]), definition.law("proxy", proxy_context, pieces[:n])
        total += np.log(float(RULE.target(p, q)[index(piece)]))
    return total


@pytest.mark.parametrize("base", ["bytes", "signs"])
def test_likelihoods_are_those_of_the_bases_pieces(base):
    """Fails when a continuation is scored as ids of one model, or the proxy reads the base's context."""
    pair = clashing_pair(base)
    definition, model = Definition(pair, base), model_of(pair)
    cut = {"bytes": [b"ab", b" a"], "signs": [b"a", b"b", b" ", b"a"]}[base]
    found = model.loglikelihood(requests(("ba ", "ab a"), ("ab", "ab a"), ("", "ab a")), disable_tqdm=True)
    spaced = {"bytes": [b" ", b"ab", b" a"], "signs": [b" ", b"a", b"b", b" ", b"a"]}[base]
    opening = {"base": pair.encode(""), "proxy": pair.encode("", "proxy")}
    expected = [
        log_pi(definition, pair.encode("ba"), pair.encode("ba", "proxy"), spaced),
        log_pi(definition, pair.encode("ab"), pair.encode("ab", "proxy"), cut),
        log_pi(definition, opening["base"], opening["proxy"], cut),
    ]
    assert [log_prob for log_prob, _ in found] == pytest.approx(expected)
    (rolled,) = model.loglikelihood_rolling(requests(("ab a",)), disable_tqdm=True)
    assert rolled == pytest.approx(expected[2])


def test_a_long_text_is_rolled_in_windows():
    """Fails when a window is too long for a model, or a piece is scored twice or not at all."""
    pair = clashing_pair("bytes", context=12)  # ten own tokens after the start, of which a piece may take two
    (log_prob,) = model_of(pair).loglikelihood_rolling(requests(("ab" * 12,)), disable_tqdm=True)
    definition, ab = Definition(pair), b"ab"
    expected = log_pi(definition, pair.encode(""), pair.encode("", "proxy"), [ab] * 5)
    for n_before, n in ((1, 5), (4, 2)):
        expected += log_pi(definition, [7] * n_before, [3, 4] * n_before, [ab] * n)
    assert log_prob == pytest.approx(expected)


def test_answers_are_those_of_generate():
    """Fails when prompts reach the models in each other's ids."""
    pair = clashing_pair("signs")
    greedy = {"until": [], "do_sample": False}
    expected = generate(pair, ["ab", "b a"], RULE, temperature=0, max_new_tokens=8).texts
    assert model_of(pair).generate_until(requests(("ab", greedy), ("b a", greedy)), disable_tqdm=True) == expected
