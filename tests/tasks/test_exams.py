"""ARC-Challenge and CommonsenseQA: labels of both kinds, prompts, and one sentence for every unusable line."""

import json
import os
from collections import Counter

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError

needs_data = pytest.mark.skipif(
    not os.environ.get("PROXYALIGN_DATA"), reason="PROXYALIGN_DATA does not name a folder with the benchmark files"
)
FILES = {"arc-challenge": "arc/ARC-Challenge-Test.jsonl", "commonsenseqa": "commonsenseqa/dev_rand_split.jsonl"}


TEXT = dict(zip("ABCDE1234", "vwxyzvwxy", strict=True))


def row(name="1", labels="ABCD", key="C", **changed):
    choices = [{"text": f"text {TEXT[label]}", "label": label} for label in labels]
    return {"id": name, "question": {"stem": " Why? ", "choices": choices}, "answerKey": key} | changed


def write(folder, task, *rows):
    path = folder / FILES[task]
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(("labels", "key"), [("ABCD", "C"), ("1234", "3"), ("ABC", "C"), ("ABCDE", "C"), ("BDAC", "A")])
def test_the_first_choice_is_a_whatever_its_label_is(tmp_path, labels, key):
    """Fails when digits are no labels, or a label is taken for the place of its choice."""
    write(tmp_path, "arc-challenge", row(labels=labels, key=key))
    [question], [reply] = (
        tasks.get(name).questions(data=tmp_path) for name in ("arc-challenge", "arc-challenge-reply")
    )
    assert question.reference == 2
    assert question.prompt == "Question: Why?\nAnswer:"
    assert question.choices == tuple(f" text {TEXT[label]}" for label in labels)
    assert question.message == "Why?"
    assert reply.reference == "C"
    shown = "".join(f"{letter}. text {TEXT[label]}\n" for letter, label in zip("ABCDE", labels, strict=False))
    assert reply.prompt.endswith(f"letter of the right choice.\n\nQuestion: Why?\n{shown}Answer:")
    assert reply.message.startswith(f"Question: Why?\n{shown}")
    assert tasks.get("arc-challenge-reply").score(reply, "Answer: 3").correct
    assert tasks.get("arc-challenge-reply").score(reply, "It is what was said. Answer: (C)").correct


def test_commonsenseqa_compares_the_letters_of_the_shown_list(tmp_path):
    """Fails when the list is not shown, or its texts are compared, of which some stand twice."""
    write(tmp_path, "commonsenseqa", row(labels="ABCDE", key="E"))
    [question] = tasks.get("commonsenseqa").questions(data=tmp_path)
    assert question.prompt == "Question: Why?\nA. text v\nB. text w\nC. text x\nD. text y\nE. text z\nAnswer:"
    assert (question.choices, question.reference) == ((" A", " B", " C", " D", " E"), 4)
    [reply] = tasks.get("commonsenseqa-reply").questions(data=tmp_path)
    assert reply.reference == "E"


def test_the_original_file_is_taken_before_the_public_part(tmp_path):
    """Fails when the order of the two names is turned round."""
    path = write(tmp_path, "commonsenseqa", row("public"))
    path.rename(path.with_name("dev_rand_split_public.jsonl"))
    assert tasks.get("commonsenseqa").questions(data=tmp_path)[0].id == "public"
    write(tmp_path, "commonsenseqa", row("original"))
    assert tasks.get("commonsenseqa").questions(data=tmp_path)[0].id == "original"


