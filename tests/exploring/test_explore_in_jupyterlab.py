"""`pa.explore` as someone sees it: the lab pair in JupyterLab, in a real browser, by mouse and keyboard."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

PATIENCE = 90_000  # ms, for a kernel that has torch to load on a machine that does something else too
SOURCE = """import proxyalign as pa
pair = pa.load_pair("lab")
question = pa.tasks.get("lab-facts").questions("dev", limit=1)[0]
view = pa.explore(pair, question.prompt, pa.rules.Primal(budget=0.3), max_new_tokens=12, seed=3)
view"""


def notebook():
    """One cell that shows the widget, and nothing run yet."""
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "outputs": [], "execution_count": None, "source": SOURCE}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a folder with the notebook: the address of it there."""
    pytest.importorskip("jupyterlab", reason="needs JupyterLab, of the extra [notebooks]")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "look.ipynb").write_text(notebook())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
            "--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path / 'files'}", "--ServerApp.port_retries=0",
        ],
        env={**os.environ, **own, "JUPYTER_PLATFORM_DIRS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, "JupyterLab did not start"
                time.sleep(0.1)
        yield f"{address}/lab/tree/look.ipynb?reset"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def page(browser):
    """A page of the system's Chromium."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()


def open_and_run(page, lab):
    """Open the notebook and press Shift+Enter in its cell, until the widget's pieces are there.

    Lab loses a key pressed while its kernel connects, and a kernel whose ports were taken meanwhile starts anew without
    what it was sent: neither is ours to mend, so that whoever sees nothing opens the page again, as a user does.
    """
    seen = []
    while len(seen) < 3:
        page.goto(lab)
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()
        page.keyboard.press("Shift+Enter")
        try:
            page.locator(".pa-piece").first.wait_for()
            return
        except playwright.TimeoutError:
            seen.append(page.locator("body").inner_text())
    pytest.fail("no piece was shown; the page read\n" + "\n---\n".join(seen))


@pytest.mark.slow
def test_a_step_is_opened_by_a_click_and_by_keys_and_a_control_writes_the_text_anew(lab, page):
    """Fails when the widget does not come up in JupyterLab, a click or a key is lost (Enter and the arrows are Lab's
    own shortcuts), a control changes nothing, or a refused value is not told."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_and_run(page, lab)
    pieces, step, root = page.locator(".pa-piece"), page.locator(".pa-step"), page.locator(".pa-explore")
    assert pieces.count() > 2
    text = page.locator(".pa-text").inner_text()

    def settled():
        page.locator(".pa-explore[aria-busy='false']").wait_for()

    pieces.nth(1).click()
    settled()
    assert step.locator("h4").inner_text().startswith("Step 2:")
    assert "budget 0.3 (the rule's)" in step.inner_text()
    assert "critical item:" in step.inner_text()
    assert [one.inner_text() for one in step.locator(".pa-method strong").all()] == [
        "primal(budget=0.3)", "primal", "dual", "exact",
    ]  # fmt: skip
    assert step.locator("tr.pa-drawn").count() == 1
    assert {"kept", "deferred"} >= set(step.locator("tbody td[data-set]:nth-child(5)").all_inner_texts())

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(".pa-step h4", has_text="Step 3:").wait_for()
    settled()
    assert page.locator(".pa-piece:focus").get_attribute("data-place") == "2"
    assert page.locator(".pa-piece[aria-selected='true']").get_attribute("data-place") == "2"

    page.get_by_label("rule", exact=True).select_option("never")
    page.locator(".pa-summary", has_text="never()").wait_for()
    settled()
    assert step.locator("h4").count() == 0
    assert page.locator(".pa-piece.pa-proxy").count() == 0
    assert page.locator(".pa-text").inner_text() != text

    page.get_by_label("rule", exact=True).select_option("dual")
    page.get_by_label("alpha, slider").press("End")
    page.locator(".pa-summary", has_text="dual(alpha=1)").wait_for()
    page.get_by_label("alpha", exact=True).fill("7")
    page.get_by_label("alpha", exact=True).press("Enter")
    page.locator(".pa-message", has_text="alpha must be a number in [0, 1], got 7").wait_for()
    settled()
    assert root.count() == 1
    assert errors == []
