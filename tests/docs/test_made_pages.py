"""Pages that are made: what cannot be made ends the build, and no number that was recorded is typed."""

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = ROOT / "docs" / "pages"


@pytest.fixture
def made(monkeypatch):
    """`made("links")` is that module of docs/made."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    return lambda name: importlib.import_module(f"made.{name}")


def test_a_name_that_nothing_computes_ends_the_build(made):
    """Fails where a page could show `{{ name }}` to a reader, or a fact is computed that no page tells."""
    filled = made("facts").filled
    assert filled("so {{ many }}", {"many": "3"}) == "so 3"
    with pytest.raises(ValueError, match="got 'more'"):
        filled("{{ many }} and {{ more }}", {"many": "3"})
    with pytest.raises(ValueError, match="must be used"):
        filled("none", {"many": "3"})


def test_no_number_of_the_page_about_choosing_is_typed():
    """Fails where a share, a speed or a measured number is written by hand, which no record would correct."""
    text = (PAGES / "choosing.md").read_text()
    prose = re.sub(r"```.*?```|`[^`]*`|\{\{.*?\}\}|\]\([^)]*\)", "", text, flags=re.DOTALL)
    assert re.findall(r"\d+\.\d+|\d+ ?%|\b\d+ (?:times|seconds|points|tokens)\b", prose) == []


def test_a_link_goes_where_its_page_went_or_ends_the_build(made, tmp_path):
    """Fails where a link of the repository is copied as it stands, or one that leads nowhere is let through."""
    moved = made("links").moved
    (tmp_path / "analysis" / "recorded").mkdir(parents=True)
    (tmp_path / "analysis" / "recorded" / "a.json").write_text("{}")
    text = "[a](recorded/a.json) [b](../notebooks/b.md#part) [c](https://c.org/d) [e](#here) ![f](f.png)"
    found, files = moved(
        text, "analysis/x.md", "deep/x.md", {"notebooks/b.md": "tutorials/b.md"}, tmp_path, {"analysis/f.png"}
    )
    assert found == ("[a](../recorded/a.json) [b](../tutorials/b.md#part) [c](https://c.org/d) [e](#here) ![f](f.png)")
    assert files == {"recorded/a.json": tmp_path / "analysis" / "recorded" / "a.json"}
    with pytest.raises(ValueError, match=r"got 'lost\.md'"):
        moved("[g](lost.md)", "analysis/x.md", "x.md", {}, tmp_path)


def test_a_tutorial_shows_what_the_notebook_printed_and_drew(made, tmp_path):
    """Fails where an output is left out, printed text is torn at each flush, or a failed run becomes a tutorial."""
    path = tmp_path / "n.ipynb"
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["one\n"]},
        {"output_type": "stream", "name": "stdout", "text": ["two\n"]},
        {"output_type": "display_data", "data": {"image/png": "aGk=", "text/plain": ["<Figure>"]}},
        {"output_type": "execute_result", "data": {"text/html": ["<b>bold</b>"], "text/plain": ["plain"]}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {"cell_type": "code", "source": "print(1)", "outputs": outputs},
    ]
    path.write_text(json.dumps({"cells": cells}))
    page, pictures = made("tutorials").page_of(path)
    assert made("tutorials").title_of(path) == "Title"
    assert "```python\nprint(1)\n```\n\n```text\none\ntwo\n```" in page
    assert pictures == {"n_1_1.png": b"hi"}
    assert "(n_1_1.png)" in page
    assert "<b>bold</b>" in page
    assert "plain" not in page
    cells[1]["outputs"] = [{"output_type": "error", "ename": "KeyError"}]
    path.write_text(json.dumps({"cells": cells}))
    with pytest.raises(ValueError, match="got KeyError"):
        made("tutorials").page_of(path)


@pytest.mark.parametrize("page", sorted((PAGES / "how-to").glob("*.md")), ids=lambda page: page.stem)
def test_a_how_to_adds_its_thing_in_under_thirty_lines(page):
    """Fails where adding a rule, a task, a pair or a backend takes more code than a page can hold at a glance."""
    (first, *_) = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert sum(bool(line.strip()) for line in first.splitlines()) < 30
