"""The script of the widget in Chromium, beside a model of its state that no kernel made."""

import json

import pytest

from proxyalign.decoding.trace import COLOURS
from proxyalign.displays import visible

pytest.importorskip("anywidget", reason="needs anywidget, of the extra [notebooks]")

HIDDEN = ("a\u202eb", "\0", "\x85", "\xad", "\u061c", "\u2028", "\ud83d", "\U000e0041", "\U0001f469\u200d\U0001f680")
HEBREW = "\u05e9\u05dc\u05d5\u05dd"


def state(texts):
    """What the widget would hold of an answer of these tokens, whose first one is looked at."""
    row = {"p": 0.5, "q": 0.5, "pi": 0.5, "is_drawn": False, "is_critical": False, "is_deferred": None}
    rest = {"n_kept": 0, "mass_kept": 0, "n_deferred": 0, "mass_deferred": 0}
    return {
        "controls": {"rules": [{"name": "never", "formula": "0", "parameters": []}], "sources": COLOURS, "hottest": 2},
        "settings": {"rule": "never", "parameters": {}, "temperature": 1, "seed": 0},
        "position": 0,
        "answer": {
            "rule": "never()", "message": "", "deferral_rate": 0,
            "tokens": [{"text": text, "source": "base", "p": 0.5, "mass": 0} for text in texts],
        },
        "step": {
            "position": 0, "text": texts[0], "source": "base", "budget": None, "methods": [], "rest": rest,
            "rows": [{**row, "id": i, "text": text, "deferred_by": []} for i, text in enumerate(texts)],
        },
    }  # fmt: skip


@pytest.fixture
def drawn(browser):
    """`drawn(texts)`: a page on which view.js has drawn these tokens."""
    from proxyalign.exploring.widget import HERE

    page = browser.new_page()

    def draw(texts):
        page.set_content(f"<!DOCTYPE html><style>{(HERE / 'view.css').read_text()}</style><div id='root'></div>")
        page.add_script_tag(content=(HERE / "view.js").read_text().replace("export default", "window.view ="))
        page.evaluate(
            "(state) => view.render({el: root, model: {get: (name) => JSON.parse(state)[name], on() {}, off() {}}})",
            json.dumps(state(texts)),
        )
        return page

    yield draw
    page.close()


def test_what_is_not_seen_is_told_as_the_trace_tells_it(drawn):
    """Fails when a sign that a reader cannot see, or that turns the others round, is drawn as it stands."""
    page = drawn(HIDDEN)
    assert page.locator(".pa-piece").all_text_contents() == [visible(text) for text in HIDDEN]


def test_a_token_from_right_to_left_does_not_take_its_number_along(drawn):
    """Fails when the number of a token, or its mark, lands before its text."""
    head = drawn([HEBREW]).locator("tbody th")
    text, mark = (head.locator(part).bounding_box() for part in ("bdi", "small"))
    assert mark["x"] >= text["x"] + text["width"] - 1
