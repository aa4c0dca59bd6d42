"""Replies to GSM8K and SVAMP: each kind that is known to be scored wrongly elsewhere is scored as it is meant."""

import math

import pytest

from proxyalign import tasks
from proxyalign.tasks.base import Question
from proxyalign.tasks.numeric import own_reply

# reply, reference, verdict; the source of the report in brackets
REPORTED = [
    ("so it is $29.00.", "29", True),  # lm-evaluation-harness #3214
    ("72, in total.", "72", True),  # HELM #4337
    ("18 eggs...", "18", True),
    ("from $200,000 he has $70,000", "70000", True),  # OpenCompass, pull request 2426
    ("from $200,000 he has $70,000", "200000", False),
    ("#### 18\nQuestion: How many? ... #### 5", "18", True),  # sglang, pull request 29933
    ("#### 18\nQuestion: How many? ... #### 5", "5", False),
    ("18\n\nProblem 2: 5 and 6", "18", True),
    ("18\n\nQ: 5 and 6", "18", True),
    ("18\n### Question 2: 5 and 6", "18", True),
    ("18\nHuman: 5 and 6", "18", True),
    ("The answer is -10.", "-10", True),
    ("The answer is -10.", "10", False),
    ("**73**", "73", True),  # Math-Verify #76
    ("Answer: 70,000.\n\nQuestion: Tom has 3", "70000", True),
    ("Answer: 70,000.\n\nTom has 3", "70000", True),
    ("5,10", "510", False),
    ("5,10", "10", True),
    ("1e3", "1000", True),
    ("3 1/2", "3.5", True),
    ("\\boxed{18}", "18", True),  # lm-evaluation-harness #1204, lighteval #686
    ("51", "51.0", True),
    ("51.0", "51", True),
    ("none", "51.0", False),
    ("NaN", "NaN", False),
    ("nan", "nan", False),
    ("infinity", "inf", False),
    ("", "0", False),
    ("1/2", "2", False),
]


@pytest.mark.parametrize("name", ["gsm8k", "svamp"])
@pytest.mark.parametrize(("reply", "reference", "right"), REPORTED)
def test_a_reply_that_is_misread_elsewhere_is_scored_as_it_is_meant(name, reply, reference, right):
    """Fails for each fault that the table's reports are about, in either task."""
    assert tasks.get(name).score(Question("1", "", None, reference), reply).correct is right


def measures(reply, reference):
    score = tasks.get("gsm8k").score(Question("1", "", None, reference), reply)
    assert all(weight == 1 for _, weight in score.measures.values())
    return score.correct, *(score.measures[name][0] == 1 for name in ("flexible", "authors"))


def test_flexible_takes_any_number_of_the_last_sentence_and_authors_drops_signs():
    """Fails when a measure for comparison becomes the verdict, or accepts more than it says."""
    assert measures("So 5 boxes (7 each).", "7") == (True, True, True)
    assert measures("So 5 boxes (7 each).", "5") == (False, True, False)
    assert measures("He had 5. So 6 boxes (7 each). Good!", "5") == (False, False, False)
    assert measures("The answer is -10.", "10") == (False, False, True)
    assert measures("The answer is 10.", "-10") == (False, False, True)
    assert measures("none", "-10") == (False, False, False)
    assert measures("none", "none") == (False, False, False)


def test_a_reference_may_be_a_float():
    """Fails for a task whose rows hold numbers in place of texts."""
    assert tasks.get("svamp").score(Question("1", "", None, 51.0), "so 51").correct
    assert not tasks.get("svamp").score(Question("1", "", None, math.nan), "NaN").correct


def test_a_question_within_the_reply_is_no_next_question():
    """Fails when a word or a heading of the reply itself ends it."""
    assert own_reply("The question: 5. A problem: 6.\nWe use Q = 7") == "The question: 5. A problem: 6.\nWe use Q = 7"
    assert own_reply("\nProblem: how many? 5\n\nProblem 2: 6") == "\nProblem: how many? 5"
    assert own_reply("5 Question: 6") == "5 "
