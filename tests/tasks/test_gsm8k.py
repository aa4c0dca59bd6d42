"""GSM8K: prompts from the data folder, scores by value, and one sentence for every unusable file."""

import json
import os

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.tasks.base import Question

needs_data = pytest.mark.skipif(
    not os.environ.get("PROXYALIGN_DATA"), reason="PROXYALIGN_DATA does not name a folder with the benchmark files"
)


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def row(number, length=20):
    question = f"Question number {number}? ".ljust(length, "x")
    return {
        "question": question,
        "answer": f"It is 1+{number} = <<1+{number}={number + 1}>>{number + 1}.\n#### {number + 1}",
    }


@pytest.fixture
def data(tmp_path):
    """A small data folder: 12 training rows, the second too long for an example, and 3 test rows."""
    write(tmp_path / "gsm8k" / "train.jsonl", [row(n, length=301 if n == 1 else 20) for n in range(12)])
    write(tmp_path / "gsm8k" / "test.jsonl", [row(100 + n) for n in range(3)])
    return tmp_path


def test_eight_worked_examples_come_first_and_their_marks_are_gone(data):
    """Fails when an example is missing, out of order, too long, or keeps its calculator marks."""
    questions = tasks.get("gsm8k").questions(data=data)
    prompt = questions[0].prompt
    assert len(questions) == 3
    assert prompt.count("Question: ") == prompt.count("Answer:") == 9
    assert [f"Question number {n}? " in prompt for n in range(12)] == [n in (0, 2, 3, 4, 5, 6, 7, 8) for n in range(12)]
    assert "<<" not in prompt
    assert prompt.startswith("Question: Question number 0? x\nAnswer: It is 1+0 = 1.\n#### 1\n\nQuestion: ")
    assert prompt.endswith("Question: Question number 100?\nAnswer:")
    assert questions[0].reference == "101"
    assert questions[0].message.endswith(".\n\nQuestion number 100?")
    assert "####" in questions[0].message


def test_no_examples_ask_for_the_form_instead(data):
    """Fails when the zero-shot prompt holds an example, or does not say how to mark the answer."""
    prompt = tasks.get("gsm8k-0shot").questions(data=data)[0].prompt
    assert prompt.count("Question: ") == 1
    assert "####" in prompt
    assert prompt.endswith("Question: Question number 100?\nAnswer:")


def test_the_dev_split_is_the_training_set_without_the_examples(data):
    """Fails when parameters are chosen on a question whose solution stands in the prompt, or on a test question."""
    questions = tasks.get("gsm8k").questions(split="dev", data=data)
    assert [question.id for question in questions] == ["dev-2", "dev-10", "dev-11", "dev-12"]


def test_the_original_file_is_taken_before_the_public_part(data):
    """Fails when the order of the two names is turned round."""
    write(data / "gsm8k" / "test_public.jsonl", [row(500)])
    assert tasks.get("gsm8k").questions(data=data)[0].reference == "101"
    (data / "gsm8k" / "test.jsonl").unlink()
    assert tasks.get("gsm8k").questions(data=data)[0].reference == "501"


def test_the_environment_names_the_folder_where_no_argument_does(data, monkeypatch):
    """Fails when PROXYALIGN_DATA is not read, or wins over the argument."""
    monkeypatch.setenv("PROXYALIGN_DATA", str(data))
    assert len(tasks.get("gsm8k").questions(limit=2)) == 2
    monkeypatch.setenv("PROXYALIGN_DATA", "/nowhere")
    assert len(tasks.get("gsm8k").questions(data=data)) == 3


@pytest.mark.parametrize(
    ("reply", "correct", "strict", "extracted"),
    [
        (" 20 + 9 = 29\n#### 29", True, True, "29"),
        (" so it costs $29.00.", True, False, "29.00"),
        (" \\boxed{29}", True, False, "29"),
        (" 29\n\nQuestion: How many is 3 + 4?\nAnswer: 7\n#### 7", True, False, "29"),
        (" 29 Question: 7", True, False, "29"),
        (" -29", False, False, "-29"),
        (" 30\n#### 30", False, False, "30"),
        (" I do not know.", False, False, None),
        (" NaN", False, False, None),
        ("Question: 29", False, False, None),
        ("", False, False, None),
    ],
)
def test_a_reply_is_scored_by_value_up_to_the_next_question(reply, correct, strict, extracted):
    """Fails for a text comparison, for text after the reply that counts, and where None could equal a reference."""
    score = tasks.get("gsm8k").score(Question("test-1", "", None, "29"), reply)
    assert (score.correct, score.strict, score.extracted) == (correct, strict, extracted)


