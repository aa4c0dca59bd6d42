"""What an answer is made of: lists, tuples, intervals, unions, matrices, named values, numerals, and what is left."""

import re
from dataclasses import dataclass
from fractions import Fraction

from proxyalign.tasks.mathematics.spelling import ROW_ENDS, plain, set_as_text

_OPENING, _CLOSING = "([{", ")]}"
_MATRIX = re.compile(
    r"(?P<open>[(\[|]?)\s*\\begin\s*\{(?P<kind>[pbBvV]?(?:small)?matrix|array)\}(?:\s*\{[lcr| ]*\})?(?P<entries>.*)"
    r"\\end\s*\{(?P=kind)\}\s*[)\]|]?",
    re.DOTALL,
)
_LETTER = r"(?:[A-Za-z]|\\[A-Za-z]+)(?:_(?:\w|\{\w+\}))?(?:\([A-Za-z](?:,\s*[A-Za-z])*\))?"
_NAME = rf"(?:{_LETTER}|\(\s*{_LETTER}(?:\s*,\s*{_LETTER})+\s*\))"
_MEMBER = re.compile(rf"(?P<name>{_NAME})\s*\\in\s*(?P<value>.+)", re.DOTALL)
_LESS, _MORE = r"(?:<|\\le(?![A-Za-z]))", r"(?:>|\\ge(?![A-Za-z]))"
_BOUND = r"(?P<{}>[^<>=]+?)"
_BETWEEN = re.compile(
    rf"{_BOUND.format('low')}\s*(?P<above>{_LESS})\s*(?P<name>{_LETTER})\s*(?P<below>{_LESS})\s*{_BOUND.format('high')}"
)
_BEYOND = re.compile(
    rf"(?P<name>{_LETTER})\s*(?:(?P<above>{_MORE})\s*(?P<low>[^<>=]+)|(?P<below>{_LESS})\s*(?P<high>[^<>=]+))"
)
_TURNED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
_EQUALS = re.compile(r"(?<![<>!:\\])=(?!=)")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NUMERAL = re.compile(r"\(?(?P<digits>\d[\dA-Za-z]*)\)?\s*_\s*\{?\s*(?P<base>\d{1,2}|[a-z]+)\s*\}?")
_INTEGER = r"\d{1,200}"
_RATIONAL = re.compile(
    rf"(?P<sign>[-+]?)\s*(?:(?P<whole>{_INTEGER})?\s*"
    rf"\\frac\{{\s*(?P<above>[-+]?\s*{_INTEGER})\s*\}}\{{\s*(?P<below>[-+]?\s*{_INTEGER})\s*\}}"
    rf"|(?:(?P<units>{_INTEGER})\s+)?(?P<over>{_INTEGER})\s*/\s*(?P<under>{_INTEGER})"
    rf"|(?P<decimal>{_INTEGER}(?:\.\d{{0,200}})?)(?:\s*(?:\\times|\\cdot|\*)\s*10\s*\^\s*\{{?\s*(?P<power>-?\d{{1,3}})\s*\}}?)?)",
    re.ASCII,
)
_RECURRING = re.compile(  # 0.1\overline{6}
    r"(?P<sign>[-+]?)\s*(?P<whole>\d{0,50})\.(?P<once>\d{0,50})\\(?:overline|bar|dot)\s*"
    r"(?:\{\s*(?P<again>\d{1,50})\s*\}|(?P<one>\d))",
    re.ASCII,
)
_SUCH_THAT = re.compile(
    rf"\\\{{\s*(?P<name>{_LETTER})(?:\s*\\in\s*(?:\\mathbb\s*)?\{{?R\}}?)?\s*(?:\\mid|:|\|)\s*(?P<value>.+)\\\}}",
    re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z]{4,}|[A-Za-z'.]{2,}(?:[\s-]+[A-Za-z'.]{2,})+|(?i:yes|no|odd|all)")


@dataclass(frozen=True)
class Value:
    """A number, an expression or a relation, in its plain spelling; exact is its value where that is a plain fraction.

    decimal: whether a number is written with a decimal point. percent: whether it is followed by a percent sign, which
    is not part of `latex`.
    """

    latex: str
    exact: Fraction | None = None
    decimal: bool = False
    percent: bool = False


