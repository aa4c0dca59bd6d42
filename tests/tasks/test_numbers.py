"""Numbers are found where a reply gives its answer, and compared by value."""

from decimal import Decimal

import pytest

from proxyalign.tasks.numbers import drop_calculator_marks, final_number, parse_number, states_final_number
from proxyalign.tasks.units import drop_unit_exponents


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
        ("\\boxed{\\frac{1}{2}} of 9", "0.5"),
        ("\\boxed{3\\frac{1}{2}} of 9", "3.5"),
        ("\\boxed{7, 8} are not one number, 9 is", "9"),
        ("\\boxed{x = 3 + 5 = 8} and 9", "8"),
        ("\\fbox{8} and 9", "8"),
        ("\\boxed 18 of 20", "18"),
        ("\\boxed{7} then \\boxed{8", "7"),  # the last box that is finished
        ("\\boxed{8} \\} 9", "8"),
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
        ("#### Step 1\n8 it is", "8"),  # a heading
        ("#### 1. Eggs\n16\n#### 2) **Rest**\n9 of them", "9"),  # numbered ones
        ("#### 1. Eggs\n16\n#### 9\nof 8", "9"),
        ("#### 9. That is all, for 8 days", "9"),  # no heading where it is alone
        ("#### **8** of the 9", "8"),
        ("#### \\(8\\) of the 9", "8"),
        ("#### -8", "-8"),
        ("#### 4 + 4 = 8", "8"),
        ("#### 8 = all", "8"),
        ("the answer is 8. I had 9 before.", "8"),  # what is called the answer before a last number
        ("The answer is $8.00 (9 each)", "8"),
        ("**Answer:** 8\n\nTom has 9", "8"),
        ("answer = 7. No: the answer is **8**. 2 * 4.5 = 9", "8"),
        ("The answer is 8, not 9.", "8"),
        ("The answer is 8 rather than 9, in 7 words. Or 6.", "6"),
        ("The answer would be 8. I had 9 before.", "8"),
        ("Answer: 4 + 4 = 8", "8"),  # several numbers are not one answer
        ("to answer 3 questions takes 8", "8"),
    ],
)
def test_the_answer_is_the_marked_line_then_the_box_then_the_last_number(text, value):
    """Fails when the order of the three places changes, or a mark, a comma or a hyphen is read as part of a number."""
    assert final_number(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("72, in total.", "72"),
        ("18 eggs...", "18"),
        ("the answer is -10.", "-10"),
        ("from $200,000 to $70,000", "70000"),
        ("5 boxes (7 each)", "7"),  # the last number, whatever it counts
        ("5,10", "10"),
        ("1e3", "1000"),
        ("so 2.5E-2", "0.025"),
        ("1e999", "999"),  # no power of ten that anybody means
        ("3 1/2 cups", "3.5"),
        ("-3 1/2", "-3.5"),
        ("1/2", "0.5"),
        ("-1/2", "-0.5"),
        ("3 and 1/2 cups", "3.5"),
        ("3½ cups", "3.5"),
        ("½", "0.5"),
        ("3 7/2", "3.5"),  # no mixed number
        ("10/2 = 5", "5"),
        ("2.5 x 10^3", "2500"),
        ("2.5 \\times 10^{-3}", "0.0025"),
        ("it is −10", "-10"),
        ("it is –10", "-10"),
        ("the answer is - 10.", "-10"),
        ("x = - 10", "-10"),
        ("of them:\n- 10 apples", "10"),  # an entry of a list
        ("5 - 10", "10"),
        ("from 5–10", "10"),
        ("negative 10 degrees", "-10"),
        ("it is minus 10", "-10"),
        ("5 minus 10", "10"),
        ("3\\frac12 cups", "3.5"),
        ("**-10**", "-10"),
        ("-€5 or €-5", "-5"),
        ("Rs.500", "500"),
        ("so ...18", "18"),
        ("$70\\,000$", "70000"),
        ("70{,}000", "70000"),
        ("70\u202f000", "70000"),
        ("1,000 2,000", "2000"),
        ("on 3 10/2/2020", "2020"),
        ("\\boxed{1e3}, one number", "1000"),
        ("٣ or 7", "7"),
        ("７ or 8", "8"),
        ("７ of them", "7"),
        ("٤٢", "42"),
        ("it is ‑10 or －10", "-10"),
        ("\u200b-10\u200b", "-10"),
        ("\\boxed{-\\frac{3}{4}}", "-0.75"),
        ("\\frac{-3}{4}", "-0.75"),
        ("so x-\\frac34", "0.75"),
        ("−½", "-0.5"),
        ("3 ½ or 2⅝", "2.625"),
        ("3\u2044\u200b4", "0.75"),
        ("2·10³", "2000"),
        ("5 × 10⁻²", "0.05"),
        ("-$ 10", "-10"),
        ("-¥10", "-10"),
        ("$ 10", "10"),
        ("#### - 10", "-10"),
        ("\\boxed{- 10}", "-10"),
        ("#### - $10", "-10"),
        ("1 000 000 people", "1000000"),
        ("70 000", "70000"),
        ("70\u00a0500", "70500"),
        ("1'234'500", "1234500"),
        ("1_000", "1000"),
        ("3 100", "100"),  # two numbers
        ("17 000/5 = 3 400", "3400"),
        ("2020 000", "0"),
    ],
)
def test_a_number_is_read_as_it_is_meant(text, value):
    """Fails when half of a number is taken for the answer, or two are joined."""
    assert final_number(text) == Decimal(value)


