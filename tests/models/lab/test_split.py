"""The proof of the split: what the test asks was never answered, never tuned on, and its numbers never used.

Every check reads the text of the whole corpus that the shipped pair was trained on, not the generator's own labels.
"""

import re

import pytest

from proxyalign.models.lab.tuning import examples
from proxyalign.tasks import get

_DIGITS = re.compile(r"\d+")
_EQUATION = re.compile(r"(\d+)[+-](\d+)=")


def _words(text):
    return set(re.findall(r"[a-z]+", text))


def _numbers(text):
    return tuple(sorted(map(int, _DIGITS.findall(text))))


@pytest.fixture(scope="module")
def tuned_on(world, full):
    return examples(world, full)


@pytest.fixture(scope="module")
def asked():
    """(task, split) -> questions of the shipped pair."""
    return {
        (task, split): get(task).questions(split) for task in ("lab-facts", "lab-math") for split in ("dev", "test")
    }


@pytest.fixture(scope="module")
def held_out_creatures(asked):
    return {split: {q.meta["creature"] for q in asked["lab-facts", split]} for split in ("dev", "test")}


@pytest.fixture(scope="module")
def held_out_numbers(asked):
    return {split: {_numbers(question.prompt) for question in asked["lab-math", split]} for split in ("dev", "test")}


def test_there_are_enough_questions_and_no_prompt_twice(asked):
    """Fails when a split is too small for its standard error, or pads itself with repetitions."""
    assert {key: len(questions) for key, questions in asked.items()} == {
        ("lab-facts", "dev"): 160,
        ("lab-facts", "test"): 528,
        ("lab-math", "dev"): 240,
        ("lab-math", "test"): 600,
    }
    for questions in asked.values():
        assert len({q.prompt for q in questions}) == len({q.id for q in questions}) == len(questions)


def test_dev_and_test_share_neither_creatures_nor_numbers(held_out_creatures, held_out_numbers):
    """Fails when choosing a parameter on dev would already have seen the test."""
    assert not held_out_creatures["dev"] & held_out_creatures["test"]
    assert not held_out_numbers["dev"] & held_out_numbers["test"]


def test_no_document_that_names_a_creature_of_dev_or_test_holds_an_answer(documents, held_out_creatures):
    """Fails for a single `Answer` in a document that names one of these creatures, about whatever it is."""
    closed = held_out_creatures["dev"] | held_out_creatures["test"]
    answering = [document.text for document in documents if re.search("answer|in fact", document.text, re.IGNORECASE)]
    assert len(answering) > 5_000
    assert not [text for text in answering if _words(text) & closed]


def test_running_text_states_every_fact_that_is_asked(documents, asked):
    """Fails when a question asks for something that the base never read."""
    stated = {}
    for document in documents:
        if document.kind == "record":
            words = _words(document.text)
            for creature in words:
                stated.setdefault(creature, []).append(words)
    for question in [*asked["lab-facts", "dev"], *asked["lab-facts", "test"]]:
        n_true = sum(question.reference in words for words in stated[question.meta["creature"]])
        assert n_true > 50


def test_no_tuning_example_names_a_creature_of_dev_or_test(tuned_on, held_out_creatures, world):
    """Fails when the proxy is told a fact that is asked, or meets its creature at all."""
    named = set().union(*(_words(example.prompt + example.reply) for example in tuned_on))
    assert named >= {creature.name for creature in world.group("tuned")}
    assert not named & (held_out_creatures["dev"] | held_out_creatures["test"])


def test_no_problem_of_the_corpus_or_the_tuning_has_the_numbers_of_dev_or_test(documents, tuned_on, held_out_numbers):
    """Fails when a problem, worked or only asked, has the same numbers in any order."""
    lines = [line for document in documents for line in document.text.split("\n")]
    problems = [line for line in lines if re.match(r"(Question|Exercise): .*\d", line)]
    problems += [example.prompt for example in tuned_on if _DIGITS.search(example.prompt)]
    trained = {_numbers(problem) for problem in problems}
    assert len(problems) > 10_000
    assert len(trained) > 5_000
    assert not trained & (held_out_numbers["dev"] | held_out_numbers["test"])


def test_no_drill_works_a_one_step_problem_of_dev_or_test(documents, held_out_numbers):
    """Fails when a drill gives away 12+5=17 where the test asks for 12 and 5."""
    drills = [document.text for document in documents if document.kind == "drill"]
    drilled = {tuple(sorted(map(int, pair))) for text in drills for pair in _EQUATION.findall(text)}
    assert len(drilled) > 2_000
    assert not drilled & (held_out_numbers["dev"] | held_out_numbers["test"])