@dataclass(frozen=True)
class Word:
    """A word or several, a person's name for example; case does not count."""

    text: str


@dataclass(frozen=True)
class Numeral:
    """Digits in a base that is written with them."""

    digits: str
    base: str


@dataclass(frozen=True)
class Named:
    """What is said of a variable: its value, or the set that it is in."""

    name: str
    latex: str
    value: "Answer"


@dataclass(frozen=True)
class Several:
    """Answers whose order does not count: a list, a set, both signs of a \\pm; or the parts of a union."""

    of: str
    parts: tuple["Answer", ...]


@dataclass(frozen=True)
class Ordered:
    """A point, an interval or a matrix: the brackets, the length of a row, and the entries."""

    brackets: str
    width: int
    parts: tuple["Answer", ...]


Answer = Value | Word | Numeral | Named | Several | Ordered


def read(latex: str) -> Answer:
    """What the answer `latex` is; whatever it is not known to be is a `Value` of its plain spelling. Never raises."""
    text = plain(latex)
    if set_as_text(latex) and re.search("[A-Za-z]{2}", text):
        return Word(_without_brackets(text).casefold())
    return _read(text)


def _read(text: str) -> Answer:
    text = _without_brackets(text.strip())
    if (matrix := _matrix(text)) is not None:
        return matrix
    if (member := _MEMBER.fullmatch(text)) is not None:
        return Named(member["name"], text, _read(member["value"]))
    if _THOUSANDS.fullmatch(text):
        return _value(text.replace(",", ""))
    if len(parts := _split(text, ",;")) > 1:
        found = tuple(_read(part) for part in parts if part.strip())
        intervals = all(isinstance(part, Named) and _is_inequality(part.latex) for part in found)
        return Several("union" if intervals else "list", found)
    if len(parts := re.split(r"\\cup\b", text)) > 1:
        joined = tuple(_read(part) for part in parts)
        of_sets = all(isinstance(part, Several) and part.of == "list" for part in joined)
        return Several("list" if of_sets else "union", joined)
    if (such := _SUCH_THAT.fullmatch(text)) is not None:
        return _read(such["value"])
    if text.startswith("\\{") and text.endswith("\\}") and not re.search(r"\\mid\b|[:|]", text):
        return Several("list", tuple(_read(part) for part in _split(text[2:-2], ",;") if part.strip()))
    if _wraps(text, "([", ")]") and len(parts := _split(text[1:-1], ",;")) > 1:
        return Ordered(text[0] + text[-1], len(parts), tuple(_read(part) for part in parts))
    if len(sides := _EQUALS.split(text)) > 1 and "\\begin" not in text:
        return _equation(text, [side.strip() for side in sides])
    if re.search(r"\\(?:pm|mp)\b", text):
        plus = re.sub(r"\\mp\b", "-", re.sub(r"\\pm\b", "+", text))
        minus = re.sub(r"\\mp\b", "+", re.sub(r"\\pm\b", "-", text))
        return Several("list", (_read(plus.removeprefix("+")), _read(minus.removeprefix("+"))))
    if (interval := _interval(text)) is not None:
        return interval
    if (numeral := _NUMERAL.fullmatch(text)) is not None:
        return Numeral(numeral["digits"].upper(), numeral["base"])
    return Word(text.casefold()) if _WORD.fullmatch(text) else _value(text)


def _equation(text: str, sides: list[str]) -> Answer:
    """The last side where it is the value of a name, or where no side has a letter; else the equation as it is."""
    if re.fullmatch(_NAME, sides[0]):
        return Named(sides[0], text, _read(sides[-1]))
    if re.fullmatch(_NAME, sides[-1]) and len(sides) == 2:
        return Named(sides[-1], f"{sides[1]}={sides[0]}", _read(sides[0]))
    if not re.search(r"(?<![A-Za-z\\])[A-Za-z]", text):
        return _read(sides[-1])
    return Value(text)