SQUARED = [
    "{n}\\text{{ km}}^2", "{n} mm^2", "{n} mm^{{2}}", "{n}m^3", "{n}\\mathrm{{m}}^{{2}}", "{n} ft²", "{n} kg^{{-1}}",
    "{n} \\text{{ square yd}}^2", "{n} sq. in^2", "{n} m/s^2", "{n}\\,\\frac{{m}}{{s^2}}", "{n} m s^{{-2}}",
    "{n}\\dfrac{{\\text{{m}}}}{{\\text{{s}}^2}}", "\\frac{{{n} m}}{{s^{{2}}}}", "{n} N\\cdot m^2/kg^2",
    "{n}~\\mbox{{ ft}}^3",
    "{n}\\ \\mathrm{{m\\,s^{{-2}}}}", "{n} cm$^2$", "${n}$ cm$^{{3}}$", "{n} cm**2", "{n} dm2", "{n} cm<sup>2</sup>",
    "{n} cm\\textsuperscript{{2}}", "{n}{{\\rm cm}}^2", "{n} tiles^2", "{n}\\text{{ boxes}}^{{2}}",
    "{n} km/h", "{n} W/(m^2 K^4)",
    "{n} metres^2", "{n} cm^{{\\,2}}", "{n} cm^{{\\text{{2}}}}", "**{n} cm^2**", "{n} in.^3",
]  # fmt: skip


@pytest.mark.parametrize("unit", SQUARED)
@pytest.mark.parametrize("place", ["it is {}.", "\\boxed{{{}}}", "#### {}"])
def test_the_exponent_of_a_unit_is_no_answer(unit, place):
    """Fails when the 2 of a square metre is the last number of a reply, or makes two numbers of a boxed one."""
    assert final_number(place.format(unit.format(n="7.5"))) == Decimal("7.5")
    assert final_number(unit.format(n="\\boxed{61}")) == 61


@pytest.mark.parametrize(
    "text",
    ["2^3", "x^2", "5x^2", "3y^{2}", "\\frac{1}{2}", "10^{-3}", "1.5 \\times 10^6", "\\mathrm{e}^{2}", "\\text{x}^2",
     "\\text{2}^3", "5 sin^2", "\\sin^2 3", "\\min^2 4", "7 h 30 min", "2 feet 3 inches", "5 m by 2 m", "5 cm 2.5",
     "it takes hours **73**", "12 cm2.5", "5m23"],
)  # fmt: skip
def test_a_power_of_a_number_or_a_letter_stays(text):
    """Fails when what is no unit loses a number."""
    assert drop_unit_exponents(text) == text


@pytest.mark.parametrize("text", ["5 m" + " " * 50_000, "5" + "{" * 50_000, "5\\text{" * 10_000, "5 m^" * 10_000])
def test_a_long_run_of_marks_takes_no_time_that_grows_with_its_square(text):
    """Fails, by never ending, for a pattern that tries every way of cutting the run in two."""
    assert final_number(text) == 5


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
