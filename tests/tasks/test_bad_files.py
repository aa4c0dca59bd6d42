"""Over a hundred unusable data files, each of which is told in one sentence; what an editor does to a file is harmless.

Every loader is in the table, with a small file that it takes. Each fault of a kind is tried on each file.
"""

import csv
import io
import json
import re
from importlib import import_module

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(*rows):
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()


def gsm8k(n):
    return {"question": f"How many is {n} plus é?", "answer": f"It is {n}.\n#### {n}"}


def exam(n):
    choices = [{"label": label, "text": f"é{label}"} for label in "ABC"]
    return {"id": f"q{n}", "question": {"stem": f"Which is {n}?", "choices": choices}, "answerKey": "B"}


def instruction(n):
    return {
        "key": n,
        "prompt": f"Write é {n} without a comma.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    }


def svamp(n):
    return {"ID": f"chal-{n}", "Body": f"Zoé has {n} cups.", "Question": "How many?", "Answer": float(n)}


def truths(n):
    targets = {"é": 1, "no": 0}
    return {"question": f"Is {n} true?", "mc1_targets": targets, "mc2_targets": targets}


TRUTHFUL_COLUMNS = ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"]

# file: the task that reads it, and its text
FILES = {
    "gsm8k/test.jsonl": ("gsm8k-0shot", lines(*map(gsm8k, range(3)))),
    "gsm8k/train.jsonl": ("gsm8k", lines(*map(gsm8k, range(9)))),
    "svamp/SVAMP.json": ("svamp", json.dumps([svamp(n) for n in range(3)], ensure_ascii=False, indent=1)),
    "math500/test.jsonl": ("math500", lines(*({"problem": f"é{n}?", "answer": f"{n}"} for n in range(3)))),
    "ifeval/input_data.jsonl": ("ifeval", lines(*map(instruction, range(3)))),
    "arc/ARC-Challenge-Test.jsonl": ("arc-challenge", lines(*map(exam, range(3)))),
    "commonsenseqa/dev_rand_split.jsonl": ("commonsenseqa-reply", lines(*map(exam, range(3)))),
    "mmlu/test/anatomy_test.csv": ("mmlu-0shot", table(*([f"é {n}\nand?", "a", "b", "c", "d", "B"] for n in range(3)))),
    "mmlu/dev/anatomy_dev.csv": ("mmlu", table(*([f"é {n}?", "a", "b", "c", "d", "B"] for n in range(5)))),
    "truthfulqa/mc_task.json": ("truthfulqa", json.dumps([truths(n) for n in range(3)], ensure_ascii=False)),
    "truthfulqa/TruthfulQA.csv": (
        "truthfulqa-open",
        table(TRUTHFUL_COLUMNS, *(["T", "C", f"Is é\n{n}?", "yes", "yes; é", "no", "-"] for n in range(3))),
    ),
}


@pytest.fixture
def data(tmp_path):
    for name, (_, text) in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return tmp_path


def cut(text, share):
    """The file broken off within its text, never at the end of a row."""
    place = int(len(text) * share)
    while text[place - 1] in "\n}],BC":
        place -= 1
    return text[:place]


# What whole files suffer: the bytes that are left of a text.
WHOLE = {
    "empty": lambda text: b"",
    "blank": lambda text: b"\n \r\n\t\n",
    "only a mark": lambda text: b"\xef\xbb\xbf",
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "Latin-1": lambda text: text.encode("latin-1"),
    "zeros": lambda text: text.encode() + b"\0\0",
    "compressed": lambda text: b"\x1f\x8b\x08\x00" + text.encode()[::-1],
    "cut within a character": lambda text: text.encode()[: text.encode().rindex("é".encode()) + 1],
    "half": lambda text: cut(text, 0.5).encode(),
    "nine tenths": lambda text: cut(text, 0.93).encode(),
    "a web page": lambda text: b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
    "a pointer": lambda text: b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n",
    "another format": lambda text: b'{"questions": 3}' if not text.startswith("{") else b'"question","answer"\n',
}


def complaint(data, name):
    """The one sentence that the task of the file `name` says about it."""
    task = FILES[name][0]
    with pytest.raises(InputError) as caught:
        tasks.get(task).questions(data=data)
    said = str(caught.value)
    assert said.startswith(f"{task}: ")
    assert name.rsplit("/", 1)[1].split("_")[0].split(".")[0] in said, "the file is named"
    assert "; " in said, "a remedy is named"
    assert "\n" not in said
    assert len(said) - len(str(data)) < 420, "one sentence"
    return said


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fault", WHOLE)
def test_a_damaged_file_is_told_in_one_sentence(data, name, fault):
    """Fails when damage ends in a traceback, goes unnoticed, or is told without file and remedy."""
    (data / name).write_bytes(WHOLE[fault](FILES[name][1]))
    complaint(data, name)


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_told_in_one_sentence(data, name):
    """Fails when a folder, a broken link or nothing in a file's place is passed over or ends in a traceback."""
    (data / name).unlink()
    complaint(data, name)
    (data / name).mkdir()
    assert "must be a file" in complaint(data, name)
    (data / name).rmdir()
    (data / name).symlink_to(data / "nowhere")
    assert "No such file" in complaint(data, name)


def same_questions(data, name):
    return [
        (question.id, question.prompt, question.reference)
        for question in tasks.get(FILES[name][0]).questions(data=data)
    ]


@pytest.mark.parametrize("name", FILES)
def test_what_an_editor_does_to_a_file_is_harmless(data, name):
    """Fails when a byte order mark, other line ends, blank lines or a missing last line end change or lose a row.

    A line number is the id where a file has no other, so that blank lines go to the end here.
    """
    before, text = same_questions(data, name), FILES[name][1]
    for changed in ("\ufeff" + text, text.replace("\n", "\r\n"), text + "\n \n\n", text.rstrip("\n")):
        (data / name).write_text(changed, encoding="utf-8", newline="")
        assert same_questions(data, name) == before


# Values of another type for each field, and where the sentence says they are.
OTHERS = ["", " ", None, 7, 7.5, True, [], {}, ["a"], {"a": 1}]
FIELDS = {
    "gsm8k/test.jsonl": {"question": str, "answer": str},
    "svamp/SVAMP.json": {"ID": str, "Body": str, "Question": str, "Answer": float},
    "math500/test.jsonl": {"problem": str, "answer": str},
    "ifeval/input_data.jsonl": {"key": int, "prompt": str, "instruction_id_list": list, "kwargs": list},
    "arc/ARC-Challenge-Test.jsonl": {"id": str, "question": dict, "answerKey": str},
    "truthfulqa/mc_task.json": {"question": str, "mc1_targets": dict, "mc2_targets": dict},
}


def fits(value, kind):
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind and (kind is not str or bool(value.strip()))


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in FIELDS for field in FIELDS[name]])
def test_a_field_that_is_missing_or_of_another_type_is_told_with_its_row(data, name, field):
    """Fails when a row without a field, or with another type in it, is asked, or is told without its place."""
    as_list = name.endswith(".json")
    rows = json.loads(FILES[name][1]) if as_list else [json.loads(line) for line in FILES[name][1].splitlines()]

    def told(row):
        changed = [*rows[:-1], row]
        (data / name).write_text(json.dumps(changed) if as_list else lines(*changed), encoding="utf-8")
        said = complaint(data, name)
        assert re.search(rf"(entry|line) {len(rows)} ", said)
        return said

    assert field in told({key: value for key, value in rows[-1].items() if key != field})
    for value in OTHERS:
        if not fits(value, FIELDS[name][field]):
            assert field in told(rows[-1] | {field: value})
    told([1, 2])
    told("text")
    told(None)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("svamp/SVAMP.json", "chal-1"),
        ("ifeval/input_data.jsonl", "1"),
        ("arc/ARC-Challenge-Test.jsonl", "q1"),
        ("commonsenseqa/dev_rand_split.jsonl", "q1"),
        ("truthfulqa/mc_task.json", "Is 1 true"),
        ("truthfulqa/TruthfulQA.csv", "Is é"),
    ],
)
def test_an_id_that_stands_twice_is_told(data, name, key):
    """Fails when two questions of one id are both asked, and one record takes the place of the other."""
    text = FILES[name][1]
    if name.endswith(".json"):
        rows = json.loads(text)
        text = json.dumps([*rows, rows[1]], ensure_ascii=False)
    elif name.endswith(".csv"):
        rows = list(csv.reader(io.StringIO(text)))
        text = table(*rows, rows[1])
    else:
        text += text.splitlines()[1] + "\n"
    (data / name).write_text(text, encoding="utf-8")
    assert key in complaint(data, name)


