"""LaTeX answers in one plain spelling, whatever is set, spaced or typed in another script."""

import re
import unicodedata
from collections.abc import Callable

from proxyalign.tasks.units import UNIT_WORDS

_SIGNS = {
    "−": "-", "–": "-", "‐": "-", "‑": "-", "﹣": "-", "≈": r"\approx ",
    "＋": "+", "×": r"\times ", "·": r"\cdot ", "÷": "/", "π": r"\pi ", "√": r"\sqrt ",
    "∞": r"\infty ", "°": r"^\circ ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "∪": r"\cup ",
    "∈": r"\in ", "θ": r"\theta ", "²": "^2", "³": "^3", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
}  # fmt: skip
_TEXT = r"\\(?:text|textbf|textit|textrm|textnormal|textsf|mathrm|mathbf|mathit|mathsf|operatorname|mbox|hbox)\b\*?"
_OF_TEXT = re.compile(rf"{_TEXT}\s*\{{(?P<content>[^{{}}]*)\}}")
_GROUP = r"(\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\\[A-Za-z]+|[^\s{}\\])"  # one argument of a command
_DIGITS_APART = re.compile(r"(?<=\d)(?:,\\!\s*|\{,\}|\\[,:;]\s*|,\u2009)(?=\d{3}(?!\d))")
_MONEY = r"(?:dollars?|cents?|euros?|pounds?|rupees?)"
_UNIT = rf"(?:(?:square|cubic|sq\.?|cu\.?)\s+)?(?:{UNIT_WORDS}|{_MONEY})"
ROW_ENDS = "\ue000"  # what stands for the two backslashes between the rows of a matrix
_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\\(?:left|right|middle)\s*\.|\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])"), ""),
    (re.compile(r"\\(?:displaystyle|textstyle|limits|nolimits|boldsymbol|bf|rm|it)(?![A-Za-z])"), " "),
    (re.compile(r"\\\$|(?<!\\)\$|\\[()\[\]]|\*\*|[£€¥¢]|\\(?:pounds|euro)(?![A-Za-z])"), " "),
    (re.compile(r"\\(?:textcolor|color)\s*\{[^{}]*\}|\\underline(?![A-Za-z])"), ""),
    (re.compile(r"^\s*\\approx(?![A-Za-z])"), ""),
    (re.compile(r"\\\{\s*\\\}"), r"\\emptyset"),
    (re.compile(r"\\[,;:! >]|~|\\q?quad\b|\\hspace\*?\{[^{}]*\}|\\h?phantom\{[^{}]*\}"), " "),
    (re.compile(r"\\[dtc]frac\b"), r"\\frac"),
    (re.compile(r"\\(?:langle|lparen)\b"), "("),
    (re.compile(r"\\(?:rangle|rparen)\b"), ")"),
    (re.compile(r"\\lbrack\b"), "["),
    (re.compile(r"\\rbrack\b"), "]"),
    (re.compile(r"\\lbrace\b"), r"\\{"),
    (re.compile(r"\\rbrace\b"), r"\\}"),
    (re.compile(r"\\(leq|geq|neq)(?:slant|q)?(?![A-Za-z])"), lambda found: "\\" + found[1][:2]),
    (re.compile(r"\\(?:varnothing|emptyset)\b"), r"\\emptyset"),
    (re.compile(rf"\\frac\s*{_GROUP}\s*{_GROUP}"), lambda found: rf"\frac{_braced(found[1])}{_braced(found[2])}"),
    (re.compile(r"(?:\\sqrt|(?<![A-Za-z\\])sqrt)\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (
        re.compile(rf"\\sqrt\s*(\[[^\[\]]*\])?\s*(?:(\d+)|{_GROUP})"),
        lambda found: rf"\sqrt{found[1] or ''}{_braced(found[2] or found[3])}",
    ),
    (re.compile(r"(?<![\d.])\.(?=\d)"), "0."),
    (re.compile(r"\s+"), " "),
)
_DEGREES = re.compile(r"\s*(?:\^\s*(?:\\circ\b|\{\s*\\circ\s*\})|\\degree\b)\s*$")
# Words after a number that are no unit: they are part of its value.
_NO_UNIT = (
    r"(?:sin|cos|tan|cot|sec|csc|log|exp|sqrt|mod|choose|times|plus|minus|over|divided|factorial|hundred|thousand"
    r"|million|billion|dozen|[ap]\.?m)(?![A-Za-z])"
)
_POWER = r"(?:\s*\^\s*(?:\d|\{\s*\d\s*\}))?"
_WORDS = rf"(?!\s*(?:[eid]\s*\}}|(?i:{_NO_UNIT})))[^{{}}]*[A-Za-z][^{{}}]*"
_SET_WORDS = rf"{_TEXT}\s*\{{{_WORDS}\}}{_POWER}"
_SET_UNIT = re.compile(rf"(?<=[\w}})])\s*{_SET_WORDS}(?:\s*(?:/|\\cdot)?\s*{_SET_WORDS})*\s*$")
_TYPED_UNIT = re.compile(rf"(?<=[\d}})])\s*(?<![A-Za-z\\]){_UNIT}(?:\s*(?:/|per)\s*{_UNIT})?{_POWER}\s*$")
_THINGS = re.compile(rf"(?<=\d)\s+(?!{_NO_UNIT})[A-Za-z]{{3,}}(?:\s+[A-Za-z]+)*\s*$")  # 5 apples
_CONJUNCTION = re.compile(rf"{_TEXT}\s*\{{\s*,?\s*(?:and|or)\s*\}}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])")


