"""The widget without a browser: what a change of its state does, and what is left of it in a static notebook."""

import json
import sys

import pytest
from tiny_models import llama, tiny_pair

import proxyalign as pa
from proxyalign.errors import InputError

pytest.importorskip("anywidget", reason="needs anywidget, of the extra [notebooks]")


@pytest.fixture(scope="module")
def pair():
    """A pair of thirty words."""
    return tiny_pair(llama, 30)


@pytest.fixture
def view(pair):
    """The widget on a short answer."""
    return pa.explore(pair, "t3 t1", pa.rules.Primal(0.4), max_new_tokens=6, seed=2)


def test_the_widget_begins_with_the_answer_of_generate(pair, view):
    """Fails when rule, seed or length are dropped, or the view has something that JSON has not."""
    expected = pa.generate(pair, ["t3 t1"], pa.rules.Primal(0.4), max_new_tokens=6, seed=2)
    assert view.generation.token_ids == expected.token_ids
    assert view.settings == {"rule": "primal", "parameters": {"budget": 0.4}, "temperature": 1.0, "seed": 2}
    assert len(view.answer["tokens"]) == 6
    assert view.step == {}
    json.dumps([view.controls, view.settings, view.answer], allow_nan=False)
    assert repr(view) == f"Explorer(primal(budget=0.4): {expected.texts[0]!r})"


def test_a_position_opens_its_step_and_a_setting_closes_it(view):
    """Fails when the step of a text stays open beside another text."""
    view.position = 3
    assert view.step["position"] == 3
    view.settings = {**view.settings, "seed": 5}
    assert (view.position, view.step) == (-1, {})
    view.position = 0
    view.position = -1
    assert view.step == {}


def test_a_refusal_is_told_and_every_change_is_answered(view):
    """Fails when a refused value raises where nobody sees it, or a second refusal looks like no answer at all."""
    tokens = view.answer["tokens"]
    for n_changes in (1, 2):
        view.settings = {**view.settings, "parameters": {"budget": 1 + n_changes}}
        assert "budget must be a number in [0, 1]" in view.answer["message"]
        assert (view.answer["n_changes"], view.answer["tokens"]) == (n_changes, tokens)
    view.settings = {**view.settings, "parameters": {"budget": 0.2}}
    assert (view.answer["message"], view.answer["rule"]) == ("", "primal(budget=0.2)")


def test_where_no_kernel_runs_the_trace_is_left(view):
    """Fails when a static rendering has nothing but the name of a widget."""
    data, _ = view._repr_mimebundle_()
    assert data["text/html"] == view.generation.traces[0]._repr_html_()
    assert "application/vnd.jupyter.widget-view+json" in data


def test_a_rule_that_the_pair_cannot_take_is_refused(pair):
    """Fails when the widget begins with a rule that its own list has not."""
    with pytest.raises(InputError, match="explore: rule must be one that the pair can take"):
        pa.explore(pair, "t3", pa.rules.ImplicitReward(), max_new_tokens=2)
    with pytest.raises(InputError, match="explore: rule must be one that the pair can take"):
        pa.explore(pair, "t3", "dual", max_new_tokens=2)
    with pytest.raises(InputError, match="explore: pair must be a ModelPair"):
        pa.explore("lab", "t3")


def test_without_anywidget_one_sentence_says_what_to_install(pair, monkeypatch):
    """Fails when someone without the extra sees a traceback of imports."""
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "proxyalign.exploring.widget", raising=False)
    with pytest.raises(InputError, match=r"anywidget must be installed, got none; run pip install"):
        pa.explore(pair, "t3", max_new_tokens=2)
