"""Choice tasks: what likelihoods are worth, ties and NaN included, and replies with a letter."""

import math

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.tasks.base import Question
from proxyalign.tasks.choices import Item, credit

NAN, NONE = math.nan, -math.inf
LETTERS = Question("1", "", None, 2, choices=(" A", " B", " C", " D"))
TEXTS = Question("1", "", None, 1, choices=(" ab", " abcdefgh", " a"))
REPLY = Question("1", "", None, "B", choices=("a car", "bank", "library"))


@pytest.mark.parametrize(
    ("values", "correct", "extracted", "earned"),
    [
        ((-3.0, -2.0, -1.0, -4.0), True, "2", 1),
        ((-1.0, -2.0, -3.0, -4.0), False, "0", 0),
        ((-1.0, -2.0, -1.0, -4.0), False, None, 1 / 2),
        ((-1.0, -1.0, -2.0, -1.0), False, None, 0),
        ((-1.0, -1.0, -1.0, -1.0), False, None, 1 / 4),
        ((NONE, NONE, NONE, NONE), False, None, 1 / 4),
        ((NONE, NONE, -800.0, NONE), True, "2", 1),
        ((NAN, NAN, NAN, NAN), False, None, 0),
        ((-3.0, -2.0, -1.0, NAN), False, None, 0),
        ((-3.0, -2.0, NAN, -1.0), False, None, 0),
    ],
)
def test_a_tie_shares_its_credit_and_no_number_earns_nothing(values, correct, extracted, earned):
    """Fails when the first of several likeliest is chosen, or NaN is larger or smaller than a number."""
    score = tasks.get("mmlu").score(LETTERS, values)
    assert (score.correct, score.strict, score.extracted) == (correct, correct, extracted)
    assert score.measures == {"credit": (earned, 1.0)}


def test_no_place_in_the_list_is_favoured():
    """Fails when a likelihood's worth depends on where it stands."""
    for right in range(4):
        assert credit([-2.0] * 4, right) == 1 / 4
        assert credit([-1.0 if place == right else -2.0 for place in range(4)], right) == 1
        assert tasks.get("mmlu").score(LETTERS, [-2.0] * 4).extracted is None


def test_texts_are_compared_by_their_sum_and_by_character():
    """Fails when the blank counts as a character, or the length decides where the sum should."""
    arc = tasks.get("arc-challenge")
    score = arc.score(TEXTS, [-2.0, -4.0, -3.0])  # by character: -1, -.5, -3
    assert (score.correct, score.extracted) == (False, "0")
    assert score.measures == {"credit": (0.0, 1.0), "acc_norm": (1.0, 1.0)}
    assert arc.score(TEXTS, [-2.0, -8.0, -1.0]).measures["acc_norm"] == (1 / 3, 1.0)
    assert arc.score(TEXTS, [-2.0, NAN, -1.0]).measures == {"credit": (0.0, 1.0), "acc_norm": (0.0, 1.0)}


def test_each_choice_needs_its_likelihood():
    """Fails when a missing number is taken for the choice that stands there."""
    for name in ("mmlu", "arc-challenge", "truthfulqa"):
        with pytest.raises(InputError, match=r"log_likelihoods must be one for each choice, 4 for question 1, got 3"):
            tasks.get(name).score(LETTERS, [-1.0, -2.0, -3.0])


@pytest.mark.parametrize(
    ("reply", "correct", "strict", "extracted"),
    [
        (" B", True, True, "B"),
        (" Banks lend.\nAnswer: B", True, True, "B"),
        (" The answer is B because a car moves.", True, False, "B"),
        (" bank", True, False, "B"),
        (" 2", True, False, "B"),
        (" C", False, False, "C"),
        (" B\n\nQuestion: What is blue?\nA. sky\nAnswer: A", True, True, "B"),
        (" B\n\nQ: What is blue?\nAnswer: A", True, True, "B"),
        ("Question: What is blue?\nAnswer: B", False, False, None),
        (" D", False, False, None),
        (" Based on", False, False, None),
        ("", False, False, None),
    ],
)
def test_a_reply_is_scored_by_its_letter_up_to_the_next_question(reply, correct, strict, extracted):
    """Fails for a letter of a next question, one that was not shown, and where None could equal a reference."""
    score = tasks.get("arc-challenge-reply").score(REPLY, reply)
    assert (score.correct, score.strict, score.extracted) == (correct, strict, extracted)


def test_a_question_made_by_hand_may_list_no_choices():
    """Fails when a reply to it cannot be read."""
    question = Question("1", "Question: ...\nAnswer:", None, "E")
    assert tasks.get("commonsenseqa-reply").score(question, "Answer: E").strict
    assert not tasks.get("commonsenseqa-reply").score(question, "Answer: F").correct


def test_an_item_is_written_with_its_heading_examples_and_letters():
    """Fails when an example keeps its answer to itself, or a blank line or a letter is missing."""
    example = Item("x", "One?", ("yes", "no"), 1)
    item = Item("y", "Two?", ("a", "b", "c"), 0, topic="sums", examples=(example,))
    assert item.led("Question: ") == (
        "The following are multiple choice questions (with answers) about sums.\n\n"
        "Question: One?\nA. yes\nB. no\nAnswer: B\n\nQuestion: Two?\nA. a\nB. b\nC. c\nAnswer:"
    )
    assert example.led() == "One?\nA. yes\nB. no\nAnswer:"
