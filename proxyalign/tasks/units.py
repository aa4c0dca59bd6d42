"""Exponents of units in replies, which are no numbers of their own: the 2 of 54 cm^2 is none."""

import re

_PREFIX = r"(?:nano|micro|milli|centi|deci|deca|hecto|kilo|mega)?"
# Words that name a unit wherever they stand. A letter alone does so after a number, or where it is set as text.
UNIT_WORDS = (
    rf"(?:{_PREFIX}(?:met(?:er|re)|gram|lit(?:er|re)|second|joule|newton|pascal|watt|volt|amp(?:ere)?)s?"
    r"|nm|μm|µm|mm|cm|dm|dam|hm|km|inch(?:es)?|in|foot|feet|ft|yards?|yds?|miles?|mi|acres?|hectares?|ha"
    r"|mg|kg|lbs?|pounds?|ounces?|oz|tons?|tonnes?|ms|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|yrs?"
    r"|mL|ml|cL|dL|gallons?|quarts?|cups?|Hz|kHz|Pa|kPa|kJ|kW|mol|moles?|degrees?|deg|units?|squares?|cubes?)"
)
_LETTERS = r"[msghLNJWVAK]"
_SET_AS_TEXT = r"\\(?:text|textrm|textnormal|textbf|textit|mathrm|mbox|hbox|rm|operatorname|unit|si)\b"

# What may stand between a number and its unit, or between two factors of one: blanks, marks of typesetting, brackets.
_GLUE = rf"(?:[\s~${{}}()\[\]]|\*\*|\\[,;:! ]|\\q?quad\b|\\left\b|\\right\b|\\[dt]?frac\b|{_SET_AS_TEXT})*+"
_TIMES = r"(?:/|\*(?!\*)|[·⋅×]|\\cdot\b|\\times\b|\bper\b)?"
_CLOSED = r"\.?[\s}$)]*+"  # what may stand between a unit and its exponent
_INTEGER = r"[-−+]?\s*\d+(?:\s*/\s*\d+)?"
_BRACED = rf"\{{(?:\s|\\[,;:! ])*{_INTEGER}\s*\}}"
_RAISED = (
    rf"(?:\^\s*(?:\{{\s*{_SET_AS_TEXT}\s*{_BRACED}\s*\}}|{_SET_AS_TEXT}\s*{_BRACED}|{_BRACED}|\(\s*{_INTEGER}\s*\)"
    rf"|{_INTEGER})"
    rf"|(?<=[A-Za-z])\*\*{_INTEGER}(?!\d|\.\d|\s*\*\*)"  # Python's power, and no bold number after a word
    rf"|\\textsuperscript\s*{_BRACED}|<sup>\s*{_INTEGER}\s*</sup>)"
)
_ADJOINING = r"[23](?![\w.,]*\d|[A-Za-z])"  # as in cm2, which follows a number
_FUNCTIONS = r"(?:sin|cos|tan|cot|csc|log|exp|max|lim|gcd|lcm|mod|and|plus|minus|times)\b"
_ANY = (
    rf"(?:(?:{UNIT_WORDS}|{_LETTERS}|(?:square|cubic|sq|cu)\.?)(?![A-Za-z])"
    rf"|(?<=\s)(?!{_FUNCTIONS})[A-Za-z]{{3,}}(?=\^))"
)
_FACTOR = rf"{_ANY}(?:{_CLOSED}{_RAISED}|{_ADJOINING})?"

_AFTER_A_NUMBER = re.compile(rf"(?<=\d)\.?{_GLUE}{_FACTOR}(?:{_GLUE}{_TIMES}{_GLUE}{_FACTOR})*", re.ASCII)
_A_WORD = re.compile(rf"(?<![A-Za-z\\]){UNIT_WORDS}{_CLOSED}{_RAISED}", re.ASCII)
_OF_TEXT = re.compile(rf"{_SET_AS_TEXT}\s*\{{(?P<content>[^{{}}]*)\}}\s*{_RAISED}", re.ASCII)
_EXPONENT = re.compile(rf"{_RAISED}|(?<=[A-Za-z]){_ADJOINING}", re.ASCII)
_NAMES_ONE = re.compile(rf"[^\W\d_]{{2,}}|(?<![A-Za-z]){_LETTERS}(?![A-Za-z])")


def drop_unit_exponents(text: str) -> str:
    """`text` without the exponents of units, as in 54 cm^2, 9.8 \\frac{m}{s^{2}} or 15\\text{ sq. ft}^2.

    What follows a number or names a unit is one; a power of a number or of a letter, as 2^3 or x^2, stays.
    """
    for pattern in (_OF_TEXT, _A_WORD, _AFTER_A_NUMBER):
        text = pattern.sub(_without_exponents, text)
    return text


def _without_exponents(match: re.Match[str]) -> str:
    if match.re is _OF_TEXT and not _NAMES_ONE.search(match["content"]):
        return match[0]  # a variable or a number that is set as text
    return _EXPONENT.sub("", match[0])
