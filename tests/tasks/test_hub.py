"""Benchmarks from the hub are the authors' files again; the hub is pretended here, with rows in its own form."""

import sys
from types import SimpleNamespace

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError

SUBJECTS = ("anatomy", "virology")
TRUTHS = {"choices": ["yes é", "no"], "labels": [1, 0]}
EXAM = {"id": "q1", "question": "Which?", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "2"}
MMLU = [
    {"question": f"What,\n{n}?", "subject": subject, "choices": ["a", "b,", 'c"', "d"], "answer": n % 4}
    for subject in SUBJECTS
    for n in range(5)
]
TOLD = {"Body": "Zoé has 3.", "Question": "How many?", "Equation": "3", "Type": "Addition", "question_concat": "-"}
# name, configuration and split of a data set: its rows, as the hub has them
HUB = {
    ("openai/gsm8k", "main", "train"): [{"question": f"{n}?", "answer": f"#### {n}"} for n in range(9)],
    ("openai/gsm8k", "main", "test"): [{"question": "é?", "answer": "#### 5"}],
    ("ChilleD/SVAMP", None, "train"): [
        {"ID": "chal-10", "Answer": "3.0"} | TOLD,
        {"ID": "chal-1", "Answer": "4"} | TOLD,
    ],
    ("ChilleD/SVAMP", None, "test"): [{"ID": "chal-2", "Answer": "5.0"} | TOLD],
    ("HuggingFaceH4/MATH-500", None, "test"): [{"problem": "é", "answer": "x", "unique_id": "a", "level": 2}],
    ("google/IFEval", None, "train"): [
        {
            "key": 1000,
            "prompt": "Write é.",
            "instruction_id_list": ["punctuation:no_comma"],
            "kwargs": [{"num_words": None, "relation": None}],
        }
    ],
    ("cais/mmlu", "all", "dev"): MMLU,
    ("cais/mmlu", "all", "test"): MMLU,
    ("allenai/ai2_arc", "ARC-Challenge", "test"): [EXAM],
    ("tau/commonsense_qa", None, "validation"): [EXAM | {"question_concept": "which"}],
    ("truthfulqa/truthful_qa", "multiple_choice", "validation"): [
        {"question": "Is it?", "mc1_targets": TRUTHS, "mc2_targets": TRUTHS}
    ],
    ("truthfulqa/truthful_qa", "generation", "validation"): [
        {
            "type": "Adversarial",
            "category": "Law",
            "question": "Is it?",
            "best_answer": "yes é",
            "correct_answers": ["yes é", "It is"],
            "incorrect_answers": ["no"],
            "source": "-",
        }
    ],
}


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The splits that were loaded from the pretended hub, in order."""
    loaded = []

    def load_dataset(name, config=None, *, split):
        loaded.append((name, config, split))
        return HUB[loaded[-1]]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setenv("PROXYALIGN_CACHE", str(tmp_path / "cache"))
    return loaded


@pytest.mark.parametrize(
    ("name", "ids", "references"),
    [
        ("gsm8k", ["test-1"], ["5"]),
        ("svamp", ["chal-1", "chal-2", "chal-10"], ["4.0", "5.0", "3.0"]),
        ("math500", ["test-1"], ["x"]),
        ("ifeval", ["1000"], ['[["punctuation:no_comma", {}]]']),
        ("arc-challenge", ["q1"], [1]),
        ("commonsenseqa", ["q1"], [1]),
        ("truthfulqa", ["1"], [0]),
        ("truthfulqa-open", ["1"], ["yes é"]),
    ],
)
def test_a_data_set_of_the_hub_is_asked_as_its_file_is(asked, name, ids, references):
    """Fails when a row is lost, renamed or in another order than in the authors' file."""
    questions = tasks.get(name).questions(data="hub")
    assert [question.id for question in questions] == ids
    assert [question.reference for question in questions] == references


def test_mmlu_of_the_hub_is_one_file_a_subject(asked):
    """Fails when subjects are mixed, or quotes and line breaks of a cell are lost."""
    questions = tasks.get("mmlu").questions(data="hub")
    assert {question.id for question in questions} == {f"{subject}-{n}" for subject in SUBJECTS for n in range(1, 6)}
    assert all("What,\n" in question.prompt and 'C. c"\n' in question.prompt for question in questions)
    assert sorted(question.reference for question in questions) == sorted(row["answer"] for row in MMLU)


def test_what_was_loaded_once_is_kept(asked):
    """Fails when a second run, or another task of the same data, needs the hub again."""
    tasks.get("truthfulqa").questions(data="hub")
    n_loaded = len(asked)
    assert n_loaded
    tasks.get("truthfulqa").questions(data="hub")
    tasks.get("truthfulqa-reply").questions(data="hub")
    assert len(asked) == n_loaded


def test_a_hub_out_of_reach_or_with_other_fields_is_told_in_a_sentence(asked, monkeypatch):
    """Fails when being offline, a missing package or a renamed field ends in a traceback, or leaves half a file."""

    def complaint():
        with pytest.raises(InputError) as caught:
            tasks.get("svamp").questions(data="hub")
        assert "\n" not in str(caught.value)
        assert "data= (--data), a folder" in str(caught.value)
        return str(caught.value)

    monkeypatch.setitem(HUB, ("ChilleD/SVAMP", None, "test"), [{"ID": "chal-2", "Answer": "5.0"}])
    assert "KeyError('Body')" in complaint()

    def offline(*name, split):
        raise ConnectionError("no route\nto host")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=offline))
    assert "got ConnectionError: no route to host; go online" in complaint()
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "datasets must be installed to load ChilleD/SVAMP" in complaint()
    with pytest.raises(InputError, match="data must be"):
        tasks.get("lab-math").questions(data="hub")
