"""MATH-500: prompts and splits from the data folder; which answer a reply gives, and what it scores."""

import json
import os

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.tasks.base import Question
from proxyalign.tasks.math500 import answer_of

needs_data = pytest.mark.skipif(
    not os.environ.get("PROXYALIGN_DATA"), reason="PROXYALIGN_DATA does not name a folder with the benchmark files"
)


def score(reply, reference, **meta):
    return tasks.get("math500").score(Question("1", "", None, reference, meta=meta), reply)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("so \\boxed{5}.", "5"),
        ("\\boxed{4}? No, \\boxed{5}.", "5"),  # the last box
        ("\\boxed{840}., that is \\boxed{840}", "840"),  # Math-Verify #44
        ("\\boxed{840}., ... \\boxed{840}", "840"),
        ("$\\boxed{-2}$ and $\\boxed{1}$", "-2, 1"),  # boxes that belong together
        ("\\boxed{-2}, \\boxed{1}", "-2, 1"),
        ("$x=\\boxed{-2}$ or $x = \\boxed{1}$", "-2, 1"),
        ("$x=\\boxed{-2}$, $y=\\boxed{1}$", "1"),
        ("so $\\boxed 5$ of 6", "5"),
        ("\\boxed -2 or \\boxed1", "-2, 1"),
        ("The answer is therefore 12", "12"),
        ("#### 5", "5"),
        ("\\boxed{\\boxed{5}}", "5"),
        ("the domain is \\boxed{[2,5)}", "[2,5)"),  # lm-evaluation-harness #3643
        ("\\boxed{5}\n\nProblem: 6? \\boxed{7}", "5"),
        ("\\boxed{5} Question: 6? \\boxed{7}", "5"),
        ("\\boxed{4} so \\boxed{5", None),  # an unfinished last box
        ("\\boxed{4} so \\boxed{\\frac{5}{6}", None),
        ("\\boxed{}", None),
        ("The answer is $x=5$, since 2 + 3 = 5.", "x=5"),
        ("The answer is 3.5. We are done.", "3.5"),
        ("**Answer:** 7\n", "7"),
        ("We get \\[x = 4\\] and then $y = 5$.", "y = 5"),
        ("\\frac12", "\\frac12"),
        ("Evelyn", "Evelyn"),
        ("I do not know", None),
        ("First 3.\nThen 4.", None),
        ("", None),
        ("Problem: what? \\boxed{5}", "5"),  # a reply that repeats the problem
        ("\n\nProblem: what? \\boxed{5}", None),
    ],
)
def test_the_answer_is_the_last_finished_box_or_what_is_called_the_answer(reply, answer):
    """Fails when another problem, another box or half of one is read, or a right answer without a box is lost."""
    assert answer_of(reply)[0] == answer


@pytest.mark.parametrize(
    ("reply", "reference", "right"),
    [
        ("\\boxed{5}", "x=5", True),
        ("\\boxed{0}", "5x - 7y + 11z + 4 = 0", False),
        ("\\boxed{1}", "1 \\pm \\sqrt{19}", False),
        ("the domain is \\boxed{[2,5)}", "[2,5)", True),
        ("\\boxed{４２}", "42", True),
        ("\\boxed{٤٢}", "42", True),
        ("\\boxed{四十二}", "42", False),
        ("so \\boxed{42", "42", False),
        ("", "", False),
        ("\\boxed{}", "", False),
    ],
)
def test_a_reply_is_scored_by_its_answer(reply, reference, right):
    """Fails when a step between reply and verdict is left out, or nothing equals nothing."""
    assert score(reply, reference).correct is right


def test_strict_asks_for_a_box():
    """Fails when a right answer without a box follows the asked form, or one in a box does not."""
    assert [(one.correct, one.strict) for one in (score("\\boxed{5}", "5"), score("The answer is 5.", "5"))] == [
        (True, True),
        (True, False),
    ]


def test_a_percent_sign_counts_unless_the_question_asks_for_one_and_lenient_drops_it():
    """Fails when the disputed sign has one meaning only, or its other reading is not measured (Math-Verify #67)."""
    assert [score("\\boxed{28\\%}", "28", percent=asked).correct for asked in (False, True)] == [False, True]
    assert score("\\boxed{28\\%}", "28").measures["lenient"] == (1.0, 1.0)
    assert score("\\boxed{29\\%}", "28").measures["lenient"] == (0.0, 1.0)


def test_the_authors_cut_of_a_reference_at_its_equals_sign_is_a_measure_and_no_verdict():
    """Fails when the reading of the paper's own code is the default, or is not there to compare with."""
    zero = score("\\boxed{0}", "5x - 7y + 11z + 4 = 0")
    assert (zero.correct, zero.measures["authors"]) == (False, (1.0, 1.0))
    whole = score("\\boxed{5x - 7y + 11z + 4 = 0}", "5x - 7y + 11z + 4 = 0")
    assert (whole.correct, whole.measures["authors"]) == (True, (0.0, 1.0))


def test_rows_are_read_with_or_without_what_is_no_part_of_the_task(tmp_path):
    """Fails when a field that only some editions have is asked for, or an id depends on the split."""
    (tmp_path / "math500").mkdir()
    rows = [{"problem": f"What is ${n}$ percent?", "answer": str(n), "level": n} for n in range(30)]
    (tmp_path / "math500" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = tasks.get("math500")
    parts = {split: {q.id: q for q in task.questions(split, tmp_path)} for split in task.splits}
    assert parts["test"] == parts["dev"] | parts["held-out"]
    assert not parts["dev"].keys() & parts["held-out"].keys()
    first = parts["test"]["test-1"]
    assert first.prompt.endswith("\n\nProblem: What is $0$ percent?\nSolution:")
    assert first.message.endswith("\\boxed{}.\n\nWhat is $0$ percent?")
    assert first.meta == {"subject": "unknown", "level": "0", "percent": True}
    (tmp_path / "math500" / "test.jsonl").write_text(2 * (json.dumps(rows[0] | {"unique_id": "a"}) + "\n"))
    with pytest.raises(InputError, match="line 2 must have its own unique_id, got 'a' as 1 has"):
        task.questions(data=tmp_path)


@needs_data
def test_every_reference_solution_and_answer_of_the_real_file_scores_as_right():
    """Fails when the extraction or the comparison misreads one of MATH-500's own answers, in a box or without."""
    task = tasks.get("math500")
    with open(os.path.join(os.environ["PROXYALIGN_DATA"], "math500", "test.jsonl"), encoding="utf-8") as lines:
        solutions = [json.loads(line)["solution"] for line in lines]
    wrong = [
        question.id
        for question, solution in zip(task.questions(), solutions, strict=True)
        if not task.score(question, solution).strict
        or not all(
            task.score(question, form.format(question.reference)).correct
            for form in ("The answer is ${}$.", "so \\[ {} \\]", "Answer: {}")
        )
    ]
    assert wrong == []
