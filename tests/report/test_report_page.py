"""The report's file: it stands alone, is the same every time, says what `compare` says, and refuses in one sentence."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from written_runs import record, write_records, write_run

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation import compare
from proxyalign.report import report_html, write_report
from proxyalign.report.page import visible


@pytest.fixture
def runs(tmp_path):
    """A reference with two right of four, and a run with three."""
    return [write_run(tmp_path / rule, right, rule=rule) for rule, right in {"never": "1100", "dual": "1011"}.items()]


class Addresses(HTMLParser):
    """Collects what a page's elements would load or lead to."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href", "action", "data", "srcset")]


def packed(page):
    """What the page's script unpacks."""
    data = re.search(r'<script type="application/octet-stream" id="data">([^<]*)</script>', page)[1]
    return json.loads(gzip.decompress(base64.b64decode(data)))


def test_the_page_needs_nothing_beside_it(runs, tmp_path):
    """Fails when an element names an address, a style imports one, or a figure is left where it lies."""
    figure = tmp_path / "gap.png"
    figure.write_bytes(b"\x89PNG")
    page = report_html(runs, figures=[figure])
    assert Addresses(page).found == [
        "#questions",
        f"data:image/png;base64,{base64.b64encode(figure.read_bytes()).decode()}",
    ]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in page


def test_only_the_script_and_the_style_of_the_package_may_run(runs):
    """Fails when the policy names another script than the page's, so that it is dead or any other one runs."""
    page = report_html(runs)
    for kind, pattern in (("script", r"<script>(.*?)</script>"), ("style", r"<style>(.*?)</style>")):
        found = re.findall(pattern, page, re.DOTALL)
        assert len(found) == 1
        digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in page
    assert "unsafe" not in page.split("</head>")[0]


def test_the_same_runs_give_the_same_bytes(runs, tmp_path):
    """Fails when a clock or an order of hashes gets into the page."""
    first, second = (write_report(runs, tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


def test_the_table_is_that_of_compare(runs):
    """Fails when a number is counted anew, or a cell or a note is left out."""
    page, held = report_html(runs), compare(runs)
    for row in held.cells():
        assert all(f">{cell}</t" in page for cell in row)
    for note in held.notes:
        assert visible(note) in page


def test_the_reference_comes_first(runs):
    """Fails when the first run is not what the others are held against, or a label goes to another run's replies."""
    assert packed(report_html(runs))["runs"] == ["never", "dual"]
    page = packed(report_html(runs, reference="dual"))
    assert page["runs"] == ["dual", "never"]
    assert [one["right"] for one in page["replies"][0]] == [True, False, True, True]
    alone = packed(report_html(runs[:1], reference=runs[1]))
    assert alone["runs"] == ["dual", "never"]


def test_one_run_is_shown_with_its_interval(runs):
    """Fails when a single run asks for a second one."""
    page = report_html(runs[:1])
    assert "[15.0, 85.0]" in page
    assert packed(page)["runs"] == ["never"]


def test_replies_are_packed_with_their_traces(tmp_path):
    """Fails when a trace is lost or written where there is none, or the rate of deferral is not D of a token."""
    trace = {"pieces": ["a"], "source": "b", "p_y": [None], "deferral_mass": [0.5]}
    records = [record("q0", True, trace=trace, n_tokens=2, mass=1.0), record("q1", False, n_tokens=0, mass=0.0)]
    one, other = packed(report_html([write_records(tmp_path / "a", records)]))["replies"][0]
    assert one["trace"] == trace
    assert one["deferred"] == 0.5
    assert "trace" not in other
    assert other["deferred"] == 0.0


def test_questions_are_shown_where_they_are_those_that_were_asked(tmp_path):
    """Fails when another text under the same id is shown, or a missing one is passed over in silence."""
    folder = tmp_path / "data" / "gsm8k"
    folder.mkdir(parents=True)
    lines = [json.dumps({"question": f"How far is {n} from 0?", "answer": f"#### {n}"}) + "\n" for n in range(2)]
    (folder / "test.jsonl").write_text("".join(lines))
    first, second = tasks.get("gsm8k-0shot").questions(data=tmp_path / "data")
    digest = hashlib.sha256(first.prompt.encode()).hexdigest()
    records = [record(first.id, True, prompt_sha256=digest), record(second.id, True)]
    run = write_records(tmp_path / "run", records, task="gsm8k-0shot")
    page = report_html([run], data=tmp_path / "data")
    shown = packed(page)["questions"]
    assert "How far is 0 from 0?" in shown[0]["text"]
    assert shown[0]["answer"] == "0"
    assert shown[1] == {"id": second.id}
    assert "the texts of 1 of 2 questions are not shown: the task" in page


def test_a_report_without_the_questions_says_why(runs, monkeypatch):
    """Fails when missing files stop a report that can do without them."""
    monkeypatch.delenv("PROXYALIGN_DATA", raising=False)
    assert "the texts of 4 of 4 questions are not shown: gsm8k: the folder" in report_html(runs)


def test_texts_become_html_in_which_everything_is_seen():
    """Fails when a tag lives, or a character that turns text round, is not seen or is half a pair is kept."""
    hidden = ("\0", "\x1b", "\x85", "\u200b", "\u202e", "\u2066", "\u2028", "\ufeff", "\ud83d", "\U000e0041")
    for letter in hidden:
        assert visible(f"a{letter}b") == f'a<span class="control">U+{ord(letter):04X}</span>b'
    assert visible('<b a="\'">&') == "&lt;b a=&quot;&#x27;&quot;&gt;&amp;"
    assert visible("é\u200d🙂 \n\tשלום") == "é\u200d🙂 \n\tשלום"


def test_settings_versions_and_commands_are_told(tmp_path):
    """Fails when a run's setting, version or command is left out, or traces are not asked for again."""
    trace = {"pieces": [], "source": "", "p_y": [], "deferral_mass": []}
    told = {"version": "0.9", "commit": "abc", "trace": trace}
    run = write_records(tmp_path / "a", [record("q0", True, **told)], seed=31, parameters={"alpha": 0.4}, rule="dual")
    page = report_html([run])
    for cell in ("31", "0.9", "abc", "dual", "autoregressive"):
        assert f"<td>{cell}</td>" in page
    assert "--rule dual --alpha 0.4 --split test" in page
    assert "--seed 31 --rows" not in page
    assert "--traces --out runs" in page


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"runs": []}, "report: there must be at least one run, got none"),
        ({"figures": ["gap.bmp"]}, "report: a figure must end in .png, .svg, .jpg, .jpeg, got 'gap.bmp'"),
        ({"figures": ["nowhere.png"]}, "report: nowhere.png must be a file to read, got No such file"),
        ({"reference": "best"}, "got 'best'"),
        ({"data": "/nowhere"}, "/nowhere"),
    ],
)
def test_what_cannot_be_reported_is_one_sentence(runs, more, told):
    """Fails when a mistake is a traceback of another kind, or passes."""
    with pytest.raises(InputError, match=re.escape(told)):
        report_html(**({"runs": runs} | more))


def test_a_report_that_cannot_be_written_leaves_none(runs, tmp_path):
    """Fails when a folder in the file's place is a traceback."""
    (tmp_path / "out.html").mkdir()
    with pytest.raises(InputError, match="must be writable"):
        write_report(runs, tmp_path / "out.html")
