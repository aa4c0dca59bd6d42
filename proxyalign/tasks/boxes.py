"""The \\boxed{...} in which mathematical replies set their answer: where they are, and which of them are finished."""

import re
from typing import NamedTuple

_MARK = re.compile(  # "boxed 5" has one number or letter; an escaped brace is no brace
    r"(?P<box>\\boxed|\\fbox)(?:\s*\{|(?![A-Za-z])\s*(?P<alone>-?\d+(?:[.,]\d+)*|[A-Za-z](?![A-Za-z])))|\\.|[{}]",
    re.ASCII | re.DOTALL,
)


class Box(NamedTuple):
    """One box, by places in its text: where its command begins, and what it holds begins and ends.

    closes: None where the last brace never comes. What a finished box holds is `text[box.opens : box.closes]`.
    """

    begins: int
    opens: int
    closes: int | None


def boxes(text: str) -> list[Box]:
    """The boxes of `text` in the order in which they begin, a box within a box after that one.

    Braces are matched, whatever stands between them.
    """
    found: list[Box] = []
    open_marks: list[tuple[re.Match[str], bool]] = []
    for mark in _MARK.finditer(text):
        if mark["alone"]:
            found.append(Box(mark.start(), mark.start("alone"), mark.end()))
        elif mark["box"] or mark[0] == "{":
            open_marks.append((mark, bool(mark["box"])))
        elif mark[0] == "}" and open_marks:
            opening, is_box = open_marks.pop()
            if is_box:
                found.append(Box(opening.start(), opening.end(), mark.start()))
    found += [Box(mark.start(), mark.end(), None) for mark, is_box in open_marks if is_box]
    return sorted(found, key=lambda box: box.begins)