def _is_inequality(text: str) -> bool:
    return re.search(rf"{_LESS}|{_MORE}", text) is not None


def _interval(text: str) -> Named | None:
    """The interval that an inequality says a variable is in: -2 \\le x < 7 is [-2,7), x > 5 is (5,\\infty)."""
    if not _is_inequality(text):
        return None
    turned = re.fullmatch(rf"(?P<bound>[^<>=]+?)\s*(?P<sign>{_LESS}|{_MORE})\s*(?P<name>{_LETTER})", text)
    if turned is not None:
        text = f"{turned['name']} {_TURNED[turned['sign']]} {turned['bound']}"
    found = _BETWEEN.fullmatch(text) or _BEYOND.fullmatch(text)
    if found is None or re.fullmatch(_LETTER, (found["low"] or "") + (found["high"] or "")):
        return None
    brackets = ("[" if "\\" in (found["above"] or "") else "(") + ("]" if "\\" in (found["below"] or "") else ")")
    ends = found["low"] or r"-\infty", found["high"] or r"\infty"
    return Named(found["name"], text, Ordered(brackets, 2, tuple(_read(end) for end in ends)))


def _value(text: str) -> Value:
    shorter = re.sub(r"\s*\\?%$", "", text)
    percent = shorter != text and bool(shorter)
    text = shorter if percent else text
    text = text.removeprefix("+").strip()
    if (recurring := _RECURRING.fullmatch(text)) is not None:
        return Value(text, _recurring(recurring), percent=percent)
    found = _RATIONAL.fullmatch(text)
    if found is None:
        return Value(text, percent=percent)
    number = _fraction(found)
    return Value(text, number, found["decimal"] is not None and "." in text, percent)


def _fraction(found: re.Match[str]) -> Fraction | None:
    if found["above"]:
        above, below = (Fraction(found[name].replace(" ", "")) for name in ("above", "below"))
        number = None if below == 0 else Fraction(found["whole"] or 0) + above / below
    elif found["over"]:
        below = Fraction(found["under"])
        number = None if below == 0 else Fraction(found["units"] or 0) + Fraction(found["over"]) / below
    else:
        number = Fraction(found["decimal"].removesuffix(".")) * Fraction(10) ** int(found["power"] or 0)
    return -number if number is not None and found["sign"] == "-" else number


def _recurring(found: re.Match[str]) -> Fraction:
    """The value of a recurring decimal: 0.1666... is (16 - 1) / 90."""
    once, again = found["once"], found["again"] or found["one"]
    first = int(found["whole"] + once or 0)
    both = int(found["whole"] + once + again)
    number = Fraction(both - first, 10 ** len(once) * (10 ** len(again) - 1))
    return -number if found["sign"] == "-" else number


def _matrix(text: str) -> Ordered | None:
    found = _MATRIX.fullmatch(text)
    if found is None or "\\begin" in found["entries"]:
        return None
    lines = re.sub(r"\\hline\b", "", found["entries"]).split(ROW_ENDS)
    rows = [line.split("&") for line in lines if line.strip()]
    if len({len(row) for row in rows}) != 1:
        return None
    of_bars = found["open"] == "|" or found["kind"][0] in "vV"
    entries = tuple(_read(entry) for row in rows for entry in row)
    return Ordered("determinant" if of_bars else "matrix", len(rows[0]), entries)


def _without_brackets(text: str) -> str:
    """`text` without parentheses or braces around all of it, unless they hold several things."""
    while _wraps(text, "({", ")}") and len(_split(text[1:-1], ",;")) == 1:
        text = text[1:-1].strip()
    return text


def _wraps(text: str, opening: str, closing: str) -> bool:
    """Whether the first sign is an opening bracket that the last one closes, of whichever shape."""
    if len(text) < 2 or text[0] not in opening or text[-1] not in closing or text[-2] == "\\":
        return False
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth <= 0:
            return at == len(text) - 1
    return False


def _split(text: str, separators: str) -> list[str]:
    """`text` cut at those separators that stand within no bracket."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth == 0 and sign in separators:
            parts.append("")
        else:
            parts[-1] += sign
    return parts
