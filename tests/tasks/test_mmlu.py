"""MMLU: both editions of its files, the authors' prompt, a mixed order, and one sentence for every unusable file."""

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError

needs_data = pytest.mark.skipif(
    not os.environ.get("PROXYALIGN_DATA"), reason="PROXYALIGN_DATA does not name a folder with the benchmark files"
)
HEADER = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]


def rows(subject, n_rows):
    asked = [f'What, "said" {subject},\nis {number}? ' for number in range(n_rows)]
    return [[ask, "NA", "None", "a,b", f"{n}", n % 4] for n, ask in enumerate(asked)]


def write(folder, subject, part, n_rows, *, header=True):
    path = folder / "mmlu" / part / f"{subject}_{part}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    own = rows(f"{subject} {part}", n_rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        told = [HEADER, *own] if header else [[*row[:5], "ABCD"[row[5]]] for row in own]
        csv.writer(file, lineterminator="\r\n").writerows(told)
    return path


@pytest.fixture
def data(tmp_path):
    """Two subjects with a header, 5 dev and 30 test questions each, with quotes and line breaks within."""
    for subject in ("high_school_physics", "virology"):
        write(tmp_path, subject, "dev", 6)
        write(tmp_path, subject, "test", 30)
    return tmp_path


def test_five_worked_examples_of_the_subject_stand_under_the_authors_heading(data):
    """Fails when an example is missing, of another subject or without its answer, or the form is another."""
    question = next(one for one in tasks.get("mmlu").questions(data=data) if one.id == "high_school_physics-2")
    heading = "The following are multiple choice questions (with answers) about high school physics.\n\n"
    shown = 'What, "said" high_school_physics {},\nis {}?\nA. NA\nB. None\nC. a,b\nD. {}\nAnswer:'
    worked = "".join(f"{shown.format('dev', n, n)} {'ABCDA'[n]}\n\n" for n in range(5))
    assert question.prompt == f"{heading}{worked}{shown.format('test', 1, 1)}"
    assert (question.choices, question.reference) == ((" A", " B", " C", " D"), 1)
    assert question.meta == {"subject": "high_school_physics", "n_subjects": 2}
    assert question.message.startswith('What, "said" high_school_physics test,\nis 1?\nA. NA')


def test_no_examples_leave_the_heading_and_the_question(data):
    """Fails when the zero-shot task needs dev files, or shows an example."""
    (data / "mmlu" / "dev" / "virology_dev.csv").unlink()
    prompts = [question.prompt for question in tasks.get("mmlu-0shot").questions(data=data)]
    assert len(prompts) == 60
    assert all(prompt.count("Answer:") == 1 and prompt.count("(with answers) about") == 1 for prompt in prompts)


def test_as_replies_every_question_is_told_from_the_next(data):
    """Fails when a base that goes on to a next question cannot be cut, or the reference is no letter."""
    for question in tasks.get("mmlu-reply").questions(data=data):
        assert question.prompt.count("\nQuestion: ") == 6
        assert question.reference in "ABCD"
        assert question.choices[:3] == ("NA", "None", "a,b")
    assert '"Answer: "' in question.message


def test_both_editions_hold_the_same_questions(data, tmp_path):
    """Fails when a header is read as a question, letters and numbers differ, or NA and None are no texts."""
    with_header = tasks.get("mmlu").questions(data=data)
    for subject in ("high_school_physics", "virology"):
        write(tmp_path, subject, "dev", 6, header=False)
        write(tmp_path, subject, "test", 30, header=False)
    assert tasks.get("mmlu").questions(data=tmp_path) == with_header


def test_the_first_questions_are_a_sample_of_all_subjects(data):
    """Fails when a limit takes the first subject alone, changes the order, or the parts overlap."""
    task = tasks.get("mmlu-0shot")
    every = task.questions(data=data)
    assert task.questions(data=data, limit=12) == every[:12]
    assert len({question.meta["subject"] for question in every[:12]}) == 2
    dev, held_out = (task.questions(split, data=data) for split in ("dev", "held-out"))
    assert Counter(one.id for one in every) == Counter(one.id for one in [*dev, *held_out])
    assert task.groups == "subject"


