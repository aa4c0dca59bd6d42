"""Measures of replies, by hand: what ends, what is buried, what repeats, and whose token is of what kind."""

import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import word_tokenizer
from written_runs import record

from proxyalign import load_pair
from proxyalign.decoding.trace import Trace
from proxyalign.errors import InputError
from proxyalign.evaluation.measures import by_kind, holds, kinds, of_budget, of_record, of_run, reply_measures
from proxyalign.evaluation.measures import text_measures as measured
from proxyalign.tasks import Question, Score

QUESTION = Question("q", "Question", None, "12")


def trace_of(tokenizer, ids, sources, mass=None, n_cycles=0):
    mass = np.full(len(ids), 0.25) if mass is None else np.array(mass)
    source = np.array(sources)
    return Trace(np.array(ids), source, np.ones(len(ids)), mass, tokenizer=tokenizer, n_cycles=n_cycles)


def test_text_measures_by_hand():
    """Fails for n-grams of characters, runs across replies, and a first occurrence that counts as a repeat."""
    text = "a b a b a b c"
    found = measured(text)
    assert found["words"] == (7, 1)
    assert found["distinct-1"] == (3, 7)  # a, b, c
    assert found["distinct-2"] == (3, 6)  # ab, ba, bc
    assert found["repeated-4"] == (1, 4)  # abab twice; baba, babc
    assert found["compression"] == (len(zlib.compress(text.encode(), 9)), 13)


def test_a_text_shorter_than_a_run_has_no_weight():
    """Fails when an empty reply is all distinct or all repeated, and drags a run's number to either end."""
    assert all(weight == 0 for name, (_, weight) in measured("").items() if name != "words")
    assert measured("one two three")["repeated-4"] == (0, 0)


@given(words=st.lists(st.sampled_from("ab"), max_size=12))
def test_distinct_and_repeated_runs_share_out_all_runs(words):
    """Fails when a run is counted twice or not at all."""
    text = " ".join(words)
    runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    repeated = sum(run in runs[:i] for i, run in enumerate(runs))
    assert measured(text)["repeated-4"] == (repeated, len(runs))


@pytest.mark.parametrize(
    ("text", "reference", "held"),
    [
        ("so 12 eggs", "12", True),
        ("It is $12.00.", "12", True),
        ("1,200 in all", "1200", True),
        ("1,200 in all", "200", False),
        ("112 eggs", "12", False),
        ("12.5 eggs", "12", False),
        ("x12", "12", False),
        ("3, 12", "12", True),
        ("5,12", "12", True),
        ("10-12", "12", True),
        ("it is -12", "12", False),
        ("A car", "A", False),
        ("the answer (A)", "A", True),
        ("B.", "B", True),
        ("vitamin Bs", "B", False),
        ("we saw Paris then", "paris", True),
        ("Parisian", "Paris", False),
        (r"so \frac{1}{2} it is", r"\frac{1}{2}", True),
    ],
)
def test_a_reference_is_held_as_a_number_a_letter_or_a_word(text, reference, held):
    """Fails for a substring search, in which 112 holds 12 and every "A car" the letter A."""
    assert holds(text, reference) is held


def test_a_buried_answer_is_a_wrong_reply_that_has_it():
    """Fails when a right answer counts as buried, or a question without a text to look for is counted at all."""
    wrong, right = Score(False, "7", strict=False), Score(True, "12", strict=True)
    assert reply_measures(QUESTION, wrong, "12 no, 7", None, 9)["buried"] == (1, 1)
    assert reply_measures(QUESTION, right, "12", None, 9)["buried"] == (0, 1)
    assert reply_measures(QUESTION, wrong, "8", None, 9)["buried"] == (0, 1)
    for reference in ("", 3):
        assert "buried" not in reply_measures(Question("q", "", None, reference), wrong, "3", None, 9)


def test_a_reply_as_long_as_allowed_is_cut():
    """Fails when a reply that fills its room counts as ended, or the form is that of any answer."""
    trace = trace_of(None, [1, 2, 3], ["base"] * 3)
    for limit, ended in ((3, 0), (4, 1)):
        found = reply_measures(QUESTION, Score(True, "12", strict=False), "12", trace, limit)
        assert (found["ended"], found["tokens"], found["format"]) == ((ended, 1), (3, 1), (0, 1))
    assert "spent" not in found


