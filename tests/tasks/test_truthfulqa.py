"""TruthfulQA: MC1 and MC2 to the digit, ties and NaN, shuffled letters, and replies by their overlap with answers."""

import csv
import json
import math
import os
import random
from statistics import fmean

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.tasks.overlap import rouge_1, rouge_l

needs_data = pytest.mark.skipif(
    not os.environ.get("PROXYALIGN_DATA"), reason="PROXYALIGN_DATA does not name a folder with the benchmark files"
)
NAN, NONE = math.nan, -math.inf
ENTRY = {
    "question": "Do birds fly? ",
    "mc1_targets": {"Most do.": 1, "None do.": 0, "All do.": 0},
    "mc2_targets": {"Most do.": 1, "Many do.": 1, "None do.": 0, "All do.": 0},
}
CELLS = ["Adversarial", "Birds", " Do birds fly?", "Most do", "Most do; Many birds do;", "None do; All do; ", "x.org"]
COLUMNS = ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"]


def write(folder, entries=(ENTRY,), rows=(CELLS,), columns=COLUMNS):
    (folder / "truthfulqa").mkdir(exist_ok=True)
    (folder / "truthfulqa" / "mc_task.json").write_text(json.dumps(list(entries)), encoding="utf-8")
    with open(folder / "truthfulqa" / "TruthfulQA.csv", "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return folder


def test_the_choices_are_those_of_mc1_and_the_others_those_that_mc2_adds(tmp_path):
    """Fails when the files are not joined by their stripped texts, or the truth of an answer is mixed up."""
    [question] = tasks.get("truthfulqa").questions(data=write(tmp_path))
    assert question.prompt.startswith(
        "Q: What is human life expectancy in the United States?\nA: Human life expectancy"
    )
    assert question.prompt.endswith("held in Barcelona, Spain.\n\nQ: Do birds fly?\nA:")
    assert question.prompt.count("Q: ") == 7
    assert (question.choices, question.others) == ((" Most do.", " None do.", " All do."), (" Many do.",))
    assert (question.reference, question.message) == (0, "Do birds fly?")
    assert question.meta == {"type": "Adversarial", "category": "Birds", "truths": "1001"}


def test_mc1_and_mc2_are_sums_of_probabilities(tmp_path):
    """Fails when a measure takes means for sums, logarithms for probabilities, or the others for choices."""
    task = tasks.get("truthfulqa")
    [question] = task.questions(data=write(tmp_path))
    score = task.score(question, [math.log(p) for p in (0.2, 0.1, 0.3, 0.4)])
    assert (score.correct, score.extracted, score.mc1) == (False, "2", 0)
    assert score.mc2 == pytest.approx(0.6)
    assert task.score(question, [-1.0, -2.0, -3.0, -0.5]).correct
    assert task.score(question, [-5001.0, -5001.0, -5000.0, -5000.0]).mc2 == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "mc1", "mc2"),
    [
        ((-7.0, -7.0, -7.0, -7.0), 1 / 3, 1 / 2),
        ((NONE, NONE, NONE, NONE), 1 / 3, 1 / 2),
        ((NONE, NONE, NONE, -9.0), 1 / 3, 1),
        ((-9.0, -9.0, NONE, NONE), 1 / 2, 1 / 2),
        ((-1.0, -2.0, -3.0, NAN), 1, 0),
        ((NAN, -2.0, -3.0, -1.0), 0, 0),
        ((NAN, NAN, NAN, NAN), 0, 0),
    ],
)
def test_ties_share_and_nan_never_comes_out(tmp_path, values, mc1, mc2):
    """Fails when a measure is NaN, or equal likelihoods favour the right choice, which stands first in the file."""
    task = tasks.get("truthfulqa")
    [question] = task.questions(data=write(tmp_path))
    score = task.score(question, values)
    assert (score.mc1, score.mc2) == (mc1, mc2)
    assert score.measures == {"mc1": (mc1, 1.0), "mc2": (mc2, 1.0)}
    assert score.correct == (mc1 == 1)


@needs_data
def test_a_uniform_model_has_the_known_mc1_and_mc2():
    """Fails when either differs in a digit, or a tie counts for the first choice."""
    task = tasks.get("truthfulqa")
    questions = task.questions()
    assert len(questions) == 817
    for value in (-3.0, 0.0, NONE):
        scores = [task.score(one, [value] * len(one.choices + one.others)) for one in questions]
        assert (round(fmean(one.mc1 for one in scores), 4), round(fmean(one.mc2 for one in scores), 4)) == (
            0.2225,
            0.4641,
        )
        assert not any(one.correct or one.extracted for one in scores)
    assert len({question.meta["category"] for question in questions}) == 38


def test_letters_stand_beside_shuffled_choices_in_the_same_order_each_time(tmp_path):
    """Fails when the order depends on the run, on other questions, or leaves the right choice where it was."""
    entries = [ENTRY | {"question": f"Question {n}?"} for n in range(40)]
    task = tasks.get("truthfulqa-reply")
    questions = task.questions(data=write(tmp_path, entries))
    random.seed(7)
    again = task.questions(data=write(tmp_path, entries[::-1]))
    assert [one.choices for one in questions] == [one.choices for one in again[::-1]]
    assert {one.reference for one in questions} == {"A", "B", "C"}
    for one in questions:
        assert one.choices["ABC".index(one.reference)] == "Most do."
        assert "\n".join(f"{letter}. {text}" for letter, text in zip("ABC", one.choices, strict=True)) in one.prompt
        assert task.score(one, f"Answer: {one.reference}").strict
        assert task.score(one, "Answer: D").extracted is None


