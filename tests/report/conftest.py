"""A headless Chromium of the system's, and two runs of made-up replies with traces."""

import random

import pytest
from written_runs import record, write_records

WORDS = ["the", "sum", "of", "two", "even", "numbers", "is", "so", "we", "add", "four", "and", "eight", "makes"]


def traced(reply, seed=0):
    """The trace of a reply whose words are its tokens."""
    draw = random.Random(f"{seed} {reply}")
    pieces = [word if i == 0 else f" {word}" for i, word in enumerate(reply.split(" "))]
    return {
        "pieces": pieces,
        "source": "".join(draw.choice("bpdr") for _ in pieces),
        "p_y": [round(draw.random(), 4) for _ in pieces],
        "deferral_mass": [round(draw.random(), 4) for _ in pieces],
    }


def made_up(name, run, n_words):
    """A record of a made-up reply; every second question has the same one in both runs."""
    draw = random.Random(f"{name} {run if int(name[1:]) % 2 else 0}")
    reply = " ".join(draw.choice(WORDS) for _ in range(n_words))
    return record(name, draw.random() < 0.5, reply=reply, trace=traced(reply), n_tokens=n_words)


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory):
    """`two_runs(n, n_words)`: the folders of two runs on n questions, written once for each size."""
    written = {}

    def write(n, n_words):
        if (n, n_words) not in written:
            out = tmp_path_factory.mktemp("runs")
            written[n, n_words] = [
                write_records(out / rule, [made_up(f"q{i}", rule, n_words) for i in range(n)], rule=rule)
                for rule in ("never", "dual")
            ]
        return written[n, n_words]

    return write


@pytest.fixture
def opened(browser, tmp_path):
    """`opened(runs, **options)`: a page with the report of these runs, once its questions are there.

    Its `told` is whatever the page asked of a network, wrote to its console or said in a dialog.
    """
    from proxyalign.report import write_report

    pages = []

    def open_page(runs, *, settings=None, **options):
        path = write_report(runs, tmp_path / "report.html", **options)
        page = browser.new_page(**(settings or {}))
        pages.append(page)
        page.told = []
        page.on("request", lambda request: page.told.append(request.url) if request.url != path.as_uri() else None)
        page.on("console", lambda message: page.told.append(message.text))
        page.on("pageerror", lambda error: page.told.append(str(error)))
        page.on("dialog", lambda dialog: (page.told.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        page.wait_for_selector("#browser:not([aria-busy])")
        return page

    yield open_page
    for page in pages:
        page.close()
