"""Numbers in replies: find the one that a reply gives as its answer, so that it can be compared by value."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal

from proxyalign.tasks.boxes import boxes
from proxyalign.tasks.units import drop_unit_exponents

_CURRENCY = "[$€£¥₹]"
# A minus is a sign only where no digit, word or closing bracket comes before it ("10-5" ends in 5), and apart from its
# number only after "is", "=" or ":" ("- 10" is an entry of a list). A comma belongs to a number only where it groups
# thousands ("1, 2" and "1,23" are two numbers), and a point begins one only where nothing comes before it ("Rs.500").
_MINUS = r"(?:(?<![\w)\]}.%])[-−–]|(?:(?<=\bis )|(?<== )|(?<=: ))[-−–] |(?:\b[nN]egative|(?<=\bis )minus) )"
_NUMBER = re.compile(
    rf"(?P<minus>{_MINUS}(?=(?:{_CURRENCY} ?)?\.?\d))?(?:{_CURRENCY}(?: (?=\.?\d))?)?"
    rf"(?P<inner>(?<={_CURRENCY})[-−–](?=\.?\d))?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\w.])\.\d+)",
    re.ASCII,
)
_POWER_OF_TEN = re.compile(  # after a number: 1e3, 2.5 x 10^3, 2.5 x 10³
    r"(?:[eE](?P<exponent>[-+]?\d{1,2})(?!\w)"
    r"|\s*(?:[x*×·]|\\times|\\cdot)\s*10(?:\s*(?:\^|\*\*)\s*[{(]?(?P<power>[-+−]?\d{1,2})(?!\d|\.\d)[})]?"
    r"|(?P<raised>⁻?[⁰¹²³⁴-⁹]{1,2})))",
    re.ASCII,
)
_FRACTION = re.compile(r"(?: | and )(?P<above>\d{1,9})/(?P<below>[1-9]\d{0,8})(?![\d/]|\.\d)", re.ASCII)
_OVER = re.compile(r"/(?P<below>[1-9]\d{0,8})(?![\d/]|\.\d)", re.ASCII)  # after a whole number: 1/2
# Fullwidth forms, signs and digits of other scripts as they are typed; what is not seen is not there.
_SIGNS: dict[int, int | str | None] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS |= str.maketrans("\u2010\u2011\ufe63\u2044", "---/", "\u200b\u200e\u200f\u2060\ufeff")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
# Blanks between thousands: where a text has "17 000", its "3 400" is one number too.
_THOUSAND = re.compile(r"\d 000(?!\d)")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3}){1,5}(?!\d)")

_CALCULATOR = re.compile(r"<<[^<>\n]*=[^<>\n]*>>")
_HEADING = re.compile(r"[\s*]*\d{1,2}[.)]\s+\W*[A-Za-z]", re.ASCII)  # 1. Eggs
_APART = re.compile(rf"^([\s$({{*]*[-−–])\s+(?={_CURRENCY}?\.?\d)", re.ASCII)  # a minus where an answer stands alone
_FINAL_LINE = re.compile(r"####([^\n]*)")
# A number that comes first on its line, whatever marks or commands are ahead of it; "Step 2" is a heading.
_FIRST_ON_LINE = re.compile(rf"(?:\\(?:[A-Za-z]+|[^\w\n])|[^\w\n\\])*?{_NUMBER.pattern}", re.ASCII)
_SAID = re.compile(
    rf"\banswer\b\W{{0,4}}?(?:\b(?:is|was|(?:would|should|must) be)\b|[:=])(?:[\s:=*$({{~]|\\\()*(?={_NUMBER.pattern})",
    re.ASCII | re.IGNORECASE,
)
_ASIDE = re.compile(r"\([^()\n]*\)|\b(?:not|rather than|instead of)\b[^,;\n]*")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_PLAIN: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (_OTHER_DIGIT, lambda found: str(unicodedata.decimal(found[0]))),
    (
        re.compile(
            r"([\d.]\s*)?\\[dtc]?frac\s*(?:\{\s*([-−]?\s*\d+)\s*\}\s*\{\s*(\d+)\s*\}|(\d)\s*(\d)(?!\d))", re.ASCII
        ),
        lambda found: f"{_whole(found[1])}{found[2] or found[4]}/{found[3] or found[5]}",
    ),
    (  # ½ and its like
        re.compile(r"([\d.]\s*)?([¼-¾⅐-⅞])"),
        lambda found: _whole(found[1]) + unicodedata.normalize("NFKC", found[2]).replace("\u2044", "/"),
    ),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[,!]|[\u2009\u202f](?=\d{3})|(?<=\d)[\u00a0'’_](?=\d{3}(?!\d))"), ""),
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
    the last "answer is" or "Answer:" names, where its sentence goes on to no other outside brackets or after "not";
    else the last number in the text. Numbered headings (#### 1. Eggs) among other marked lines, calculator marks and
    the exponents of units (54 cm^2) do not count; 1e3, 2 x 10^3, 3 1/2 and 1/2 are one number each, 5,10 and 2^3 two.
    Thousands may be set apart by commas, thin blanks or apostrophes, and by blanks in a text that has a 17 000.
    """
    text = _plain(text)
    if (line := _final_line(text)) is not None:
        return next(_numbers(line.rpartition("=")[2]), next(_numbers(line)))
    for box in reversed([one for one in boxes(text) if one.closes is not None]):
        found = list(_numbers(_APART.sub(r"\1", text[box.opens : box.closes].rpartition("=")[2])))
        if len(found) == 1:
            return found[0]
    for said in reversed(list(_SAID.finditer(text))):
        rest = _SENTENCE_END.split(text[said.end() :], maxsplit=1)[0]
        found = list(_numbers(said[0] + _ASIDE.sub("", rest)))
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
    text = drop_unit_exponents(drop_calculator_marks(text.translate(_SIGNS)))
    for pattern, plain in _PLAIN:
        text = pattern.sub(plain, text)
    if _THOUSAND.search(text):
        text = _THOUSANDS.sub(lambda found: found[0].replace(" ", ""), text)
    return text


def _whole(before: str | None) -> str:
    """What comes right before a fraction, apart from it: the 3 of 3½."""
    return f"{before.strip()} " if before else ""


def _final_line(text: str) -> str | None:
    """What follows the first `####` that has a number first on its line; of several, one that is no heading."""
    found = [line[1] for line in _FINAL_LINE.finditer(text) if _FIRST_ON_LINE.match(line[1])]
    if len(found) > 1:
        found = [line for line in found if not _HEADING.match(line)]
    return _APART.sub(r"\1", found[0]) if found else None


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
            exponent = unicodedata.normalize("NFKC", power["exponent"] or power["power"] or power["raised"])
            value, at = value.scaleb(int(exponent.replace("−", "-"))), power.end()
        elif whole and fraction and int(fraction["above"]) < int(fraction["below"]):
            part = Decimal(fraction["above"]) / Decimal(fraction["below"])
            value, at = value + part.copy_sign(value), fraction.end()
        elif whole and over and text[match.start() - 1 : match.start()] != "/":
            value, at = value / Decimal(over["below"]), over.end()
        yield value