BAD = [
    (row("2", answerKey="E"), "an answerKey among different labels"),
    (row("2", labels="AAB", key="A"), "an answerKey among different labels"),
    (row("2", labels="A", key="A"), "from 2 to 26 choices"),
    (row("1"), "have its own id"),
    (row("2", question={"stem": "Why?"}), "from 2 to 26 choices"),
    (row("2", question={"stem": "Why?", "choices": "AB"}), "from 2 to 26 choices"),
    (row("2", question={"stem": "Why?", "choices": ["A", "B"]}), "choices with a text each"),
    (row("2", question={"stem": "Why?", "choices": [{"text": "x", "label": 1}] * 2}), "choices with a label each"),
    (row("2", question={"stem": "Why?", "choices": [{"text": " ", "label": "A"}] * 2}), "choices with a text each"),
    (row("2", question={"stem": " ", "choices": []}), "a text as the stem"),
    (row("2", question={"choices": []}), "a text as the stem"),
    (row("2", question="Why?"), "question"),
    (row("2", answerKey=None), "answerKey"),
    (row("2", answerKey=2), "answerKey"),
    ({"id": "2", "question": {}}, "answerKey"),
    ([1], "line 2"),
]


@pytest.mark.parametrize("task", FILES)
@pytest.mark.parametrize(("bad", "told"), BAD)
def test_each_unusable_line_is_one_sentence_with_its_place(tmp_path, task, bad, told):
    """Fails when an unusable line ends in another error, or the message leaves out where."""
    path = write(tmp_path, task, row("1"), bad)
    for name in (task, f"{task}-reply"):
        with pytest.raises(InputError) as caught:
            tasks.get(name).questions(data=tmp_path)
        assert f"{name}: {path} line 2" in str(caught.value)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)


@needs_data
def test_the_real_files_hold_1150_and_1221_questions():
    """Fails when a question is lost, or a right choice is misread."""
    arc, csqa = tasks.get("arc-challenge").questions(), tasks.get("commonsenseqa").questions()
    assert (len(arc), len(csqa)) == (1150, 1221)
    assert Counter(len(question.choices) for question in arc) == {4: 1144, 3: 3, 5: 3}
    assert Counter("ABCDE"[question.reference] for question in arc) == {"C": 303, "B": 301, "D": 283, "A": 263}
    found = Counter("ABCDE"[question.reference] for question in csqa)
    assert found == {"B": 255, "D": 251, "C": 241, "A": 239, "E": 235}


@needs_data
@pytest.mark.parametrize("name", ["arc-challenge-reply", "commonsenseqa-reply", "truthfulqa-reply", "mmlu-0shot-reply"])
def test_every_right_letter_and_every_unique_right_text_of_the_real_files_scores(name):
    """Fails when a choice's text keeps its letter from being read, or is read as another choice's letter."""
    task = tasks.get(name)
    for question in task.questions(limit=400):
        letter = str(question.reference)
        text = question.choices["ABCDEFGHIJKLM".index(letter)]
        for reply in (
            f" {letter}",
            f" ({letter}) {text}",
            f" {letter}. {text}\n\nIt is so.",
            f" It is {letter}: {text}",
        ):
            assert task.score(question, reply).extracted == letter, (reply, question.choices)
        assert task.score(question, f" {text}").extracted in (letter, None), (text, question.choices)


@needs_data
def test_the_prompts_are_those_of_lm_evaluation_harness():
    """Fails when a character of a template differs, so that numbers would not compare."""
    harness = pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    jinja2, yaml = pytest.importorskip("jinja2"), pytest.importorskip("yaml")
    folder = os.path.join(os.path.dirname(harness.__file__), "tasks")
    for task, path in (("arc-challenge", "arc/arc_easy.yaml"), ("commonsenseqa", "commonsense_qa/default.yaml")):
        with open(os.path.join(folder, path), encoding="utf-8") as file:
            template = jinja2.Template(yaml.safe_load(file)["doc_to_text"])
        with open(os.path.join(os.environ["PROXYALIGN_DATA"], FILES[task]), encoding="utf-8") as lines:
            rows = [json.loads(line)["question"] for line in lines]
        for question, one in zip(tasks.get(task).questions(), rows, strict=True):
            texts = {"text": [choice["text"] for choice in one["choices"]]}
            assert question.prompt == template.render(question=one["stem"], choices=texts)