def test_kinds_of_tokens_in_their_places():
    """Fails when a decimal point ends a sentence, a line does not, or a word part is a function word."""
    texts = [
        *("The", " number", " is", " 3", ".", "5", ".", " So", " \u201c", "Yes", ".", "\u201d", " It", " was", "!"),
        *("\n", "12", " to", "ma", ",", "", "  ", "\ufffd", " $", "x"),
    ]
    wanted = [
        *("first", "other", "function", "number", "punctuation", "number", "punctuation", "first", "punctuation"),
        *("other", "punctuation", "punctuation", "first", "function", "punctuation"),
        *("punctuation", "first", "function", "other", "punctuation", None, "punctuation", "other", "punctuation"),
        "other",
    ]
    assert kinds(texts) == wanted


def test_kinds_of_a_real_tokenizer_share_out_the_proxys_tokens():
    """Fails when a token loses its blank on decoding, an end of text has a kind, or shares are over all tokens."""
    tokenizer = load_pair("lab").tokenizer
    text = "Answer: in fact, 12.\nIt is so."
    ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    spelled = [tokenizer.decode([i]) for i in ids]
    assert "".join(spelled[:-1]) == text
    found = by_kind(trace_of(tokenizer, ids, ["proxy" if "1" in one else "base" for one in spelled]))
    n_digits = sum(one.strip().isdigit() for one in spelled)
    assert found["proxy-number"] == (1, n_digits)
    assert found["proxy-first"] == (0, 2)  # Answer, It
    assert found["mass-first"] == (0.5, 2)
    assert sum(weight for name, (_, weight) in found.items() if name.startswith("mass-")) == len(ids) - 1


def test_what_a_draft_would_have_been_is_not_claimed():
    """Fails when an accepted draft counts as deferred, or as kept."""
    trace = trace_of(word_tokenizer(4), [1, 2], ["draft", "proxy"], n_cycles=1)
    assert {name.split("-")[0] for name in by_kind(trace)} == {"mass"}
    assert by_kind(trace_of(None, [1], ["base"])) == {}


def test_spending_is_held_against_the_budget():
    """Fails when rounding of a sum counts as a step above its budget, or steps are weighed by their mass."""
    trace = trace_of(None, [1, 2, 3], ["base"] * 3, mass=[0.5, 0.5 + 1e-8, 0.8])
    found = reply_measures(QUESTION, Score(False, None, strict=False), "", trace, 9, budget=0.5)
    assert found["spent"] == (pytest.approx(1.8), 3)
    assert found["above-budget"] == (1, 3)
    with pytest.raises(InputError, match=r"budget must be in \[0, 1\], got 1.5"):
        of_budget(trace, 1.5)


def test_a_run_is_a_ratio_of_sums_and_what_a_record_says_counts():
    """Fails for a mean of ratios, for a measure that is derived although the record has it, and for 0 over 0."""
    records = [
        record("a", True, reply="x x", n_tokens=8, measures={"words": [5, 1], "rare": [0, 0]}),
        record("b", False, reply="x y z", n_tokens=3),
    ]
    found = of_run(json.loads(json.dumps(records)))
    assert found["words"] == 4
    assert found["distinct-1"] == pytest.approx(4 / 5)
    assert (found["ended"], found["format"], found["tokens"]) == (0.5, 0.5, 5.5)
    assert "rare" not in found


def test_a_record_of_a_choice_measures_what_it_says_alone():
    """Fails when the verdict on a choice is told as a reply's form."""
    assert of_record({"id": "a", "correct": True, "strict": True, "n_tokens": 9, "measures": {"mc2": [1, 2]}}) == {
        "mc2": (1.0, 2.0)
    }


def test_everything_of_a_reply_can_be_recorded():
    """Fails for a value that JSON does not have, as NumPy's own."""
    trace = trace_of(word_tokenizer(4), [1, 2, 3], ["base", "proxy", "base"])
    found = reply_measures(QUESTION, Score(True, "12", strict=True), "t1 t2 t3", trace, 9, budget=0.2)
    assert json.loads(json.dumps(found, allow_nan=False)) == {name: list(one) for name, one in found.items()}
