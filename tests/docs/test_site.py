"""The site: it builds without a warning, links and anchors inside resolve, and the reference leaves nothing out."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent.parent
PUBLIC = ["", ".decoding", ".models", ".deferral.rules", ".knapsack", ".tasks", ".evaluation", ".evaluation.comparison"]
PUBLIC += [".evaluation.tuning"]


class Read(HTMLParser):
    """A page's ids, its links, and what it loads by itself."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note what this tag names or points to."""
        has = dict(attrs)
        self.ids |= {has[name] for name in ("id", "name") if has.get(name)}
        (self.links if tag == "a" else self.loads).extend(has[name] for name in ("href", "src") if has.get(name))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    pytest.importorskip("zensical", reason="the docs are built with the extra [docs]")
    pytest.importorskip("mkdocstrings", reason="the docs are built with the extra [docs]")
    out = tmp_path_factory.mktemp("site")
    build = [sys.executable, ROOT / "docs" / "build.py", out]
    run = subprocess.run(build, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "No issues found" in run.stdout + run.stderr
    return out / "site"


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the site, read, by its place."""
    return {path.relative_to(site).as_posix(): Read(path.read_text()) for path in site.rglob("*.html")}


def test_every_link_and_anchor_inside_resolves(site, pages):
    """Fails for a page, a file or a heading that a link names and that is not there."""
    lost = []
    for place, page in pages.items():
        for link in [*page.links, *page.loads]:
            target = urlsplit(link)
            if target.scheme or target.netloc or place == "404.html":  # which is served from any depth
                continue
            there = (site / place).parent / unquote(target.path) if target.path else site / place
            there = there / "index.html" if there.is_dir() else there
            name = there.resolve().relative_to(site.resolve()).as_posix()
            anchor = unquote(target.fragment)
            if not there.is_file() or (anchor and name in pages and anchor not in pages[name].ids):
                lost.append((place, link))
    assert lost == []
    assert sum(len(page.links) for page in pages.values()) > 100


def test_a_page_loads_nothing_from_elsewhere(pages):
    """Fails where fonts or scripts come from another host, which a reader without a network would miss."""
    assert [load for page in pages.values() for load in page.loads if urlsplit(load).netloc] == []


def test_the_reference_holds_every_public_name(pages):
    """Fails when a name is added to a module's `__all__` and its page does not come to know it, or shows the module in
    which a function of the same name lies."""
    shown = {name for place, page in pages.items() if place.startswith("reference/") for name in page.ids}
    named = [
        (f"proxyalign{module}", name) for module in PUBLIC for name in import_module(f"proxyalign{module}").__all__
    ]
    values = {(module, name): getattr(import_module(module), name) for module, name in named}
    paths = {
        f"{module}.{name}" if f"{module}.{name}" not in sys.modules else f"{value.__module__}.{name}": value
        for (module, name), value in values.items()
        if not isinstance(value, ModuleType)
    }
    known = {id(value) for path, value in paths.items() if path in shown}
    known |= {id(value) for value in values.values() if isinstance(value, ModuleType)}  # each has a page of its own
    missing = [path for path, value in values.items() if id(value) not in known]
    assert missing == []


def test_every_notebook_is_a_tutorial_with_its_pictures(site, pages):
    """Fails where a notebook is left out, or the pictures that it stored are."""
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        outputs = [out for cell in json.loads(notebook.read_text())["cells"] for out in cell.get("outputs", ())]
        n_pictures = sum("image/png" in out.get("data", {}) for out in outputs)
        loads = pages[f"tutorials/{notebook.stem}.html"].loads
        assert sum(notebook.stem in load for load in loads) == n_pictures