@pytest.mark.parametrize("name", FILES)
def test_json_that_python_cannot_hold_is_told(data, name):
    """Fails when brackets nested too deeply, a number of too many digits or half a character end in a traceback."""
    for text in ("[" * 100_000, '{"a": ' * 100_000, "[" + "9" * 5000 + "]", '["\\ud83d"]'):
        (data / name).write_text(text + "\n" if name.endswith(".jsonl") else text, encoding="utf-8")
        complaint(data, name)


def test_rows_of_another_length_and_open_quotes_are_told_with_their_line(data):
    """Fails when a comma or a quote too many moves answers among the columns."""
    name = "mmlu/test/anatomy_test.csv"
    for damaged, line in (('a,b,c,d,e,B,"x"\n', 7), ('a,b,c,d,"e,B\n', 7), ("a,b,c,d,e\n", 7), ('a,"b"x,c,d,e,B\n', 7)):
        (data / name).write_text(FILES[name][1] + damaged, encoding="utf-8", newline="")
        assert f"line {line} " in complaint(data, name)
    for row, must in (("a,b,c,d,e,F\n", "have an answer from A to D"), ("a,b, ,d,e,B\n", "have a right choice")):
        (data / name).write_text(FILES[name][1] + row, encoding="utf-8", newline="")
        assert f"line 7 must {must}" in complaint(data, name)


def test_a_row_is_told_in_one_sentence_however_long_its_labels_are(data):
    """Fails when a message repeats a whole row."""
    name = "arc/ARC-Challenge-Test.jsonl"
    row = exam(3)
    row["question"]["choices"][1]["label"] = "B" * 10_000
    (data / name).write_text(FILES[name][1] + lines(row), encoding="utf-8")
    assert "line 4 must have an answerKey among different labels" in complaint(data, name)


def test_every_task_is_listed_under_its_name():
    """Fails when a module has a task that `get` does not know, or a name leads to another task."""
    homes = {tasks.get(name).__class__.__module__: name for name in tasks.NAMES}
    for home in {*homes, "proxyalign.tasks.mmlu", "proxyalign.tasks.arc", "proxyalign.tasks.commonsenseqa"}:
        listed = getattr(import_module(home), "TASKS", {})
        assert set(listed) <= set(tasks.NAMES)
        assert all(listed[name].name == name for name in listed)
