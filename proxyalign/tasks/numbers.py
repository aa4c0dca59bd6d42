"""Numbers in replies: find the one that a reply gives as its answer, so that it can be compared by value."""

import re
from collections.abc import Iterator
from decimal import Decimal

from proxyalign.tasks.boxes import boxes
from proxyalign.tasks.units import drop_unit_exponents

# A minus is a sign only where no digit, word or closing bracket comes before it ("10-5" ends in 5), and apart from its
# number only after "is", "=" or ":" ("- 10" is an entry of a list). A comma belongs to a number only where it groups
# thousands ("1, 2" and "1,23" are two numbers), and a point begins one only where nothing comes before it ("Rs.500").
_MINUS = r"(?:(?<![\w)\]}.%])[-−–]|(?:(?<=\bis )|(?<== )|(?<=: ))[-−–] |(?:\b[nN]egative|(?<=\bis )minus) )"
_NUMBER = re.compile(
    rf"(?P<minus>{_MINUS}(?=[$€£]?\.?\d))?[$€£]?(?P<inner>(?<=[$€£])[-−–](?=\.?\d))?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\w.])\.\d+)",
    re.ASCII,
)
_POWER_OF_TEN = re.compile(  # after a number: 1e3, 2.5 x 10^3
    r"(?:[eE](?P<exponent>[-+]?\d{1,2})(?!\w)"
    r"|\s*(?:[x*×·]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*[{(]?(?P<power>[-+−]?\d{1,2})(?!\d|\.\d)[})]?)",
    re.ASCII,
)
_FRACTION = re.compile(r"(?: | and )(?P<above>\d{1,9})/(?P<below>[1-9]\d{0,8})(?![\d/]|\.\d)", re.ASCII)
_OVER = re.compile(r"/(?P<below>[1-9]\d{0,8})(?![\d/]|\.\d)", re.ASCII)  # after a whole number: 1/2
_SPECIAL = {"¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}

_CALCULATOR = re.compile(r"<<[^<>\n]*=[^<>\n]*>>")
_FINAL_LINE = re.compile(r"####([^\n]*)")
# A number that comes first on its line, whatever marks or commands are ahead of it; "Step 2" is a heading.
_FIRST_ON_LINE = re.compile(rf"(?:\\(?:[A-Za-z]+|[^\w\n])|[^\w\n\\])*?{_NUMBER.pattern}", re.ASCII)
_SAID = re.compile(
    rf"\banswer\b\W{{0,4}}?(?:\bis\b|[:=])(?:[\s:=*$({{~]|\\\()*(?={_NUMBER.pattern})", re.ASCII | re.IGNORECASE
)
_BRACKETED = re.compile(r"\([^()\n]*\)")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_LATEX = (
    (re.compile(r"\\[dtc]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}", re.ASCII), r" \1/\2"),
    (re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)(?!\d)", re.ASCII), r" \1/\2"),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[,!]|[\u2009\u202f](?=\d{3})"), ""),
    (re.compile(r"\\ |\u00a0"), " "),
)


def parse_number(text: str) -> Decimal | None:
    """The value of `text` where it is one number and nothing else, or None.

    A currency sign, commas between thousands, a percent sign and one trailing period are allowed: "$1,200.00." is
    1200. "NaN", "Infinity" and "1e3" are not numbers here.
    """
    match = _NUMBER.fullmatch(text.strip().removesuffix(".").removesuffix("%"))
    return _value(match) if match else None


def drop_calculator_marks(text: str) -> str:
    """`text` without the <<48/2=24>> marks that GSM8K's worked solutions carry."""
    return _CALCULATOR.sub("", text)


def final_number(text: str) -> Decimal | None:
    """The answer that `text` gives, or None where it holds no number.

    It is the number that comes first on the first `####` line which has one there, or after that line's last "=";
    else that of the last finished \\boxed{...} with exactly one number, or one after its last "="; else the one that
    the last "answer is" or "Answer:" names, where its sentence goes on to no other outside brackets; else the last
    number in the text. Calculator marks and the exponents of units (54 cm^2) do not count; 1e3, 2 x 10^3, 3 1/2 and
    1/2 are one number each, 5,10 and 2^3 two.
    """
    text = _plain(text)
    if (line := _final_line(text)) is not None:
        return next(_numbers(line.rpartition("=")[2]), next(_numbers(line)))
    for box in reversed(boxes(text)):
        found = list(_numbers(text[box.opens : box.closes].rpartition("=")[2]))
        if box.closes is not None and len(found) == 1:
            return found[0]
    for said in reversed(list(_SAID.finditer(text))):
        rest = _SENTENCE_END.split(text[said.end() :], maxsplit=1)[0]
        found = list(_numbers(said[0] + _BRACKETED.sub("", rest)))
        if len(found) == 1:
            return found[0]
    found = list(_numbers(text))
    return found[-1] if found else None


def last_numbers(text: str) -> list[Decimal]:
    """All numbers of the last sentence or line of `text` that has one, in order; "So 5 boxes (7 each)." has 5 and 7."""
    for sentence in reversed(_SENTENCE_END.split(_plain(text))):
        if found := list(_numbers(sentence)):
            return found
    return []


def states_final_number(text: str) -> bool:
    """Whether the `####` line that `final_number` reads has nothing else on it, as in GSM8K's own solutions."""
    line = _final_line(drop_calculator_marks(text))
    return line is not None and parse_number(line) is not None


def _plain(text: str) -> str:
    """`text` without what is no number of its own, and with numbers as they are typed, not set or printed."""
    text = drop_unit_exponents(drop_calculator_marks(text))
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    for special, plain in _SPECIAL.items():
        text = text.replace(special, f" {plain}")
    return text


def _final_line(text: str) -> str | None:
    """What follows the first `####` that has a number first on its line."""
    return next((line[1] for line in _FINAL_LINE.finditer(text) if _FIRST_ON_LINE.match(line[1])), None)


def _value(match: re.Match[str]) -> Decimal:
    sign = "-" if match["minus"] or match["inner"] else ""
    return Decimal(sign + match["digits"].replace(",", ""))


def _numbers(text: str) -> Iterator[Decimal]:
    """The numbers in `text` in order; 1e3, 2 x 10^3, a mixed number such as 3 1/2 and a fraction are one each."""
    at = 0
    while match := _NUMBER.search(text, at):
        value, at = _value(match), match.end()
        whole = match["digits"].isdigit()
        power, fraction, over = _POWER_OF_TEN.match(text, at), _FRACTION.match(text, at), _OVER.match(text, at)
        if power:
            value, at = value.scaleb(int((power["exponent"] or power["power"]).replace("−", "-"))), power.end()
        elif whole and fraction and int(fraction["above"]) < int(fraction["below"]):
            part = Decimal(fraction["above"]) / Decimal(fraction["below"])
            value, at = value + part.copy_sign(value), fraction.end()
        elif whole and over and text[match.start() - 1 : match.start()] != "/":
            value, at = value / Decimal(over["below"]), over.end()
        yield value
