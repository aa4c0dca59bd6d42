"""Numbers are found where a reply gives its answer, and compared by value."""

from decimal import Decimal

import pytest

from proxyalign.tasks.numbers import drop_calculator_marks, final_number, parse_number, states_final_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("29", "29"),
        ("29.00", "29"),
        ("$29.00", "29"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("−7", "-7"),
        ("1,234", "1234"),
        ("12,345,678.90.", "12345678.9"),
        ("50%", "50"),
        ("50%.", "50"),
        (" 3. ", "3"),
        (".5", "0.5"),
    ],
)
def test_one_number_is_read_whatever_its_spelling(text, value):
    """Fails for a comparison of strings, to which "$29.00" is not 29."""
    assert parse_number(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", ".", "$", "-", "NaN", "nan", "Infinity", "1e3", "1,23", "1 2", "5 apples", "1/2", "٣", "--5"]
)
def test_what_is_not_one_number_is_none(text):
    """Fails for float(), which reads "NaN" and "1e3", and for a pattern that matches bare punctuation."""
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("so 3 + 4 = 7\n#### 8\nand 9", "8"),  # the marked line before any other number
        ("#### 8\n\n#### 9", "8"),  # the first marked line
        ("#### unknown\n#### $1,200 a year", "1200"),  # the first marked line with a number
        ("####8", "8"),
        ("#### \\boxed{8}", "8"),
        ("\\boxed{8} of the 9", "8"),  # a box before a last number
        ("\\boxed{7} then \\boxed{8}.", "8"),  # the last box
        ("\\boxed{\\$1{,}200.50} 9", "1200.50"),
        ("\\boxed{8\\text{ km}} in 9 h", "8"),
        ("\\boxed{\\frac{1}{2}} is not one number, 9 is", "9"),
        ("\\boxed{8", "8"),  # an open box: the last number
        ("it is 7, no, 8.", "8"),
        ("**8**", "8"),
        ("10-5", "5"),
        ("x = -5", "-5"),
        ("(-5)", "-5"),
        ("10%-5%", "5"),
        ("1, 2", "2"),
        ("1,2345", "2345"),
        ("half is 4 <<8/2=4>>", "4"),  # a calculator mark is no answer
        ("#### <<2*4=8>>8", "8"),
    ],
)
def test_the_answer_is_the_marked_line_then_the_box_then_the_last_number(text, value):
    """Fails when the order of the three places changes, or a mark, a comma or a hyphen is read as part of a number."""
    assert final_number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "no number", "####", "\\boxed{}", "<<1+1=2>>", "NaN"])
def test_no_number_is_none(text):
    """Fails for an extraction that makes a number up."""
    assert final_number(text) is None


def test_only_a_line_of_its_own_states_the_answer_strictly():
    """Fails when strict accepts words beside the number, or looks at another marked line than the answer's."""
    assert states_final_number("work\n#### 8\n")
    assert states_final_number("#### $8.00.")
    assert not states_final_number("#### 8 apples\n#### 8")
    assert not states_final_number("the answer is 8")


def test_calculator_marks_go_and_nothing_else():
    """Fails for a pattern that eats from the first mark to the last, or takes comparisons for marks."""
    assert drop_calculator_marks("4 = <<2+2=4>>4 and <<1+1=2>>2") == "4 = 4 and 2"
    assert drop_calculator_marks("1 << 2, 3 >> 1") == "1 << 2, 3 >> 1"
