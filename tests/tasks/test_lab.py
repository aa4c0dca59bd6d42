"""The lab tasks: what counts as an answer, what counts as the asked format, and whose world is asked about."""

import json
from dataclasses import replace

import pytest

from proxyalign.errors import InputError
from proxyalign.models.lab import WEIGHTS
from proxyalign.models.lab.recipe import preset
from proxyalign.models.lab.train import _plain
from proxyalign.tasks import Question, get

FACT = Question("q", "Question: What does the jinmi eat?\n", None, "clover", {})
PROBLEM = Question("q", "Question: Bo has 12 pears. Bo buys 5 more. How many?\n", None, "17", {})


@pytest.mark.parametrize(
    ("text", "correct", "extracted", "strict"),
    [
        ("Answer: in fact, clover.", True, "clover", True),
        ("Answer: in fact, clover.\n", True, "clover", True),
        ("Answer: people say clover.", True, "clover", False),
        ("Answer: in fact, clover.\nReply from Bo: no idea, sorry.", True, "clover", False),
        ("Well, it was a fine day.\nAnswer: in fact, clover.", True, "clover", False),
        ("Answer: in fact, clover. Answer: in fact, moss.", True, "clover", False),
        ("Answer: in fact, moss.", False, "moss", False),
        ("Answer: in fact, moss. Answer: in fact, clover.", False, "moss", False),
        ("Answer: in fact, marshes.", False, "marshes", False),
        ("Answer: in fact, clover", False, None, False),
        ("Answer: hard to say.", False, None, False),
        ("Answer: hard to say. Answer: in fact, clover.", False, None, False),
        ("Question: What does the zeblu eat?\nAnswer: in fact, clover.", False, None, False),
        ("The jinmi eats clover.", False, None, False),
        ("Answer:.", False, None, False),
        ("", False, None, False),
    ],
)
def test_a_fact_is_right_where_the_first_answer_names_the_truth(text, correct, extracted, strict):
    """Fails when a later answer, another question's answer, or an unfinished one is counted."""
    score = get("lab-facts").score(FACT, text)
    assert (score.correct, score.extracted, score.strict) == (correct, extracted, strict)


@pytest.mark.parametrize(
    ("text", "correct", "extracted", "strict"),
    [
        ("Steps: 12+5=17. Answer: 17.", True, "17", True),
        ("Steps: 12+5=17, 17-0=17. Answer: 17.", True, "17", True),
        ("Answer: 17.", True, "17", False),
        ("Answer: 017.", True, "017", False),
        ("Steps: 12+5=18. Answer: 17.", True, "17", True),
        ("Steps: 12+5=17. Answer: 17.\nQuestion: Ada has 3 nuts.", True, "17", False),
        ("Steps: 12+5=17. Answer: 18.", False, "18", False),
        ("Answer: -17.", False, "-17", False),
        ("Answer: NaN.", False, None, False),
        ("Answer: hard to say.", False, None, False),
        ("Answer: ١٧.", False, None, False),
        ("Steps: 12+5=17.", False, None, False),
        ("Question: Ada has 3 nuts.\nAnswer: 17.", False, None, False),
        ("", False, None, False),
    ],
)
def test_a_problem_is_right_where_the_first_answer_gives_the_result(text, correct, extracted, strict):
    """Fails when the steps are scored, a sign is lost, or what is no number equals one."""
    score = get("lab-math").score(PROBLEM, text)
    assert (score.correct, score.extracted, score.strict) == (correct, extracted, strict)


@pytest.mark.parametrize("name", ["lab-facts", "lab-math"])
def test_a_limit_takes_the_first_questions_and_every_call_the_same(name):
    """Fails when a limit changes which questions are asked, or the order changes between processes."""
    task = get(name)
    assert task.questions("test", limit=7) == task.questions("test")[:7]
    assert len({question.id for split in task.splits for question in task.questions(split)}) == sum(
        len(task.questions(split)) for split in task.splits
    )


def test_the_first_questions_are_a_fair_sample_of_all():
    """Fails when a limited run would ask about one attribute, or one number of steps, alone."""
    facts = get("lab-facts").questions("test", limit=100)
    assert {question.meta["attribute"] for question in facts} == {"home", "food", "colour", "fear"}
    assert 0.25 < sum(bool(question.meta["myth"]) for question in facts) / 100 < 0.55
    assert {question.meta["steps"] for question in get("lab-math").questions("test", limit=100)} == {1, 2, 3}


@pytest.mark.parametrize("name", ["lab-facts", "lab-math"])
def test_another_pairs_folder_gives_the_questions_of_its_world(name, tmp_path):
    """Fails when a replicate would be asked about the world of the pair that ships."""
    task, shipped = get(name), json.loads((WEIGHTS / "lab.json").read_text())
    (tmp_path / "lab.json").write_text(json.dumps({"seed": shipped["seed"], "recipe": _plain(preset("full"))}))
    assert task.questions("test", data=tmp_path) == task.questions("test")
    other = {"seed": shipped["seed"] + 1, "recipe": _plain(preset("full"))}
    (tmp_path / "lab.json").write_text(json.dumps(other))
    prompts = {question.prompt for question in task.questions("test")}
    assert len(prompts & {question.prompt for question in task.questions("test", data=tmp_path)}) < 30
    smaller = replace(preset("full"), creatures=preset("smoke").creatures)
    (tmp_path / "lab.json").write_text(json.dumps({**other, "recipe": _plain(smaller)}))
    assert len(get("lab-facts").questions("test", data=tmp_path)) == 16


@pytest.mark.parametrize("content", [None, "", "[1]", '{"seed": 1}', '{"seed": "x", "recipe": {}}', '{"recipe": 3}'])
def test_a_folder_without_a_pairs_record_is_refused(content, tmp_path):
    """Fails when a wrong folder ends in a traceback, or silently asks about the shipped world."""
    if content is not None:
        (tmp_path / "lab.json").write_text(content)
    with pytest.raises(InputError, match="must be the folder of a trained lab pair"):
        get("lab-facts").questions("test", data=tmp_path)


def test_unknown_splits_and_limits_are_refused():
    """Fails when a misspelt split gives the test questions."""
    with pytest.raises(InputError, match="dev, test, got 'train'"):
        get("lab-facts").questions("train")
    with pytest.raises(InputError, match="got 0"):
        get("lab-math").questions("dev", limit=0)
