"""SVAMP: prompts from the data folder, ids and splits of its rows, and scores by value."""

import json
import os
from pathlib import Path

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.files import sha256

needs_data = pytest.mark.skipif(
    not os.environ.get("PROXYALIGN_DATA"), reason="PROXYALIGN_DATA does not name a folder with the benchmark files"
)


def row(number, answer=3.0):
    return {"ID": f"chal-{number}", "Body": f"Tom has {number} cups ", "Question": "How many?", "Answer": answer}


@pytest.fixture
def data(tmp_path):
    """A folder with the public part, 20 rows of which the last has a whole number in place of a float."""
    (tmp_path / "svamp").mkdir()
    rows = [row(n) for n in range(1, 20)] + [row(20, answer=1200)]
    (tmp_path / "svamp" / "SVAMP_public.json").write_text(json.dumps(rows))
    return tmp_path


def test_a_prompt_is_the_story_and_its_question(data):
    """Fails when a part is missing, or the chat message holds the plain prompt's marks."""
    question = tasks.get("svamp").questions(data=data, limit=1)[0]
    assert question.prompt.endswith("Question: Tom has 1 cups How many?\nAnswer:")
    assert question.message.endswith(".\n\nTom has 1 cups How many?")
    assert "####" in question.prompt
    assert "####" in question.message
    assert (question.id, question.reference) == ("chal-1", "3.0")


def test_the_original_file_is_taken_before_the_public_part(data):
    """Fails when the order of the two names is turned round, or a private file with other rows is refused."""
    (data / "svamp" / "SVAMP.json").write_text(json.dumps([row(7)]))
    assert [question.id for question in tasks.get("svamp").questions(data=data)] == ["chal-7"]


def test_each_row_is_asked_in_its_split(data):
    """Fails when dev and held-out share a row or leave one out, or test is not all of them."""
    task = tasks.get("svamp")
    parts = {split: [question.id for question in task.questions(split, data)] for split in task.splits}
    assert len(parts["test"]) == 20
    assert sorted(parts["dev"] + parts["held-out"]) == sorted(parts["test"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Answer": "3"}, "entry 20 must have a finite number as its Answer, got '3'"),
        ({"Answer": True}, "entry 20 must have a finite number as its Answer, got True"),
        ({"Answer": float("nan")}, "entry 20 must have a finite number as its Answer, got nan"),
        ({"ID": "chal-2"}, "entry 20 must have its own ID, got 'chal-2' as 2 has"),
        ({"Body": " "}, "entry 20 must have a text as its Body, got ' '"),
        ({"Question": None}, "entry 20 must have a text as its Question, got None"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(data, change, told):
    """Fails when a row without an answer, or one of two rows of one id, is asked or passed over."""
    path = data / "svamp" / "SVAMP_public.json"
    rows = json.loads(path.read_text())
    rows[-1] |= change
    path.write_text(json.dumps(rows))
    with pytest.raises(InputError) as caught:
        tasks.get("svamp").questions(data=data)
    assert f"{path} {told}" in str(caught.value)


@needs_data
def test_every_answer_of_the_real_file_scores_as_right():
    """Fails when one of SVAMP's own answers is misread, in the asked form, in a box or in a sentence."""
    task = tasks.get("svamp")
    for question in task.questions():
        whole = question.reference.removesuffix(".0")
        for reply in (f"1 and 2.\n#### {whole}", f"1 or 2: \\boxed{{{question.reference}}}", f"It is ${whole}."):
            assert task.score(question, reply).correct, (question, reply)
        assert task.score(question, f"#### {question.reference}").strict


@needs_data
@pytest.mark.parametrize("name", ["gsm8k", "svamp", "math500"])
def test_the_real_files_have_the_checksums_that_the_task_knows(name):
    """Fails when a checksum is another file's; a folder may hold other editions, under other names."""
    task = tasks.get(name)
    paths = {known: os.path.join(os.environ["PROXYALIGN_DATA"], known) for known in task.checksums}
    found = {known: sha256(Path(path)) for known, path in paths.items() if os.path.exists(path)}
    assert found
    assert found == {known: task.checksums[known] for known in found}