def test_each_unusable_file_is_one_sentence_with_its_place_and_remedy(data):
    """Fails when an unusable file or row ends in another error, or the message leaves out where."""
    path = data / "mmlu" / "test" / "virology_test.csv"
    good = path.read_bytes()

    def complaint(content, name="mmlu-0shot"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            tasks.get(name).questions(data=data)
        path.write_bytes(good)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    line = f"{path} line {len(good.splitlines()) + 1}"
    assert "must hold at least one row" in complaint(b"")
    assert f"{line} must have 6 cells" in complaint(good + b"q,a,b,c,D\r\n")
    assert f"{line} must have an answer from A to D, or from 0 to 3" in complaint(good + b"q,a,b,c,d,E\r\n")
    assert f"{line} must have an answer" in complaint(good + b"q,a,b,c,d,\r\n")
    assert f"{line} must have an answer" in complaint(good + b"q,a,b,c,d,AB\r\n")
    assert f"{line} must have a question" in complaint(good + b" ,a,b,c,d,A\r\n")
    assert "must have a question, four choices and an answer" in complaint(b"q,a,b,c,A\r\n")
    assert "does not end" in complaint(good[:80])
    assert "UTF-16" in complaint(good.decode().encode("utf-16"))
    assert "UTF-8" in complaint(good + "é".encode("latin-1"))
    write(data, "virology", "dev", 4)
    assert "virology_dev.csv must hold 5 questions, got 4" in complaint(None, "mmlu")
    (data / "mmlu" / "dev" / "virology_dev.csv").unlink()
    assert "virology_dev.csv" in complaint(None, "mmlu-reply")
    for file in (data / "mmlu" / "test").iterdir():
        file.unlink()
    with pytest.raises(InputError, match=r"must hold a file such as anatomy_test\.csv"):
        tasks.get("mmlu").questions(data=data)


def test_line_ends_marks_and_blank_lines_change_nothing(data):
    """Fails when an editor that saved the file changes a question."""
    path = data / "mmlu" / "test" / "virology_test.csv"
    before = tasks.get("mmlu").questions(data=data)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n\r\n")
    assert tasks.get("mmlu").questions(data=data) == before


@needs_data
def test_the_real_files_hold_40_subjects_and_10374_questions():
    """Fails when a quoted line break splits a row, a header counts, or a known edition is not told as one."""
    task = tasks.get("mmlu")
    questions = task.questions()
    assert len(questions) == 10_374
    assert {question.meta["n_subjects"] for question in questions} == {40}
    assert len({question.id for question in questions}) == 10_374
    per_subject = Counter(question.meta["subject"] for question in questions)
    assert (len(per_subject), per_subject["professional_law"], per_subject["abstract_algebra"]) == (40, 1534, 100)
    assert len(task.checksums) == 80
    folder = Path(os.environ["PROXYALIGN_DATA"])
    assert all((folder / name).is_file() for name in task.checksums)


@needs_data
def test_the_prompt_is_that_of_lm_evaluation_harness():
    """Fails when a character of the template differs, so that numbers would not compare."""
    harness = pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    jinja2, yaml = pytest.importorskip("jinja2"), pytest.importorskip("yaml")
    folder = Path(harness.__file__).parent / "tasks" / "mmlu" / "default"
    template = yaml.safe_load((folder / "_default_template_yaml").read_text())["doc_to_text"]
    question = next(one for one in tasks.get("mmlu").questions() if one.id == "virology-1")
    heading = yaml.safe_load((folder / "mmlu_virology.yaml").read_text())["description"]
    prompt = heading
    for part, n_rows in (("dev", 5), ("test", 1)):
        path = Path(os.environ["PROXYALIGN_DATA"]) / "mmlu" / part / f"virology_{part}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            for ask, *choices, answer in list(csv.reader(file))[1 : n_rows + 1]:
                shown = jinja2.Template(template).render(question=ask, choices=choices)
                prompt += shown + (f" {'ABCD'[int(answer)]}\n\n" if part == "dev" else "")
    assert question.prompt == prompt
