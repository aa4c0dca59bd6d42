"""Settings refuse what no run can have, and tell runs apart."""

import dataclasses
import math

import pytest

from proxyalign import tasks
from proxyalign.errors import InputError
from proxyalign.evaluation.settings import differences, questions_digest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "fast"),
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("rule_temperature", math.nan),
        ("window", 0),
        ("max_new_tokens", 0),
        ("seed", -1),
        ("rows", -1),
        ("window", 2.5),
        ("seed", True),
        ("limit", 0),
        ("task_version", 0),
    ],
)
def test_a_value_that_no_run_can_have_is_refused_by_name(settings, name, value):
    """Fails when a check lets NaN through, or the sentence leaves out the name, the value or the remedy."""
    with pytest.raises(InputError, match=f"{name} must be .*, got {value!r}; pass"):
        dataclasses.replace(settings, **{name: value})


def test_runs_that_one_folder_may_hold_have_different_names(settings):
    """Fails when two runs of a study would claim one folder."""
    changes = [
        {},
        {"parameters": {"alpha": 0.40000001}},
        {"rule": "nudging"},
        {"mode": "speculative"},
        {"mode": "speculative", "window": 3},
        {"temperature": 0.0},
        {"rule_temperature": 0.0},
        {"seed": 1},
        {"task": "gsm8k"},
        {"base_chat": True},
    ]
    slugs = [dataclasses.replace(settings, **change).slug for change in changes]
    assert len(set(slugs)) == len(changes)
    assert slugs[0] == "gsm8k-0shot_dual-alpha0.4_autoregressive_t1.0_seed5"
    assert dataclasses.replace(settings, temperature=1).slug == slugs[0]


def test_differences_are_told_by_name_and_cut_short():
    """Fails when a long list hides the rest of the message, or a missing entry is taken for an equal one."""
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 2}) == ""
    assert differences({"a": 1}, {"b": "x"}) == 'a 1 there and null here, b null there and "x" here'
    assert len(differences({"a": list(range(99))}, {"a": 0})) < 100


def test_the_digest_of_questions_sees_every_part_and_the_order(data):
    """Fails when a changed prompt or reference would pass for the old data."""
    questions = tasks.get("gsm8k-0shot").questions(data=data)
    parts = ("id", "prompt", "proxy_prompt", "reference")
    changed = [dataclasses.replace(questions[0], **{name: "x"}) for name in parts]
    digests = [questions_digest([first, *questions[1:]]) for first in [questions[0], *changed]]
    assert len({*digests, questions_digest(questions[::-1]), questions_digest(questions[:-1])}) == 7


def test_the_digest_of_questions_sees_choices_and_what_a_template_wraps(data):
    """Fails when other choices pass for the old ones, or a message that nobody reads makes another run."""
    first = dataclasses.replace(tasks.get("gsm8k-0shot").questions(data=data)[0], message=None)
    chosen = dataclasses.replace(first, choices=(" a", " b"), others=(" c",))
    moved = dataclasses.replace(first, choices=(" a", " b", " c"))
    said = dataclasses.replace(first, message="How far?")
    assert len({questions_digest([one]) for one in (first, chosen, moved)}) == 3
    assert questions_digest([said]) == questions_digest([first])
    assert questions_digest([said], in_chat=True) != questions_digest([first], in_chat=True)


def test_the_digest_of_questions_is_that_of_the_first_version():
    """Fails when runs of lab-math that were made before cannot go on: their folders hold this digest."""
    questions = tasks.get("lab-math").questions(limit=40)
    assert questions_digest(questions) == "32bc825d7ccc1ffede49cc8e9fa1ac80f0887432f85bdaffd1cadcc429e5e83e"


def test_a_chat_of_the_base_is_one_of_the_proxy_too(settings):
    """Fails when `base_chat` alone makes a run in which the aligned model reads a plain prompt."""
    asked = dataclasses.replace(settings, base_chat=True)
    assert asked.proxy_chat
    assert asked == dataclasses.replace(settings, base_chat=True, proxy_chat=True)
