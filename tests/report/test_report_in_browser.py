"""The report in Chromium: only what is seen is built, filters and keys work, and no reply does anything but be read."""

import hashlib
import json

import pytest
from written_runs import record, write_records

from proxyalign import tasks

HOSTILE = [
    "<script>document.body.dataset.hacked = 1</script>",
    "</script><script>document.body.dataset.hacked = 1</script>",
    "</ScRiPt ><script>document.body.dataset.hacked = 1</script>",
    "<!--<script>document.body.dataset.hacked = 1",
    "--><script>document.body.dataset.hacked = 1</script>",
    "<img src=x onerror='document.body.dataset.hacked = 1'>",
    "<svg onload=\"document.body.dataset.hacked = 1\"></svg>",
    "<iframe srcdoc='<script>parent.document.body.dataset.hacked = 1</script>'></iframe>",
    "<iframe src='javascript:parent.document.body.dataset.hacked = 1'></iframe>",
    "<a href='javascript:document.body.dataset.hacked = 1'>x</a>",
    "\"><b onmouseover=\"document.body.dataset.hacked = 1\" autofocus onfocus='document.body.dataset.hacked = 1'>",
    "' onclick='document.body.dataset.hacked = 1' x='",
    "<style>* { display: none !important }</style>",
    "</style></textarea></title></noscript><h1>gone</h1>",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<base href=http://127.0.0.1:9/>",
    "<form action=http://127.0.0.1:9/><input name=left><button>go</button></form>",
    "<object data=http://127.0.0.1:9/></object><embed src=http://127.0.0.1:9/>",
    "<details open ontoggle='document.body.dataset.hacked = 1'>x</details>",
    "<div id=detail></div><div id=data></div>",
    "&lt;script&gt; &#60;img src=x onerror=alert(1)&#62; &amp;",
    "${document.body.dataset.hacked = 1} $data $$script {{constructor.constructor('alert(1)')()}}",
    "]]><![CDATA[<script>alert(1)</script>]]>",
    "\u202egnp.exe \u202d\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "before\0after \x00<script>document.body.dataset.hacked = 1</script>",
    "\x1b[31mred\x07\x08\x7f\x85\u2028\u2029\ufeff\u200b\U000e0041",
    "\ud83d alone, \ude00 alone, and \U0001f600 whole",
    "Z\u0351\u036b\u0343" + "\u0341\u0300\u0316" * 200 + " " + "W" * 5000,
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 {\"__proto__\": {\"right\": true}} __proto__ constructor",
]  # fmt: skip
# What turns a text round or is not seen, as far as the replies above have it.
UNSEEN = (
    "\u202e\u202d\u2066\u2067\u2068\u2069\u200e\u200f\u061c\0\x1b\x07\x08\x7f\x85\u2028\u2029\ufeff\u200b\U000e0041"
)


def hostile_runs(tmp_path):
    """Two runs of hostile replies to hostile questions, under hostile names, and the questions' folder."""
    (tmp_path / "data" / "gsm8k").mkdir(parents=True)
    asked = [text.encode("utf-8", "replace").decode() for text in HOSTILE]
    lines = (json.dumps({"question": text, "answer": "#### 1"}) + "\n" for text in asked)
    (tmp_path / "data" / "gsm8k" / "test.jsonl").write_text("".join(lines))
    questions = tasks.get("gsm8k-0shot").questions(data=tmp_path / "data")
    runs = []
    for name in ("<script>document.body.dataset.hacked = 1</script>\u202e", "</title></script>\"'\0"):
        replies = []
        for question, hostile in zip(questions, HOSTILE, strict=True):
            text = hostile + "</p><i>other" * len(runs)
            pieces, n = [text[i : i + 7] for i in range(0, len(text), 7)], -(-len(text) // 7)
            trace = {"pieces": pieces, "source": "bpdr" * n, "p_y": [None] * n, "deferral_mass": [0.5] * n}
            one = record(question.id, len(text) % 2 == 0, reply=text, extracted=text, trace=trace, n_tokens=n)
            digest = hashlib.sha256(question.prompt.encode()).hexdigest()
            replies.append({**one, "prompt_sha256": digest})
        folder = tmp_path / f"run{len(runs)}"
        runs.append(write_records(folder, replies, rule=name, task="gsm8k-0shot", pair=HOSTILE[1]))
    return runs, tmp_path / "data"


def test_hostile_replies_are_text_and_nothing_else(opened, tmp_path):
    """Fails when a text of a reply, a question, a name or a setting becomes an element, runs, asks for an address, or
    reaches the page with a character that is not seen; or when the 30 are not all shown."""
    runs, data = hostile_runs(tmp_path)
    figure = tmp_path / "<img src=x onerror=alert(1)>\u202e.svg"
    figure.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    page = opened(runs, data=data, figures=[figure])
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen, last = [], len(HOSTILE) - 1
    page.focus("#list")
    for place in range(len(HOSTILE)):
        seen.append(page.inner_text("#detail .asked .said >> nth=0"))
        page.hover("#detail [data-token] >> nth=0")
        if place < last:
            page.keyboard.press("ArrowDown")
    tags = page.evaluate(
        "[...new Set([...document.querySelectorAll('#detail *, #list *, #printed *, #token *')].map(e => e.tagName))]"
    )
    assert set(tags) <= {"ARTICLE", "DIV", "SECTION", "H3", "H4", "P", "SPAN"}
    assert len(set(seen)) == len(HOSTILE)
    assert page.evaluate("document.body.dataset.hacked") is None
    assert page.told == []
    text = page.evaluate("document.body.textContent.replace(document.getElementById('data').textContent, '')")
    assert not set(UNSEEN) & set(text)
    assert "U+202E" in text
    assert page.locator("script").count() == 2


def test_a_hidden_character_is_told_by_its_number(opened, tmp_path):
    """Fails when a NUL, an override of the direction or half a surrogate pair is dropped, or an emoji's joiner told."""
    reply = "a\0b\u202ec\ud83dd \U0001f469\u200d\U0001f680"
    runs = [write_records(tmp_path / rule, [record("q0", True, reply=reply)], rule=rule) for rule in ("never", "dual")]
    page = opened(runs)
    said = page.text_content("#detail .column .said >> nth=0")
    assert said == "aU+0000bU+202EcU+D83Dd \U0001f469\u200d\U0001f680"
    assert page.locator("#detail .column >> nth=0").locator(".control").count() == 3


def test_what_is_off_screen_is_not_built(opened, two_runs):
    """Fails when the page holds an element for every question or reply, or the end of the list is not reached."""
    page = opened(two_runs(500, 40))
    assert page.locator(".row").count() < 60
    assert page.locator(".trace").count() == 2
    page.focus("#list")
    page.keyboard.press("End")
    chosen = page.locator(".row[aria-selected=true]")
    assert chosen.get_attribute("aria-posinset") == "500"
    assert page.get_attribute("#list", "aria-activedescendant") == chosen.get_attribute("id")
    page.evaluate("document.getElementById('list').scrollTop = 0")
    page.wait_for_selector("#row-0")
    assert page.locator(".row").count() < 60
    assert page.told == []


def test_questions_where_the_runs_differ_come_first(opened, tmp_path):
    """Fails when the order does not put other verdicts before other words, and those before what is the same."""
    never = [record("q0", True), record("q1", True, reply="one"), record("q2", False), record("q3", True)]
    dual = [record("q0", True), record("q1", True, reply="two"), record("q2", True), record("q3", False)]
    runs = [write_records(tmp_path / "a", never), write_records(tmp_path / "b", dual, rule="dual")]
    page = opened(runs)
    assert page.locator(".row").all_inner_texts() == [
        "helps\nq2\none two", "harms\nq3\none two", "both right\nq1\ntwo", "both right\nq0\none two",
    ]  # fmt: skip
    assert "4 of 4 questions, of which 3 differ" in page.inner_text("#state")


@pytest.mark.parametrize(
    ("verdict", "left"),
    [("all", {0, 1, 2, 3}), ("right", {0, 2}), ("wrong", {1, 3}), ("helps", {2}), ("harms", {3})],
)
def test_filters_show_the_verdicts_that_they_name(opened, tmp_path, verdict, left):
    """Fails when a filter takes the first run for the second, or helps for harms."""
    before, after = (True, False, False, True), (True, False, True, False)
    runs = [
        write_records(tmp_path / rule, [record(f"q{i}", is_right) for i, is_right in enumerate(rights)], rule=rule)
        for rule, rights in (("never", before), ("dual", after))
    ]
    page = opened(runs)
    page.select_option("[name=verdict]", verdict)
    assert {int(name[1:]) for name in page.locator(".row .name").all_inner_texts()} == left
    assert page.inner_text("#state").startswith(f"{len(left)} of 4")


def test_a_search_finds_ids_and_words_of_both_runs_in_any_case(opened, tmp_path):
    """Fails when one run's replies, a capital or a sign of regular expressions is not looked for as it stands."""
    one = [record("q0", True, reply="Paris (France)"), record("q1", True, reply="Rome")]
    other = [record("q0", True, reply="Lyon"), record("q1", True, reply="rome*")]
    runs = [write_records(tmp_path / "a", one), write_records(tmp_path / "b", other, rule="dual")]
    page = opened(runs)
    for wanted, found in (("paris (", ["q0"]), ("LYON", ["q0"]), ("rome*", ["q1"]), ("q1", ["q1"]), ("x", [])):
        page.fill("[name=text]", wanted)
        assert page.locator(".row .name").all_inner_texts() == found
    assert page.locator("#detail article").count() == 0
    page.fill("[name=text]", "")
    assert page.locator(".row").count() == 2


def test_a_focused_token_tells_its_source_p_y_and_d(opened, tmp_path):
    """Fails when arrow keys do not move through a reply, a pointed token tells nothing, or another token's is told."""
    trace = {"pieces": ["a", "", " b\n"], "source": "bpd", "p_y": [0.25, None, 0.5], "deferral_mass": [0.125, 1, 0]}
    runs = [
        write_records(tmp_path / rule, [record("q0", True, trace=trace, reply="a b\n")], rule=rule)
        for rule in ("never", "dual")
    ]
    page = opened(runs)
    page.focus("#detail")
    page.keyboard.press("Tab")
    assert page.inner_text("#token") == '"a": source base, p_y 0.25, D 0.125; token 1 of 3'
    page.keyboard.press("ArrowRight")
    told = "part of a character: source proxy, p_y not known, the base did not run, D 1; token 2 of 3"
    assert page.inner_text("#token") == told
    page.keyboard.press("End")
    assert page.inner_text("#token") == '" b\\n": source draft, p_y 0.5, D 0; token 3 of 3'
    page.hover("#detail .column >> nth=1 >> [data-token='0']")
    assert page.inner_text("#token").endswith("token 1 of 3")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.token") == "0"


def test_two_replies_are_marked_where_they_part(opened, tmp_path):
    """Fails when the mark stands before the first character that differs, after it, or in equal replies."""
    replies = {"never": ["so 12", "same"], "dual": ["so 13", "same"]}
    runs = [
        write_records(tmp_path / rule, [record(f"q{i}", True, reply=text) for i, text in enumerate(texts)], rule=rule)
        for rule, texts in replies.items()
    ]
    page = opened(runs)
    said = page.locator("#detail .column .said").all_text_contents()
    assert said == ["so 1differs from here2", "so 1differs from here3"]
    page.click("#row-1")
    assert page.locator("#detail .fork").count() == 0


def test_a_reply_that_stops_where_the_other_goes_on_is_marked_at_its_end(opened, tmp_path):
    """Fails when the shorter of two traced replies has no mark, or a special token moves it in the longer one."""
    replies = {"never": ["<s>", "so"], "dual": ["<s>", "so", " on"]}
    runs = []
    for rule, pieces in replies.items():
        n = len(pieces)
        trace = {"pieces": pieces, "source": "b" * n, "p_y": [0.5] * n, "deferral_mass": [0.5] * n}
        one = record("q0", True, reply="".join(pieces[1:]), trace=trace)
        runs.append(write_records(tmp_path / rule, [one], rule=rule))
    page = opened(runs)
    said = page.locator("#detail .column .said").all_text_contents()
    assert said == ["<s>sodiffers from here", "<s>sodiffers from here on"]


def test_texts_from_right_to_left_stay_in_their_place(opened, tmp_path):
    """Fails when an answer from right to left takes the count of tokens into it, or a row hides where one begins."""
    text = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd " * 20
    runs = [
        write_records(
            tmp_path / rule, [record("q0", True, reply=text, extracted="\u05e9\u05dc\u05d5\u05dd")], rule=rule
        )
        for rule in ("never", "dual")
    ]
    page = opened(runs)
    place = "e => { const r = new Range(); r.setStart(%s, 0); r.setEnd(%s, 1); return r.getBoundingClientRect().left; }"
    answer = page.locator("#detail .extracted").first
    end = answer.evaluate("e => e.getBoundingClientRect().right")
    assert answer.evaluate(place % (("e.nextSibling",) * 2)) >= end - 1
    row = page.locator(".row .start").first
    begin = row.evaluate(place % (("e.firstChild",) * 2))
    box = row.bounding_box()
    assert box["x"] <= begin < box["x"] + box["width"]


def test_a_row_cuts_no_character_in_two(opened, tmp_path):
    """Fails when the beginning of a text ends with half a surrogate pair."""
    runs = [
        write_records(tmp_path / rule, [record("q0", True, reply="x" + "\U0001f600" * 200)], rule=rule)
        for rule in ("never", "dual")
    ]
    assert "U+" not in opened(runs).text_content(".row .start")


def test_the_keyboard_never_leaves_a_token_or_a_row_under_the_line_that_tells_it(opened, two_runs):
    """Fails when the focused token, or the chosen row, is covered."""
    page = opened(two_runs(40, 400))
    page.set_viewport_size({"width": 1280, "height": 900})
    covered = """() => {
        const active = document.activeElement;
        const it = active.id === "list" ? document.querySelector("[aria-selected=true]") : active;
        return it.getBoundingClientRect().bottom - document.getElementById("token").getBoundingClientRect().top;
    }"""
    page.focus("[name=text]")
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    assert page.evaluate(covered) <= 0
    for key in ("Tab", "Tab", "End"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.dataset.token") == "399"
    assert page.evaluate(covered) <= 0


def test_other_two_of_three_runs_may_be_held_together(opened, tmp_path):
    """Fails when a choice of runs changes the names and not the replies and verdicts."""
    runs = [
        write_records(tmp_path / rule, [record("q0", rule == "gap", reply=rule)], rule=rule)
        for rule in ("never", "dual", "gap")
    ]
    page = opened(runs)
    assert page.inner_text(".row .verdict") == "both wrong"
    page.select_option("[name=left]", label="gap")
    assert page.inner_text(".row .verdict") == "harms"
    assert page.locator("#detail h4").all_inner_texts() == ["gap", "dual"]


def test_one_run_has_one_column_and_no_helps(opened, tmp_path):
    """Fails when a single run is shown beside itself."""
    page = opened([write_records(tmp_path / "a", [record("q0", True), record("q1", False)])])
    assert page.locator("#detail .column").count() == 1
    assert page.locator(".row .verdict").all_inner_texts() == ["right", "wrong"]
    assert page.is_hidden("#first")
    options = page.locator("[name=verdict] option").all()
    assert [one.inner_text() for one in options if one.get_attribute("hidden") is None] == ["all", "right", "wrong"]
    assert "differ" not in page.inner_text("#state")


def test_choices_are_shown_with_their_likelihoods(opened, tmp_path):
    """Fails when a choice task's record, which has no reply, breaks the page or hides a likelihood of zero."""
    one = record("q0", True, log_likelihoods=[-1.5, None], extracted="0")
    del one["reply"]
    page = opened([write_records(tmp_path / "a", [one])])
    assert page.locator("#detail li").all_inner_texts() == ["-1.500 nats: 0", "minus infinity nats: 1"]
    assert page.told == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, two_runs, scheme):
    """Fails when a control has no name, a contrast is too low or a box cannot be reached by the keyboard."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = opened(two_runs(40, 30), settings={"color_scheme": scheme})
    page.hover("#detail [data-token] >> nth=3")
    found = axe.Axe().run(page).response
    assert found["passes"]
    told = [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]]
    assert [one for one in told if one] == []


def test_paper_shows_what_the_filter_shows_without_colour(opened, tmp_path):
    """Fails when print leaves replies out, cuts them at the box on the screen, or tells a source by colour alone."""
    trace = {"pieces": ["a", " b", " c", " d", " e"], "source": "bbpdr", "p_y": [0.5] * 5, "deferral_mass": [0.5] * 5}
    runs = [
        write_records(
            tmp_path / rule, [record(f"q{i}", i < 30, trace=trace, reply="a b c d e") for i in range(40)], rule=rule
        )
        for rule in ("never", "dual")
    ]
    page = opened(runs)
    page.select_option("[name=verdict]", "right")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#printed article").count() == 30
    assert page.is_hidden("#panes")
    first = page.locator("#printed .trace >> nth=0 >> .token")
    assert first.all_inner_texts() == ["a b", " c", " d", " e"]
    lines = first.evaluate_all(
        "all => all.map(e => getComputedStyle(e)).map(e => e.textDecorationLine + e.textDecorationStyle)"
    )
    assert len(set(lines)) == 4
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#printed article").count() == 0
