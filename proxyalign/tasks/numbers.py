"""Numbers in replies: find the one that a reply gives as its answer, so that it can be compared by value."""

import re
from decimal import Decimal

from proxyalign.tasks.units import drop_unit_exponents

# A minus is a sign only where no digit, word or closing bracket comes before it ("10-5" ends in 5), and a comma
# belongs to a number only where it groups thousands ("1, 2" and "1,23" are two numbers).
_NUMBER = re.compile(
    r"(?P<minus>(?<![\w)\]}.%])[-−](?=\$?\.?\d))?\$?(?P<inner>(?<=\$)[-−](?=\.?\d))?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)",
    re.ASCII,
)
_POWER_OF_TEN = re.compile(r"[eE](?P<exponent>[-+]?\d{1,2})(?!\w)", re.ASCII)  # after a number: 1e3
_FRACTION = re.compile(r" (?P<above>\d{1,9})/(?P<below>[1-9]\d{0,8})(?![\d/])", re.ASCII)  # after a whole one: 3 1/2
_CALCULATOR = re.compile(r"<<[^<>\n]*=[^<>\n]*>>")
_FINAL_LINE = re.compile(r"####([^\n]*)")
_LATEX = ((r"\$", "$"), (r"\%", "%"), ("{,}", ","), (r"\,", ""), (r"\!", ""), (r"\ ", " "))


def _value(match: re.Match[str]) -> Decimal:
    sign = "-" if match["minus"] or match["inner"] else ""
    return Decimal(sign + match["digits"].replace(",", ""))


def _numbers(text: str) -> list[Decimal]:
    """The numbers in `text` in order; 1e3 and a mixed number such as 3 1/2 are one each."""
    found: list[Decimal] = []
    at = 0
    while match := _NUMBER.search(text, at):
        value, at = _value(match), match.end()
        power, fraction = _POWER_OF_TEN.match(text, at), _FRACTION.match(text, at)
        if power:
            value, at = value.scaleb(int(power["exponent"])), power.end()
        elif fraction and match["digits"].isdigit() and int(fraction["above"]) < int(fraction["below"]):
            part = Decimal(fraction["above"]) / Decimal(fraction["below"])
            value, at = value + part.copy_sign(value), fraction.end()
        found.append(value)
    return found


def parse_number(text: str) -> Decimal | None:
    """The value of `text` where it is one number and nothing else, or None.

    A dollar sign, commas between thousands, a percent sign and one trailing period are allowed: "$1,200.00." is 1200.
    "NaN", "Infinity" and "1e3" are not numbers here.
    """
    match = _NUMBER.fullmatch(text.strip().removesuffix(".").removesuffix("%"))
    return _value(match) if match else None


def drop_calculator_marks(text: str) -> str:
    """`text` without the <<48/2=24>> marks that GSM8K's worked solutions carry."""
    return _CALCULATOR.sub("", text)


def final_number(text: str) -> Decimal | None:
    """The answer that `text` gives, or None where it holds no number.

    It is the first number of the first `####` line that has one; else the number of the last \\boxed{...} that has
    exactly one; else the last number in the text. Calculator marks and the exponents of units (54 cm^2) do not count;
    1e3 and 3 1/2 are one number each, 2^3 and 1/2 are two.
    """
    text = drop_unit_exponents(drop_calculator_marks(text))
    if (line := _final_line(text)) is not None:
        return _numbers(line)[0]
    for content in reversed(_boxed(text)):
        numbers = _numbers(content)
        if len(numbers) == 1:
            return numbers[0]
    numbers = _numbers(text)
    return numbers[-1] if numbers else None


def states_final_number(text: str) -> bool:
    """Whether the `####` line that `final_number` reads has nothing else on it, as in GSM8K's own solutions."""
    line = _final_line(drop_calculator_marks(text))
    return line is not None and parse_number(line) is not None


def _final_line(text: str) -> str | None:
    """What follows the first `####` that has a number on its line."""
    return next((line[1] for line in _FINAL_LINE.finditer(text) if _NUMBER.search(line[1])), None)


def _boxed(text: str) -> list[str]:
    """What each \\boxed{...} of `text` holds, braces matched and LaTeX's spacing and escapes taken away."""
    contents = []
    for opening in re.finditer(r"\\boxed\s*\{", text):
        depth, end = 1, opening.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if depth == 0:
            content = text[opening.end() : end - 1]
            for written, plain in _LATEX:
                content = content.replace(written, plain)
            contents.append(content)
    return contents