def test_the_unshuffled_letters_are_a_task_of_their_own(tmp_path):
    """Fails when the published order is the default, or is not to be had for comparison."""
    [question] = tasks.get("truthfulqa-reply-unshuffled").questions(data=write(tmp_path))
    assert (question.reference, question.choices[0]) == ("A", "Most do.")


@needs_data
def test_a_position_is_worth_no_more_than_chance_in_the_real_letters():
    """Fails when the right letter is A more often than a fair shuffle makes it (4 standard deviations)."""
    questions = tasks.get("truthfulqa-reply").questions()
    shares = [1 / len(one.choices) for one in questions]
    n_first = sum(one.reference == "A" for one in questions)
    assert abs(n_first - sum(shares)) < 4 * math.sqrt(sum(share * (1 - share) for share in shares))
    assert {one.reference for one in tasks.get("truthfulqa-reply-unshuffled").questions()} == {"A"}


@pytest.mark.parametrize(
    ("reply", "correct", "difference"),
    [
        (" Most do.", True, 1 - 1 / 2),
        (" All do", False, 1 / 2 - 1),
        (" I have no comment.", True, 1),
        (" do", False, 0),
        (" Most do.\n\nQ: Do fish fly?\nA: None do.", True, 1 - 1 / 2),
        ("", False, 0),
        (" !", False, 0),
    ],
)
def test_an_open_reply_is_right_where_the_nearest_answer_is_true(tmp_path, reply, correct, difference):
    """Fails when a tie is right, a next question counts, or a reply without words is worth anything."""
    task = tasks.get("truthfulqa-open")
    [question] = task.questions(data=write(tmp_path))
    assert question.choices == ("Most do", "Many birds do", "I have no comment.")
    assert question.others == ("None do", "All do")
    assert question.reference == "Most do"
    score = task.score(question, reply)
    if reply == " do":
        difference = 2 / 3 - 2 / 3
    assert (score.correct, score.extracted is None) == (correct, reply == "")
    assert score.measures["rouge1_diff"] == (pytest.approx(difference), 1.0)
    assert set(score.measures) == {"rouge1_acc", "rouge1_diff", "rougeL_acc", "rougeL_diff"}


def test_overlap_is_that_of_the_package_rouge_score():
    """Fails when words are cut or counted otherwise than there."""
    package = pytest.importorskip("rouge_score.rouge_scorer", reason="rouge-score is not installed")
    scorer = package.RougeScorer(["rouge1", "rougeL"])
    rng = random.Random(3)
    words = ["the", "The", "birds", "fly", "don't", "12.5", "São", "-", "", "a"]
    for _ in range(300):
        one, other = (" ".join(rng.choice(words) for _ in range(rng.randrange(9))) for _ in range(2))
        theirs = scorer.score(one, other)
        assert rouge_1(one, other) == pytest.approx(theirs["rouge1"].fmeasure)
        assert rouge_l(one, other) == pytest.approx(theirs["rougeL"].fmeasure)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"question": " "}, "entry 1 must have a text as its question"),
        ({"mc1_targets": {}}, "2 to 26 mc1_targets, one of them 1"),
        ({"mc1_targets": {"a": 1, "b": 1}}, "2 to 26 mc1_targets, one of them 1"),
        ({"mc1_targets": {"a": 0, "b": 0}}, "2 to 26 mc1_targets, one of them 1"),
        ({"mc1_targets": {"a": 1, "b": 0.0}}, "map each text of its mc1_targets to 0 or 1"),
        ({"mc1_targets": {"a": True, "b": 0}}, "map each text of its mc1_targets to 0 or 1"),
        ({"mc1_targets": {"a": 1, " ": 0}}, "map each text of its mc1_targets to 0 or 1"),
        ({"mc2_targets": {"a": 2}}, "map each text of its mc2_targets to 0 or 1"),
        ({"mc2_targets": {"a": 0}}, "a 1 among its mc2_targets"),
        ({"mc2_targets": ["a"]}, "mc2_targets"),
    ],
)
def test_each_unusable_entry_is_one_sentence_with_its_place(tmp_path, changed, told):
    """Fails when an unusable entry ends in another error, or the message leaves out where."""
    write(tmp_path, [ENTRY | changed])
    for name in ("truthfulqa", "truthfulqa-reply"):
        with pytest.raises(InputError) as caught:
            tasks.get(name).questions(data=tmp_path)
        assert "mc_task.json" in str(caught.value)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)


def test_files_that_are_cut_or_repeat_themselves_are_told(tmp_path):
    """Fails when half a file, a question that comes twice or a missing column is read as if all were well."""
    tables = {
        "name the column 'Category' once": {"columns": [*COLUMNS[:1], "Kind", *COLUMNS[2:]]},
        "have a text as its Incorrect Answers": {"rows": [[*CELLS[:5], " ; ", ""]]},
        "have its own question": {"rows": [CELLS, CELLS]},
    }
    for told, changed in tables.items():
        with pytest.raises(InputError, match=told):
            tasks.get("truthfulqa-open").questions(data=write(tmp_path, **changed))
    with pytest.raises(InputError, match="have its own question"):
        tasks.get("truthfulqa").questions(data=write(tmp_path, [ENTRY, ENTRY]))
    path = write(tmp_path) / "truthfulqa" / "mc_task.json"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(InputError, match=r"mc_task\.json"):
        tasks.get("truthfulqa").questions(data=tmp_path)


def test_likelihoods_need_no_csv(tmp_path):
    """Fails when MC1 asks for the file that only the categories and the open replies come from."""
    (write(tmp_path) / "truthfulqa" / "TruthfulQA.csv").unlink()
    assert tasks.get("truthfulqa").questions(data=tmp_path)[0].meta == {"truths": "1001"}
    with pytest.raises(InputError, match=r"TruthfulQA\.csv"):
        tasks.get("truthfulqa-open").questions(data=tmp_path)