def plain(latex: str) -> str:
    """`latex` in its plain spelling, without units and dollars, "and" and "or" as commas; never raises.

    11,\\!111 is 11111, \\dfrac12 is \\frac{1}{2}, 90^\\circ is 90, 15\\mbox{ cm}^2 is 15, digits of any script are 0 to
    9. What \\text sets alone is its content. A percent sign stays.
    """
    text = "".join(_sign(sign) for sign in latex)
    if (within := _OF_TEXT.fullmatch(text.strip())) is not None and re.match(r"\s*\d", within["content"]):
        text = within["content"]  # 5 cm that is set as text from its number on
    if "\\begin" not in text:
        text = re.sub(r"\\\\\s*$", "", text)  # a row that nothing follows
        text = re.sub(r"\\\\(?=[A-Za-z])", r"\\", text)  # a backslash that was escaped once too often
    text = re.sub(r"\\\\(?:\s*\[[^\[\]]*\])?|\\cr\b", ROW_ENDS, text)
    text = _DIGITS_APART.sub("", text)
    text = _CONJUNCTION.sub(",", text)
    text = re.sub(r",(\s*,)+", ",", text)
    for pattern, written in _RULES:
        text = pattern.sub(written, text)
    text = _strip(text)
    for unit in (_SET_UNIT, _TYPED_UNIT, _THINGS, _DEGREES):
        shorter = _strip(unit.sub("", text))
        text = shorter or text
    return _strip(_OF_TEXT.sub(lambda found: found["content"], text))


def set_as_text(latex: str) -> bool:
    """Whether all of `latex` is one \\text{...} or its like, so that it is a word and no product of letters."""
    return _OF_TEXT.fullmatch(latex.strip().strip("$. ")) is not None


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    if "！" <= sign <= "～":  # the fullwidth forms of ASCII
        return chr(ord(sign) - 0xFEE0)
    digit = unicodedata.decimal(sign, None)
    if digit is not None:
        return str(digit)
    return " " if sign.isspace() and sign != "\u2009" else sign


def _strip(text: str) -> str:
    return text.strip().rstrip(".,;").strip() if text.strip(" .,;") else ""


def _braced(argument: str) -> str:
    return argument if argument.startswith("{") else f"{{{argument}}}"