def test_nothing_is_right_where_the_reference_is_no_number():
    """Fails for `None == None`."""
    assert not tasks.get("gsm8k").score(Question("test-1", "", None, "unknown"), "none").correct


def test_each_unusable_file_is_one_sentence_with_its_place_and_remedy(data, monkeypatch):
    """Fails when an unusable folder, file, line or split ends in another error, or the message leaves out where."""
    task, test = tasks.get("gsm8k"), data / "gsm8k" / "test.jsonl"
    good = test.read_text(encoding="utf-8")
    monkeypatch.delenv("PROXYALIGN_DATA", raising=False)

    def complaint(**request):
        with pytest.raises(InputError) as caught:
            task.questions(**request)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "PROXYALIGN_DATA" in complaint()
    assert "/nowhere" in complaint(data="/nowhere")
    assert "'train'" in complaint(data=data, split="train")
    assert "limit" in complaint(data=data, limit=0)
    assert "limit" in complaint(data=data, limit=True)
    for blank in ("", "\n\n \t\n"):
        test.write_text(blank, encoding="utf-8")
        assert f"{test} must hold at least one line" in complaint(data=data)
    test.write_text(good.replace("Question number 101", "Half \\ud83d a pair"), encoding="utf-8")
    assert f"{test} line 2" in complaint(data=data)
    test.write_text(good, encoding="utf-16")
    assert "got UTF-16" in complaint(data=data)
    test.write_text("\n" + good, encoding="utf-8-sig")
    assert [question.id for question in task.questions(data=data)] == ["test-2", "test-3", "test-4"]
    test.write_text(good[:-20], encoding="utf-8")
    assert f"{test} line 3" in complaint(data=data)
    test.write_text(good + '{"question": "no answer"}\n', encoding="utf-8")
    assert f"{test} line 4" in complaint(data=data)
    test.write_text(good + "[1, 2]\n", encoding="utf-8")
    assert f"{test} line 4" in complaint(data=data)
    test.write_text(good + '{"question": "q", "answer": "#### none"}\n', encoding="utf-8")
    assert f"{test} line 4" in complaint(data=data)
    test.write_bytes(b"\xff\xfe")
    assert str(test) in complaint(data=data)
    test.unlink()
    assert "test.jsonl or test_public.jsonl" in complaint(data=data)
    write(data / "gsm8k" / "train.jsonl", [row(n) for n in range(7)])
    assert "got 7" in complaint(data=data)


def test_an_unknown_task_is_refused_with_the_names_that_exist():
    """Fails when `get` raises KeyError, or does not say what there is."""
    with pytest.raises(InputError, match=r"no task 'gsm9k'; choose one of .*gsm8k"):
        tasks.get("gsm9k")


@needs_data
def test_every_worked_solution_of_the_real_files_scores_as_right():
    """Fails when the extraction misreads one of GSM8K's own solutions, in its form or in a box."""
    task = tasks.get("gsm8k-0shot")
    folder = os.environ["PROXYALIGN_DATA"]
    for split in task.splits:
        for question in task.questions(split=split):
            own, boxed = f"so\n#### {question.reference}", f"1 or 2: \\boxed{{{question.reference}}}."
            assert task.score(question, own).strict
            assert task.score(question, boxed).correct
    test = next(name for name in ("test.jsonl", "test_public.jsonl") if os.path.exists(f"{folder}/gsm8k/{name}"))
    for split, name in (("dev", "train.jsonl"), ("test", test)):
        with open(os.path.join(folder, "gsm8k", name), encoding="utf-8") as lines:
            answers = [json.loads(line)["answer"] for line in lines]
        for question, answer in zip(task.questions(split=split), answers, strict=True):
            score = task.score(question, answer)
            assert score.strict
            assert all(amount == 1 for amount, _ in score.measures.values())


@needs_data
def test_the_real_prompts_hold_their_examples_once_and_no_marks():
    """Fails when the rule for the examples finds fewer than eight in the real training set."""
    questions = tasks.get("gsm8k").questions(limit=5)
    assert all(question.prompt.count("Question: ") == 9 for question in questions)
    assert not any("<<" in question.prompt for question in questions)
